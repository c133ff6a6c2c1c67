"""Prediction: from a model and an image file to a prediction."""
