"""`limner plan`."""
from limner.cli.app import app
@app.command()
def plan() -> None:
    """Stub."""
