"""Data structures shared by all folders; no disk access, no nn.Module."""
