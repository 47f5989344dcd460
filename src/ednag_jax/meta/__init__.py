"""Meta-training data: cells of NAS-Bench-201 really trained on many small image tasks."""
