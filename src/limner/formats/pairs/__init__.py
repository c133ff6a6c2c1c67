"""Images and masks that belong together by their names, their folders or a list."""
