"""Scoring of predictions against ground truth, shared by validation and evaluation."""
