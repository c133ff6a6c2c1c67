"""Hyperparameter search: space, proposals and rounds."""
