"""The loop and what it is made of; the only place that knows accelerate."""
