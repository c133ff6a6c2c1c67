"""Predictions and ground truth into scores; the same code everywhere."""
