"""A run with an untrained model."""

import json

import pytest
from predicted_files import files, predict

from limner.core.labels import LabelClass, LabelTable
from limner.core.run_folder import RunFolder
from limner.weights.bundle import save_model


@pytest.fixture
def run(cells, tiny_model, tmp_path):
    """A run folder as training leaves it, as far as evaluation and prediction look."""
    folder = RunFolder(tmp_path / "runs" / "one")
    save_model(folder.model, tiny_model(data=cells), origin={"data": str(cells)})
    names = [f"cell_{n}" for n in range(5)]
    folder.splits.write_text(json.dumps({"train": names[:3], "val": names[3:]}), "utf-8")
    return folder


@pytest.fixture
def alone(run, cells, tmp_path):
    """What one process writes."""
    predict(run, cells / "images", tmp_path / "alone")
    return files(tmp_path / "alone")


@pytest.fixture
def odd_labels():
    """Values far apart, one class with two of them, and an ignored one."""
    return LabelTable(
        (LabelClass("a", (300, 7), (0, 0, 0)), LabelClass("b", (12,), (255, 0, 0))), ignored_values=(9,)
    )
