"""Our model folder: read, write, verify."""
