"""Predictions that several processes share give the files of one process."""

import io
import json
import tarfile

import pytest
from predicted_files import files, predict

from limner.api import predict_shards
from limner.core.errors import ConfigError, DataError
from limner.core.plan import InferencePlan
from limner.storage.folder_lock import this_process
from limner.storage.remote_requests import UnreachableError
from limner.storage.shard_ledger import LEDGER
from limner.storage.unfinished import UNFINISHED


def test_one_process_of_several_writes_what_one_process_writes(run, cells, tmp_path, alone):
    result = predict(run, cells / "images", tmp_path / "out", processes=1)
    assert files(tmp_path / "out") == alone and len(alone) == 12
    assert (result.num_predicted, result.failures, result.masks, result.num_lost) == (6, (), (), 0)
    assert not (tmp_path / "out" / LEDGER).exists()
    again = predict(run, cells / "images", tmp_path / "out", processes=1)  # a host that starts late
    assert again == result


def test_two_processes_and_a_claim_of_a_killed_one(run, cells, tmp_path, alone, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:  # the index is there, and a process died with a shard in hand
        patched.setattr(predict_shards, "work_on", lambda *work: iter(()))
        with pytest.raises(AssertionError):
            predict(run, cells / "images", out, processes=1)
    claim = this_process("") | {"started": "long ago"}
    (out / LEDGER / "claims" / "000002.0").write_text(json.dumps(claim), "utf-8")
    (out / "masks").mkdir()
    (out / "masks" / ".cell_2.png.1-1.part").touch()
    result = predict(run, cells / "images", out, processes=2)
    assert (result.num_predicted, result.num_lost) == (6, 0)
    assert files(out) == alone
    assert not (out / "masks" / ".cell_2.png.1-1.part").exists()


def test_only_what_is_left_is_predicted_after_an_interruption(run, cells, tmp_path, alone, monkeypatch):
    read = []
    real = predict_shards.read_image

    def count(path, **options):
        read.append(path.name)
        if len(read) == 4:
            raise KeyboardInterrupt
        return real(path, **options)

    monkeypatch.setattr(predict_shards, "read_image", count)
    with pytest.raises(KeyboardInterrupt):
        predict(run, cells / "images", tmp_path / "out", processes=1)
    assert (tmp_path / "out" / UNFINISHED).exists()
    with pytest.raises(ConfigError, match="interrupted in this folder(.|\n)*work"):
        predict(run, cells / "images", tmp_path / "out", resume=True)
    with pytest.raises(DataError, match="not finished"):
        predict(run, tmp_path / "out", tmp_path / "other")
    predict(run, cells / "images", tmp_path / "out", processes=1)
    assert files(tmp_path / "out") == alone
    assert sorted(read) == sorted([f"cell_{n}.png" for n in range(6)] + ["cell_3.png"])


def test_images_that_cannot_be_read_are_reported_in_order(run, cells, tmp_path):
    for name in ("cell_1.png", "cell_4.png"):
        (cells / "images" / name).write_bytes(b"words")
    result = predict(run, cells / "images", tmp_path / "out", processes=1)
    assert [failure.path.name for failure in result.failures] == ["cell_1.png", "cell_4.png"]
    assert result.num_predicted == 4 and "not an image" in result.failures[0].reason


def test_a_server_that_is_down_stops_the_work_and_fails_no_image(run, cells, tmp_path, alone, monkeypatch):
    def fail(path, **options):
        raise UnreachableError(f"{path.name}: 503")

    with monkeypatch.context() as patched:
        patched.setattr(predict_shards, "read_image", fail)
        with pytest.raises(UnreachableError, match=r"cell_0\.png"):
            predict(run, cells / "images", tmp_path / "out", processes=1)
    assert predict(run, cells / "images", tmp_path / "out", processes=1).num_predicted == 6
    assert files(tmp_path / "out") == alone


def test_other_images_options_and_folders_are_refused(run, cells, tmp_path):
    predict(run, cells / "images", tmp_path / "out", processes=1)
    with pytest.raises(ConfigError, match="belongs to a different `limner predict`"):
        predict(run, cells / "images", tmp_path / "out", processes=1, overlay=False)
    (cells / "images" / "new.png").write_bytes((cells / "images" / "cell_0.png").read_bytes())
    with pytest.raises(ConfigError, match="belongs to a different `limner predict`"):
        predict(run, cells / "images", tmp_path / "out", processes=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(ConfigError, match="an output folder of their own"):
        predict(run, cells / "images", tmp_path / "mine", processes=1)
    for options in ({"to": "labelme"}, {"uncertain": 2}):
        with pytest.raises(ConfigError, match="needs one process"):
            predict(run, cells / "images", tmp_path / "x", processes=1, **options)
    with pytest.raises(ConfigError, match="1 or more; found 0"):
        predict(run, cells / "images", tmp_path / "x", processes=0)
    with pytest.raises(ConfigError, match="cannot be sent to other processes"):
        predict(run, cells / "images", tmp_path / "x", processes=2, settings=lambda plan: InferencePlan())


def test_images_in_archives_have_the_results_of_their_files(run, cells, tmp_path, alone):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path in sorted((cells / "images").iterdir()):
            archive.add(path, path.name)
            archive.add(path, f"{path.stem}.mask.png")  # a label map, which is not predicted
    whole = data.getvalue()
    (tmp_path / "cells-0.tar").write_bytes(whole)
    (tmp_path / "cells-1.tar").write_bytes(whole[:2000])
    predict(run, tmp_path / "cells-{0..0}.tar", tmp_path / "out")
    assert files(tmp_path / "out") == alone
    result = predict(run, tmp_path / "cells-1.tar", tmp_path / "cut", processes=1)
    (failure,) = result.failures
    assert "is damaged" in failure.reason and "inside cell_0.png" in failure.reason
