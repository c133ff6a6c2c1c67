"""From disk to samples and back, one file a format; `FORMATS` is the table of contents."""
