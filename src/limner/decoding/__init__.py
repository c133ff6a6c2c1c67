"""From network outputs to predictions."""
