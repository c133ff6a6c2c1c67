"""Samples and predictions as RGB arrays."""
