"""Frozen networks that turn images into features for the predictor."""
