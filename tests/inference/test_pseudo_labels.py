from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from limner.checks.measuring import digest
from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.core.progress import silent
from limner.images.masks import read_values
from limner.images.read_image import read_image
from limner.inference import pseudo_labels
from limner.inference.image_paths import ImagePath
from limner.inference.pseudo_labels import from_json, to_json, write_pseudo_labels


def table(*names: str) -> LabelTable:
    return LabelTable(tuple(LabelClass(name, (n,), (n, 0, 0)) for n, name in enumerate(names)))


def model(labels: LabelTable, *maps) -> SimpleNamespace:
    """A model that predicts these probabilities (K, H, W), one image after the other."""
    left = [np.float32(one) for one in maps]

    def predict(image, **options) -> SemanticPrediction:
        found = left.pop(0)
        return SemanticPrediction("a", found.argmax(0).astype(np.uint8), found)

    return SimpleNamespace(labels=labels, predict=predict)


def images(tmp_path, count: int, shape=(1, 10)) -> list[ImagePath]:
    found = []
    for number in range(count):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.zeros((*shape, 3), np.uint8))
        found.append(ImagePath(path, f"sub/{number}"))
    return found


def write(predictor, found, tmp_path, labels, share):
    return write_pseudo_labels(predictor, found, tmp_path / "out", labels, share=share, track=silent)


def labels_of(tmp_path, name="sub/0"):
    return read_values(tmp_path / "out" / "labels" / f"{name}.png")[0].tolist()


def test_the_most_confident_half_of_each_class_is_taken_over_all_images(tmp_path) -> None:
    # As class 0: 0.90 to 0.99 in the first image. As class 1: 0.51 to 0.60 in the second.
    first = np.linspace(0.90, 0.99, 10) + 1e-4
    second = np.linspace(0.51, 0.60, 10) + 1e-4
    maps = [[[first], [1 - first]], [[1 - second], [second]]]
    summary = write(model(table("a", "b"), *maps), images(tmp_path, 2), tmp_path, table("a", "b"), 0.5)
    assert labels_of(tmp_path) == [255] * 5 + [0] * 5
    assert labels_of(tmp_path, "sub/1") == [255] * 5 + [1] * 5
    assert [(one.predicted, one.taken, one.threshold) for one in summary.classes] == [
        (10, 5, 0.95),
        (10, 5, 0.56),
    ]
    assert (summary.taken, summary.pixels) == (10, 20)
    assert "10 of 20 pixels (50 %) of 2 images" in summary.words
    assert "a 50 % (from 0.950)" in summary.words
    assert from_json(to_json(summary)) == summary


def test_what_is_less_likely_than_not_is_never_taken(tmp_path) -> None:
    third = np.full((3, 1, 10), 1 / 3)
    third[0, 0, :4] = [0.4, 0.45, 0.5, 0.6]
    third[1:, 0, :4] = (1 - third[0, 0, :4]) / 2
    labels = table("a", "b", "c")
    summary = write(model(labels, third), images(tmp_path, 1), tmp_path, labels, 1.0)
    assert labels_of(tmp_path) == [255, 255, 0, 0] + [255] * 6
    assert summary.classes[0].threshold == 0.5


def test_classes_are_matched_by_name_and_others_are_not_learned(tmp_path) -> None:
    # The model knows sky, b, a; its second pixel is sky, which is not trained.
    found = np.zeros((3, 1, 10))
    found[2, 0, :], found[:, 0, 1], found[:, 0, 2] = 1, [0.9, 0.1, 0], [0, 1, 0]
    predictor = model(table("sky", "b", "a"), found)
    write(predictor, images(tmp_path, 1), tmp_path, table("a", "b"), 1.0)
    assert labels_of(tmp_path) == [0, 255, 1] + [0] * 7
    with pytest.raises(ConfigError, match="does not know all classes"):
        write(model(table("a", "x"), found), images(tmp_path, 1), tmp_path, table("a", "b"), 1.0)


def test_a_class_that_is_never_predicted_takes_nothing(tmp_path) -> None:
    found = np.stack([np.ones((1, 10)), np.zeros((1, 10))])
    summary = write(model(table("a", "b"), found), images(tmp_path, 1), tmp_path, table("a", "b"), 0.5)
    assert [one.taken for one in summary.classes] == [10, 0]
    assert "b " not in summary.words.partition("confident:")[2]


def test_known_images_are_left_out_and_each_image_is_read_once(tmp_path, monkeypatch) -> None:
    found = images(tmp_path, 3)
    cv2.imwrite(str(found[1].path), np.full((1, 10, 3), 9, np.uint8))
    known = {digest(read_image(found[1].path).array)}
    read = []
    monkeypatch.setattr(pseudo_labels, "read_image", lambda path: read.append(path) or read_image(path))
    sure = np.stack([np.ones((1, 10)), np.zeros((1, 10))])
    summary = write_pseudo_labels(
        model(table("a", "b"), sure, sure),
        found,
        tmp_path / "out",
        table("a", "b"),
        share=1.0,
        known=known,
        track=silent,
    )
    assert summary.images == ("sub/0", "sub/2")
    assert summary.pixels == 20
    assert not (tmp_path / "out" / "labels" / "sub" / "1.png").exists()
    assert sorted(read) == [image.path for image in found]
