"""`limner plan`."""
def plan() -> None:
    """Stub."""
