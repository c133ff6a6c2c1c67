import pytest

import limner
from limner.core.errors import ConfigError, ModelError
from limner.weights.card import read_card


def test_the_folder_predicts_and_can_be_given_classes(authors_file, cells, tmp_path):
    (tmp_path / "names.txt").write_text("sky\n\nroad\ncar\n", "utf-8")
    imported = limner.import_checkpoint(
        authors_file(), out=tmp_path / "model", task="panoptic", classes=tmp_path / "names.txt"
    )
    assert imported.model.labels.names == ("sky", "road", "car")
    result = limner.predict(tmp_path / "model", cells / "images", out=tmp_path / "out", device="cpu")
    assert len(result.masks) == 6 and result.json is not None
    assert read_card(tmp_path / "model").origin["imported_from"].endswith("model_final.pkl")


def test_classes_may_say_what_is_countable(authors_file, tmp_path):
    (tmp_path / "classes.yaml").write_text(
        "classes:\n- {name: sky, is_thing: false}\n- {name: car, value: 7, is_thing: true}\n- road\n", "utf-8"
    )
    imported = limner.import_checkpoint(
        authors_file(), out=tmp_path / "model", task="panoptic", classes=tmp_path / "classes.yaml"
    )
    labels = limner.load(tmp_path / "model", device="cpu").labels
    assert labels == imported.model.labels
    assert labels.is_thing.tolist() == [False, True, False] and labels.classes[1].values == (7,)


def test_what_cannot_be_read_leaves_nothing_behind(authors_file, tmp_path):
    empty = tmp_path / "empty.yaml"
    empty.write_text("images: a/*.png\n", "utf-8")
    for classes, match in ((tmp_path / "no.txt", "cannot be read"), (empty, "has no class names")):
        with pytest.raises(ConfigError, match=match):
            limner.import_checkpoint(authors_file(), out=tmp_path / "m", task="semantic", classes=classes)
    with pytest.raises(ModelError):
        limner.import_checkpoint(tmp_path / "nothing", out=tmp_path / "m")
    assert not (tmp_path / "m").exists()
