"""One file a metric: update, compute, merge, reset."""
