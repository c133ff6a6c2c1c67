"""Networks that score each pixel of an image."""
