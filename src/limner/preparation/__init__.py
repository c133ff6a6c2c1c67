"""What a run is made of: checked data, a plan, a folder; and the same found again to resume or evaluate."""
