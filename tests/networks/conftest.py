import json
import os
from pathlib import Path

import peers
import pytest


@pytest.fixture(scope="session")
def references():
    """The table of reference networks: (name, variant) -> what was counted there."""
    folder = os.environ.get("LIMNER_SHARED", str(Path(__file__).parents[3] / "shared"))
    table = Path(folder) / "networks.json"
    if not table.is_file():
        pytest.skip(f"the table of reference networks is not at {table} (set LIMNER_SHARED)")
    return {(row["name"], row["variant"]): row for row in json.loads(table.read_text("utf-8"))}


@pytest.fixture(scope="session")
def mmseg_models():
    """mmsegmentation's modules."""
    return peers.mmseg_models()


@pytest.fixture
def randomize():
    """A function that draws every parameter and statistic anew."""
    return peers.randomize
