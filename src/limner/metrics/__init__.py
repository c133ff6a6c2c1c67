"""One file per metric: update, compute, merge, reset."""
