"""Layouts of volumes with labels."""
