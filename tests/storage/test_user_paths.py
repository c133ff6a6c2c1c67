"""A path that cannot be is one error, in every function and for every argument that is a path."""

import os
import sys
from pathlib import Path

import pytest

import limner
from limner.api.train import resume
from limner.core.errors import ConfigError
from limner.storage.user_paths import user_path

LOOP = "loop"
ODD = {
    "~nouser/data": "the name of a user who does not exist",
    "x" * 3000: "3000 characters",
    "long/" * 900 + "a": "4501 characters",
    "nul\0": "null",
}


@pytest.mark.parametrize("path", ODD, ids=lambda path: path[:12].replace("\0", ""))
@pytest.mark.parametrize("of", [str, Path])
def test_paths_that_cannot_be(path, of):
    with pytest.raises(ConfigError, match=ODD[path]) as refused:
        user_path(of(path))
    assert len(str(refused.value)) < 400


def test_the_home_and_what_is_not_there_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("USERPROFILE" if sys.platform == "win32" else "HOME", str(tmp_path))
    assert user_path("~/new/folder") == tmp_path / "new" / "folder"
    (tmp_path / "file").touch()
    assert user_path(tmp_path / "file" / "below") == tmp_path / "file" / "below"


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_link_to_itself_is_no_folder(tmp_path):
    (tmp_path / LOOP).symlink_to(LOOP)
    with pytest.raises(ConfigError, match="symbolic links"):
        user_path(tmp_path / LOOP / "data")


@pytest.mark.parametrize("path", ["~nouser/data", "x" * 3000])
@pytest.mark.parametrize(
    "call",
    [
        *(limner.check, limner.stats, limner.plan, limner.browse, limner.split, limner.train, limner.tune),
        *(limner.evaluate, limner.report, limner.load, limner.measure, resume),
        lambda path: limner.predict(path, "images", out="out"),
        lambda path: limner.predict("model", "images", out=path),
        lambda path: limner.convert(path, "out", to="voc"),
        lambda path: limner.convert("data", path, to="voc"),
        lambda path: limner.compare([path, "run"]),
        lambda path: limner.compare_networks(path, ["unet"]),
        lambda path: limner.explain(path, "image.png", class_name="cell"),
        lambda path: limner.explain("model", path, class_name="cell"),
        lambda path: limner.import_checkpoint(path, out="out"),
        lambda path: limner.demo(folder=path),
    ],
)
def test_every_function_says_so(call, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"who does not exist here|3000 characters"):
        call(path)
    assert [*tmp_path.iterdir()] == []
