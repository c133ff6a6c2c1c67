"""`limner predict --uncertain N`: the images to label next, of a model with random weights."""

import csv
import json

import cv2
import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError, DataError


@pytest.fixture
def images(cells, tmp_path):
    """The images of the cells, two of them the same."""
    folder = tmp_path / "pool"
    folder.mkdir()
    for path in sorted((cells / "images").glob("*.png")):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "copy.png").write_bytes((folder / "cell_0.png").read_bytes())
    return folder


def interrupting(found, description, total):
    """Stop a prediction after three images."""
    for number, image in enumerate(found):
        if number == 3:
            raise KeyboardInterrupt
        yield image


def test_the_images_to_label_next_are_listed_copied_and_shown(run, images, tmp_path) -> None:
    out = tmp_path / "out"
    result = limner.predict(run.root, images, out=out, uncertain=3, device="cpu")
    assert result.label_next.num_chosen == 3
    with (out / "uncertain.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == 7
    numbers = [float(row["uncertainty"]) for row in rows]
    assert numbers == sorted(numbers, reverse=True)
    chosen = {row["image"]: int(row["rank"]) for row in rows if row["rank"]}
    assert sorted(chosen.values()) == [1, 2, 3]
    assert rows[0]["rank"] == "1"
    listed = (out / "uncertain.txt").read_text().splitlines()
    assert listed == sorted(chosen, key=chosen.get) == [str(path) for path in result.label_next.images]
    assert sorted(path.name for path in (out / "uncertain").iterdir()) == sorted(
        path.name for path in result.label_next.images
    )
    assert {"cell_0.png", "copy.png"} - {path.name for path in result.label_next.images}, (
        "a copy adds nothing"
    )
    page = (out / "uncertain.html").read_text()
    assert page.count('<img src="data:image/webp') == 3
    assert "entropy" in result.label_next.words
    assert "layer" in result.label_next.words
    # The uncertainty by hand, of one image.
    predictor = limner.load(run.root, device="cpu")
    (p, q) = predictor.predict(listed[0], probabilities=True).probabilities.astype(np.float64)
    entropy = -(p * np.log(p) + q * np.log(q)).mean() / np.log(2)
    assert numbers[0] == pytest.approx(entropy, abs=1e-4)


def test_what_stopped_before_the_choice_is_resumed_with_the_same_page(
    run, images, tmp_path, monkeypatch
) -> None:
    def stop(*_):
        raise KeyboardInterrupt

    options = {"uncertain": 2, "overlay": False, "device": "cpu"}
    limner.predict(run.root, images, out=tmp_path / "whole", **options)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("limner.api.label_next.choose_next", stop)
        limner.predict(run.root, images, out=tmp_path / "out", **options)
    limner.predict(run.root, images, out=tmp_path / "out", resume=True, **options)
    pages = [(tmp_path / name / "uncertain.html").read_bytes() for name in ("whole", "out")]
    assert pages[0] == pages[1]
    assert b"layer" in pages[1]


def test_the_list_is_what_the_next_command_takes(run, images, tmp_path) -> None:
    limner.predict(run.root, images, out=tmp_path / "out", uncertain=2, overlay=False, device="cpu")
    drafts = limner.predict(
        run.root, tmp_path / "out" / "uncertain.txt", out=tmp_path / "drafts", to="label-studio", device="cpu"
    )
    assert drafts.num_predicted == 2
    # Another choice removes the copies of the first.
    cv2.imwrite(str(images / "cell_1.png"), np.zeros((41, 50, 3), np.uint8))
    limner.predict(run.root, images, out=tmp_path / "out", uncertain=1, overlay=False, device="cpu")
    assert len([*(tmp_path / "out" / "uncertain").iterdir()]) == 1


def test_an_interrupted_choice_continues_to_the_same_files(run, images, tmp_path) -> None:
    whole = limner.predict(run.root, images, out=tmp_path / "whole", uncertain=2, device="cpu")

    options = {"out": tmp_path / "cut", "uncertain": 2, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        limner.predict(run.root, images, track=interrupting, **options)
    limner.predict(run.root, images, resume=True, **options)
    for name in ("uncertain.csv", "uncertain.txt"):
        assert (tmp_path / "cut" / name).read_bytes() == (whole.out / name).read_bytes()


def test_numbers_and_options_that_make_no_sense(run, images, tmp_path) -> None:
    with pytest.raises(ConfigError, match="--uncertain is a number of images, 1 or more; found 0"):
        limner.predict(run.root, images, out=tmp_path / "out", uncertain=0, device="cpu")
    with pytest.raises(ConfigError, match="--uncertain has no effect"):
        limner.predict(run.root, images, out=tmp_path / "out", uncertain=2, to="coco", device="cpu")


def test_a_choice_that_an_older_version_began_is_refused(run, images, tmp_path) -> None:
    options = {"out": tmp_path / "cut", "uncertain": 2, "overlay": False, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        limner.predict(run.root, images, track=interrupting, **options)
    record = tmp_path / "cut" / "limner-unfinished.jsonl"
    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    measured = [line["entry"]["measured"] for line in lines if "item" in line]
    assert len(measured) == 3
    for values in measured:
        values.pop()  # the layer, which older versions did not note
    before = "".join(json.dumps(line) + "\n" for line in lines)
    record.write_text(before, "utf-8")
    with pytest.raises(DataError, match=r"(?s)another version of limner: .*cut.*the layer.*--out"):
        limner.predict(run.root, images, resume=True, **options)
    assert record.read_text("utf-8") == before
