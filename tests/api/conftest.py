"""A small dataset on disk, and a run with an untrained model beside it."""

import json

import cv2
import numpy as np
import pytest

from limner.core.labels import LabelClass, LabelTable
from limner.core.run_folder import RunFolder
from limner.weights.bundle import save_model


@pytest.fixture
def cells(tmp_path):
    """Six images with masks, for one test."""
    return draw_cells(tmp_path)


@pytest.fixture(scope="module")
def module_cells(tmp_path_factory):
    """The same for all tests of a module, which leave them as they are."""
    return draw_cells(tmp_path_factory.mktemp("cells"))


def draw_cells(folder):
    """Six images with 0/255 masks, named by their classes in dataset.yaml; cell_5 has no mask."""
    draw = np.random.default_rng(0)
    (folder / "data" / "images").mkdir(parents=True)
    (folder / "data" / "masks").mkdir()
    for number in range(6):
        image = draw.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "data" / "images" / f"cell_{number}.png"), image)
        mask = (image[..., 0] > 128).astype(np.uint8) * 255
        if number < 5:
            cv2.imwrite(str(folder / "data" / "masks" / f"cell_{number}.png"), mask)
    (folder / "data" / "dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: cell, value: 255}\n", "utf-8"
    )
    return folder / "data"


@pytest.fixture
def run(cells, tiny_model, tmp_path):
    """A run folder as training leaves it, as far as evaluation and prediction look."""
    folder = RunFolder(tmp_path / "runs" / "one")
    save_model(folder.model, tiny_model(data=cells), origin={"data": str(cells)})
    names = [f"cell_{n}" for n in range(5)]
    folder.splits.write_text(json.dumps({"train": names[:3], "val": names[3:]}), "utf-8")
    return folder


@pytest.fixture
def odd_labels():
    """Values far apart, one class with two of them, and an ignored one."""
    return LabelTable(
        (LabelClass("a", (300, 7), (0, 0, 0)), LabelClass("b", (12,), (255, 0, 0))), ignored_values=(9,)
    )
