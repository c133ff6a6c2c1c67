"""Search over settings: what is varied, which values are tried, and for how long."""
