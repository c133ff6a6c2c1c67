"""Networks that find words."""
