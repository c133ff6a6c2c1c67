"""What the verbs do with images of classes."""

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import DataError
from limner.formats import open_source


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def insects(tmp_path):
    """Eight ants and four bees for training, two of each to validate."""
    rng = np.random.default_rng(0)
    for split, kind, count in (
        ("train", "ants", 8),
        ("train", "bees", 4),
        ("val", "ants", 2),
        ("val", "bees", 2),
    ):
        for n in range(count):
            path = tmp_path / "insects" / split / kind / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    return tmp_path / "insects"


def test_check_counts_images_of_each_class(insects):
    checked = limner.check(insects)
    assert not checked.errors
    rows = {row.name: {s: c.images for s, c in row.splits.items()} for row in checked.rows}
    assert rows == {"ants": {"train": 8, "val": 2}, "bees": {"train": 4, "val": 2}}
    codes = {f.code for f in checked.findings}
    assert not codes & {"mask-is-one-value", "one-value-only", "class-rare"}


def test_a_class_that_a_split_lacks_is_named(insects):
    for path in (insects / "val" / "bees").iterdir():
        path.unlink()
    found = {f.code: f.found for f in limner.check(insects).findings}
    assert found["class-absent-from-split"] == "no image shows 'bees'"


def test_copies_between_splits_are_found_and_mended(insects, tmp_path):
    (insects / "val" / "ants" / "copy.png").write_bytes((insects / "train" / "ants" / "3.png").read_bytes())
    assert "same-image-in-two-splits" in {f.code for f in limner.check(insects).findings}
    done = limner.convert(insects, tmp_path / "out", to="class-folders", mend=True)
    assert [(loss.trait, loss.files) for loss in done.losses] == [("duplicates", ("train/ants/3.png",))]


@pytest.mark.parametrize(
    "steps",
    [
        ["class-list"],
        ["class-folders"],
        ["class-list", "class-folders"],
        ["webdataset-classes", "class-list"],
    ],
)
def test_there_and_back(insects, tmp_path, steps):
    def content(root):
        source = open_source(root)
        names = source.declared_labels().names
        return sorted((r.image.read_bytes(), r.split, names[source.read_class(r)]) for r in source.records)

    here = insects
    for n, name in enumerate(steps):
        there = tmp_path / f"step{n}"
        assert limner.convert(here, there, to=name).num_images == 16
        assert open_source(there).name == name
        here = there
    assert content(here) == content(insects)


def test_masks_cannot_be_written_from_classes_nor_classes_from_masks(insects, tmp_path):
    with pytest.raises(DataError, match=r"voc cannot store classes(.|\n)*class-folders, class-list"):
        limner.convert(insects, tmp_path / "out", to="voc")
    assert not (tmp_path / "out").exists()
    for kind in ("images", "masks"):
        (tmp_path / "cells" / kind).mkdir(parents=True)
        assert cv2.imwrite(str(tmp_path / "cells" / kind / "a.png"), np.eye(40, dtype=np.uint8))
    with pytest.raises(DataError, match="class-list cannot store masks"):
        limner.convert(tmp_path / "cells", tmp_path / "out", to="class-list")


def test_browse_split_and_stats(insects):
    shown = limner.browse(insects, by="class", images=3)
    assert len(shown.images) == 6
    assert all("ants" in name for name in shown.images[:3])
    divided = limner.split(insects, val=0.25, stratify=True, write=False)
    assert divided.classes["train"]["bees"] in (4, 5)
    found = limner.stats(insects)
    assert [(c.name, c.num_images) for c in found.classes] == [("ants", 8), ("bees", 4)]


def test_stats_have_no_columns_for_pieces(insects):
    told = CliRunner().invoke(app, ["stats", str(insects)]).output
    assert "ants" in told and "images" in told
    assert "components" not in told
