"""One file an architecture; `NETWORKS` is the table of contents."""
