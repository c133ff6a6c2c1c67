"""A run that is resumed notices that its images, labels or splits are no longer those it learned from."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest

import limner
from limner.api.train import resume
from limner.core.errors import DataError
from limner.core.run_folder import RunFolder
from limner.formats import open_source
from limner.planning.plan_files import write_plan
from limner.preparation.data_state import write_data_state
from limner.preparation.prepared_run import check_data_state, open_run
from limner.preparation.run_splits import read_splits
from limner.reporting.gather import gather
from limner.reporting.observations import observe


@pytest.fixture
def begun(cells, tiny_plan, tmp_path):
    """A run folder as `limner train` leaves it before the first step."""
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    write_plan(folder.plan, tiny_plan(data=cells))
    splits = {"train": ["cell_0", "cell_1", "cell_2"], "val": ["cell_3", "cell_4"]}
    folder.splits.write_text(json.dumps(splits))
    source = open_source(cells)
    hashes = {image.name: image.content_hash for image in limner.check(cells).facts.images}
    write_data_state(folder, source, read_splits(folder, source), hashes)
    return folder


def test_the_same_data_is_no_change(begun, cells, tmp_path):
    check_data_state(open_run(begun))
    for file in (*cells.rglob("*.png"),):  # a copy, with other times
        os.utime(file, (1, 1))
    check_data_state(open_run(begun))
    assert not begun.data_changes.exists()


def test_white_images_are_noticed(begun, cells):
    for file in (cells / "images").glob("*.png"):
        cv2.imwrite(str(file), np.full_like(cv2.imread(str(file)), 255))
    with pytest.raises(DataError, match=r"5 images \(cell_0, cell_1, cell_2, ...\) with other content"):
        resume(begun.root, device="cpu")


def test_a_changed_mask_of_the_same_size_is_noticed(begun, cells):
    mask = cells / "masks" / "cell_1.png"
    content = bytearray(mask.read_bytes())
    content[-20] ^= 1
    mask.write_bytes(content)
    with pytest.raises(DataError, match=r"1 label file \(masks/cell_1.png\)(.|\n)*--data-changed"):
        resume(begun.root, device="cpu")


@pytest.mark.parametrize(
    ("splits", "found"),
    [
        ({"train": ["cell_0", "cell_1", "cell_2", "cell_3"], "val": ["cell_4"]}, r"cell_3\) moved from val"),
        ({"train": ["cell_0", "cell_1", "cell_2", "cell_3"], "val": ["cell_3", "cell_4"]}, "in several"),
        (
            {"train": ["cell_0", "cell_1"], "val": ["cell_3", "cell_4"]},
            r"cell_2\) moved from train to no split",
        ),
        ({"train": ["cell_0", "cell_1", "cell_2"], "val": ["cell_3", "cell_4"], "test": ["cell_5"]}, "added"),
    ],
)
def test_changed_splits_are_noticed(begun, splits, found):
    begun.splits.write_text(json.dumps(splits))
    with pytest.raises(DataError, match=found):
        resume(begun.root, device="cpu")


def test_going_on_is_noted_in_the_report(begun, cells):
    shutil.copy(cells / "masks" / "cell_0.png", cells / "masks" / "cell_2.png")
    prepared = open_run(begun)
    check_data_state(prepared, accept=True)
    check_data_state(prepared)  # it is the data of the run from now on
    (said,) = (o.text for o in observe(gather(begun)) if "interrupted" in o.text)
    assert "masks/cell_2.png" in said


def test_a_damaged_note_is_said(begun):
    begun.data_state.write_text("{}")
    with pytest.raises(DataError, match=r"data\.json(.|\n)*Delete the file"):
        resume(begun.root, device="cpu")
