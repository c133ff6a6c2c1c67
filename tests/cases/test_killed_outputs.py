"""A command that is killed leaves no folder that looks finished, and --resume makes it as if undisturbed."""

import os

import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import ConfigError, DataError
from limner.storage.unfinished import UNFINISHED
from limner.weights.bundle import save_model

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")


def content(folder):
    """File -> bytes, except the list of own files, which holds times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".limner-files.json"
    }


@pytest.fixture
def model(tiny_model, cells, tmp_path):
    save_model(tmp_path / "model", tiny_model(data=cells), origin={})
    return tmp_path / "model"


@pytest.fixture
def shapes(tree):
    """Four images with one mask file per object."""
    draw = np.random.default_rng(0)
    files = {}
    for name in "abcd":
        files[f"{name}/images/{name}.png"] = draw.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        for number in range(2):
            mask = np.zeros((20, 24), np.uint8)
            mask[2 + 8 * number : 8 + 8 * number, 3:15] = 255
            files[f"{name}/masks/{name}{number}.png"] = mask
    return tree(files)


# Each image is two files; the last ones are settings and lists. The first file of all is the record itself.
MOMENTS = [(2, False), (3, True), (6, False), (9, True)]


def test_a_killed_conversion_is_resumed(cells, tmp_path, kill):
    limner.convert(cells, tmp_path / "whole", to="paired-folders")
    outs = {moment: tmp_path / "{}-{}".format(*moment) for moment in MOMENTS}
    kill(*((*at, "convert", [str(cells), str(out)], {"to": "paired-folders"}) for at, out in outs.items()))
    for out in outs.values():
        assert (out / UNFINISHED).is_file()
        for refused in (limner.check, lambda path: limner.convert(cells, path, to="paired-folders")):
            with pytest.raises(DataError, match=r"not finished.*\n.*images done[^^]*--resume"):
                refused(out)
        limner.convert(cells, out, to="paired-folders", resume=True)
        assert content(out) == content(tmp_path / "whole")
        assert len(limner.check(out).source.records) == 6


@pytest.mark.parametrize("to", ["coco-instances", "coco-panoptic", "labelme", "yolo"])
def test_killed_conversions_of_objects_are_resumed(shapes, tmp_path, to, kill):
    limner.convert(shapes, tmp_path / "whole", to=to, lossy=True)
    outs = [tmp_path / "killed-4", tmp_path / "killed-6"]
    kill(
        *(
            (int(out.name[-1]), True, "convert", [str(shapes), str(out)], {"to": to, "lossy": True})
            for out in outs
        )
    )
    for out in outs:
        limner.convert(shapes, out, to=to, lossy=True, resume=True)
        assert content(out) == content(tmp_path / "whole")


def test_a_conversion_is_not_resumed_from_other_data(cells, tmp_path, kill):
    out = tmp_path / "out"
    kill((5, True, "convert", [str(cells), str(out)], {"to": "paired-folders"}))
    with pytest.raises(ConfigError, match="format: voc"):
        limner.convert(cells, out, to="voc", lossy=True, resume=True)
    mask = cells / "masks" / "cell_0.png"
    mask.write_bytes((cells / "masks" / "cell_1.png").read_bytes())
    (cells / "images" / "cell_0.png").write_bytes((cells / "images" / "cell_1.png").read_bytes())
    with pytest.raises(ConfigError, match="content: 6 images"):
        limner.convert(cells, out, to="paired-folders", resume=True)


def test_a_file_deleted_after_the_kill_is_written_again_and_an_edited_one_is_kept(cells, tmp_path, kill):
    limner.convert(cells, tmp_path / "whole", to="paired-folders")
    out = tmp_path / "out"
    kill((7, True, "convert", [str(cells), str(out)], {"to": "paired-folders"}))
    (out / "masks" / "cell_0.png").unlink()
    edited = out / "masks" / "cell_1.png"
    edited.write_bytes(b"mine")
    with (out / UNFINISHED).open("a") as file:
        file.write('{"item": "cell_5", "ent')
    with pytest.raises(ConfigError, match=r"cell_1\.png\n.*changed since"):
        limner.convert(cells, out, to="paired-folders", resume=True)
    assert edited.read_bytes() == b"mine"
    edited.unlink()
    limner.convert(cells, out, to="paired-folders", resume=True)
    assert content(out) == content(tmp_path / "whole")


def test_a_killed_prediction_is_resumed(model, cells, tmp_path, kill):
    options = {"device": "cpu", "probabilities": True, "compare": str(cells)}
    whole = limner.predict(model, cells / "images", out=tmp_path / "whole", **options)
    outs = {moment: tmp_path / "{}-{}".format(*moment) for moment in MOMENTS[1:]}
    kill(
        *(
            (*at, "predict", [str(model), str(cells / "images")], {"out": str(out), **options})
            for at, out in outs.items()
        )
    )
    for out in outs.values():
        with pytest.raises(DataError, match="not finished"):
            limner.evaluate(predictions=out, data=cells, out=tmp_path / "scores")
        with pytest.raises(ConfigError, match="--resume"):
            limner.predict(model, cells / "images", out=out, **options)
        with pytest.raises(ConfigError, match="model|options"):
            limner.predict(model, cells / "images", out=out, **options | {"compare": None}, resume=True)
        done = limner.predict(model, cells / "images", out=out, **options, resume=True)
        assert content(out) == content(tmp_path / "whole")
        assert [mask.name for mask in done.masks] == [mask.name for mask in whole.masks]


def test_the_commands_resume(model, cells, tmp_path, kill):
    arguments = [str(cells), str(tmp_path / "out"), "--to", "paired-folders"]
    kill((4, True, "convert", arguments[:2], {"to": "paired-folders"}))
    assert CliRunner().invoke(app, ["convert", *arguments]).exit_code != 0
    assert CliRunner().invoke(app, ["convert", *arguments, "--resume"]).exit_code == 0
    predict = ["predict", str(model), str(cells / "images"), "--out", str(tmp_path / "masks")]
    assert CliRunner().invoke(app, [*predict, "--device", "cpu", "--resume"]).exit_code == 0


def test_a_killed_split_leaves_no_list(cells, kill):
    before = content(cells)
    kill((2, True, "split", [str(cells)], {"val": 0.4}))
    shown = {name: data for name, data in content(cells).items() if not name.startswith(".")}
    assert shown == before
    limner.split(cells, val=0.4)
    assert sorted(path.name for path in (cells / "splits").iterdir()) == ["train.txt", "val.txt"]
    assert not list(cells.glob(".*"))
