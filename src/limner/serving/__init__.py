"""The HTTP service of trained models, and its web page."""
