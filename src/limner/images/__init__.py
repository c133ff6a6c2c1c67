"""Image files and mask files to arrays and back, by suffix."""
