"""From samples to batches: dataset, splits, cache, pipeline, loader."""
