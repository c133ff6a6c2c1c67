"""From a dataset to a list of findings, one file a family of checks."""
