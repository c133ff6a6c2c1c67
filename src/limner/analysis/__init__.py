"""Measuring and comparing: what networks cost, how runs differ."""
