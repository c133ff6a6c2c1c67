"""Preparation of a run: checked data, plan and folder; also reopening a run to resume or evaluate it."""
