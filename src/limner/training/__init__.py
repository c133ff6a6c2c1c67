"""The training loop and its parts; the only place that imports accelerate."""
