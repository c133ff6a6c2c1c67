"""Exported models: files for other runtimes, checked against the model that they come from."""
