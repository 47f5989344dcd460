"""The transferable predictor: accuracy of an architecture on a data set, from the images alone."""
