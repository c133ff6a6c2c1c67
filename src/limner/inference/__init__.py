"""A model and a file into a prediction."""
