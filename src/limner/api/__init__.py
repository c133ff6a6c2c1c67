"""The verbs in Python, one file a verb."""
