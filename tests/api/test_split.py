import json
import shutil
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import ConfigError, DataError


@pytest.fixture
def frames(tmp_path):
    """Thirty frames of six videos of different lengths; the class 2 is in a few frames of each."""
    root = tmp_path / "data"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    lengths = {"a": 3, "b": 8, "c": 5, "d": 4, "e": 6, "f": 4}
    draw = np.random.default_rng(0)
    for video, length in lengths.items():
        for n in range(length):
            mask = np.zeros((8, 8), np.uint8)
            mask[:4] = 1
            mask[0, 0] = 2 if n == 0 else 0
            photo = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            cv2.imwrite(str(root / "images" / f"{video}_{n}.png"), photo)
            cv2.imwrite(str(root / "masks" / f"{video}_{n}.png"), mask)
    return root


def names(result, fold=0):
    return {split: set(files) for split, files in result.folds[fold].items()}


def everything(root):
    return {f"images/{path.name}" for path in (root / "images").iterdir()}


def test_lists_are_written_and_followed(frames):
    result = limner.split(frames, val=0.2, test=0.1)
    assert {s: len(files) for s, files in result.folds[0].items()} == {"train": 21, "val": 6, "test": 3}
    assert set.union(*names(result).values()) == everything(frames)
    checked = limner.check(frames)
    followed = {s: {f"images/{r.image.name}" for r in rows} for s, rows in checked.splits.items()}
    assert followed == names(result)


def test_plain_fractions_are_those_that_training_would_draw(frames):
    before = {s: {r.name for r in rows} for s, rows in limner.check(frames).splits.items()}
    result = limner.split(frames, val=0.2, write=False)
    assert {s: {f.split("/")[1][:-4] for f in files} for s, files in result.folds[0].items()} == before
    assert not (frames / "dataset.yaml").exists()


def test_the_same_seed_gives_the_same_lists(frames):
    one, two = (limner.split(frames, group=r"/(\w)_", seed=3, write=False) for _ in range(2))
    assert one.folds == two.folds
    assert limner.split(frames, group=r"/(\w)_", seed=4, write=False).folds != one.folds


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_groups_stay_whole_and_sizes_within_one_group(frames, stratify, seed):
    result = limner.split(
        frames, val=0.3, test=0.2, group=r"/(\w)_", stratify=stratify, seed=seed, write=False
    )
    assert result.groups == 6
    videos = {s: {f.split("/")[1][0] for f in files} for s, files in names(result).items()}
    assert sorted(v for group in videos.values() for v in group) == list("abcdef")
    for split, share in (("train", 0.5), ("val", 0.3), ("test", 0.2)):
        assert len(names(result)[split]) < 30 * share + 8


def test_folds_validate_each_image_once_and_keep_the_test_images(frames):
    result = limner.split(frames, test=0.2, folds=4, write=False)
    tests = {frozenset(names(result, i)["test"]) for i in range(4)}
    assert len(tests) == 1
    validated = [f for i in range(4) for f in names(result, i)["val"]]
    assert len(validated) == len(set(validated)) == 24
    for i in range(4):
        fold = names(result, i)
        assert not fold["train"] & fold["val"]
        assert set.union(*fold.values()) == everything(frames)


def test_classes_are_spread(frames):
    result = limner.split(frames, val=0.5, stratify=True, write=False)
    assert result.classes["train"]["class 2"] == result.classes["val"]["class 2"] == 3


def test_nothing_is_overwritten_in_silence(frames):
    limner.split(frames, val=0.2)
    before = (frames / "splits" / "val.txt").read_text()
    with pytest.raises(DataError, match=r"Splits already exist(.|\n)*--overwrite"):
        limner.split(frames, val=0.5)
    assert (frames / "splits" / "val.txt").read_text() == before
    limner.split(frames, val=0.5, overwrite=True)
    assert len((frames / "splits" / "val.txt").read_text().splitlines()) == 15


def test_old_folds_are_moved_aside_and_nothing_is_lost(frames):
    first = limner.split(frames, folds=4)
    old = {path.name + path.parent.name: path.read_bytes() for path in first.written[:-1]}
    (frames / "splits" / "notes.md").write_text("mine")
    again = limner.split(frames, folds=2, overwrite=True)
    assert again.aside == frames / "splits-before"
    kept = {p.name + p.parent.name: p.read_bytes() for p in again.aside.rglob("*.txt")}
    assert kept == old
    assert {p.name for p in (frames / "splits").iterdir()} == {"fold_1", "fold_2", "notes.md"}
    assert limner.split(frames, overwrite=True).aside == frames / "splits-before-2"


def test_fractions_of_the_user_give_way_and_his_other_lines_stay(frames):
    (frames / "dataset.yaml").write_text("# mine\nclasses: [a, b, c]  # three\nsplits: {val: 0.3}\n")
    with pytest.raises(DataError, match=r"`splits` in dataset\.yaml"):
        limner.split(frames)
    limner.split(frames, overwrite=True)
    text = (frames / "dataset.yaml").read_text()
    assert text.startswith("# mine\nclasses: [a, b, c]  # three\n")
    assert "0.3" not in text


def test_another_folder_leaves_the_data_alone(frames, tmp_path):
    limner.split(frames, folds=2, out=tmp_path / "lists")
    assert not (frames / "dataset.yaml").exists()
    assert len(list((tmp_path / "lists").glob("fold_*/val.txt"))) == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"val": 0.9, "test": 0.2}, ConfigError, "leave images to train on"),
        ({"folds": 1}, ConfigError, "2 or more"),
        ({"seed": -1}, ConfigError, "--seed"),
        ({"group": "("}, ConfigError, "regular expression"),
        ({"group": "x_"}, DataError, "An image has no group"),
        ({"group": "images"}, DataError, "too few groups"),
    ],
)
def test_what_cannot_be_is_said(frames, options, error, words):
    with pytest.raises(error, match=words):
        limner.split(frames, **options)
    assert not (frames / "splits").exists()


def test_on_the_command_line(frames):
    done = CliRunner().invoke(app, ["split", str(frames), "--folds", "3", "--stratify"])
    assert done.exit_code == 0, done.output
    assert "fold 3" in done.output
    assert "class 2" in done.output
    told = CliRunner().invoke(app, ["split", str(frames), "--json", "--dry-run"])
    assert {*json.loads(told.stdout)["folds"][0]} == {"train", "val"}


@pytest.mark.parametrize(("count", "test"), [(1, 0.0), (2, 0.2)])
def test_no_empty_list_is_written(frames, count, test):
    for path in sorted((frames / "images").iterdir())[count:]:
        path.unlink()
    with pytest.raises(DataError, match="too few images to split"):
        limner.split(frames, test=test)
    assert not (frames / "splits").exists()


def test_a_split_that_is_killed_is_repeated(frames):
    """Whatever was renamed last: the dataset can be read, and the same call gives the same lists."""
    limner.split(frames, val=0.2)
    shutil.copytree(frames, frames.with_name("whole"))
    limner.split(frames.with_name("whole"), val=0.5, overwrite=True)
    expected = {p.name: p.read_bytes() for p in (frames.with_name("whole") / "splits").iterdir()}
    for number in count():
        again = frames.with_name(f"killed-{number}")
        shutil.copytree(frames, again)
        try:
            with pytest.MonkeyPatch.context() as patch:
                kill_at_rename(patch, number)
                limner.split(again, val=0.5, overwrite=True)
                break
        except KilledError:
            limner.split(again, val=0.5, overwrite=True)
        assert {p.name: p.read_bytes() for p in (again / "splits").iterdir()} == expected
        assert len(list(again.glob("splits-before*"))) == 1 and not list(again.glob("dataset.yaml.before-*"))
    assert number > 5


class KilledError(BaseException):
    """Ends the process, as far as the call can tell."""


def kill_at_rename(patch, number):
    """End the process before the n-th renaming of a file or folder."""
    calls = count()

    def dying(whole):
        def rename(path, target):
            if next(calls) == number:
                raise KilledError
            return whole(path, target)

        return rename

    for name in ("rename", "replace"):
        patch.setattr(Path, name, dying(getattr(Path, name)))
