"""Samples to batches: dataset, splits, cache, pipeline, loader."""
