"""Predictions at an address, in archives and in tables have the content of those in a folder."""

import io
import json
import sys
import tarfile
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import pytest
from predicted_files import files, predict

from limner.api import predict_shards
from limner.core.errors import ConfigError, DataError, MissingPartError
from limner.storage.remote_folder import RemoteFolder
from limner.storage.remote_requests import UnreachableError
from limner.storage.shard_ledger import SUMMARY
from limner.storage.unfinished import UNFINISHED

needs_fsspec = pytest.mark.skipif(not find_spec("fsspec"), reason="fsspec is not installed")


@pytest.fixture
def server(monkeypatch, tmp_path):
    from loopback_store import serving

    with serving(monkeypatch, tmp_path / "cache") as server:
        monkeypatch.setattr(RemoteFolder, "wait_seconds", 0.01)
        yield server


def stored(server, folder="bucket/results/"):
    """The objects below a folder, without the hidden summary."""
    found = {name.removeprefix(folder): data for name, data in server.objects.items()}
    return {name: data for name, data in found.items() if name != SUMMARY}


@needs_fsspec
def test_an_address_gets_the_files_of_a_folder_from_a_store_that_fails(run, cells, alone, server):
    server.fails_every, server.stores_half_every, server.loses_answer_every = 3, 5, 7
    out = server.address("bucket/results/")
    result = predict(run, cells / "images", out)
    assert stored(server) == alone and len(alone) == 12
    assert (result.num_predicted, result.failures, result.out) == (6, (), Path(out))
    assert predict(run, cells / "images", out) == result  # a host that starts late


@needs_fsspec
def test_only_what_is_left_is_predicted_after_an_interruption(
    run, cells, tmp_path, alone, server, monkeypatch
):
    read = []
    real = predict_shards.read_image

    def count(path, **options):
        read.append(path.name)
        if len(read) == 4:
            raise KeyboardInterrupt
        return real(path, **options)

    monkeypatch.setattr(predict_shards, "read_image", count)
    out = server.address("bucket/results")
    with pytest.raises(KeyboardInterrupt):
        predict(run, cells / "images", out)
    assert UNFINISHED in stored(server)
    with pytest.raises(DataError, match="not finished"):
        predict(run, f"{out}/", tmp_path / "other")
    predict(run, cells / "images", out)
    assert stored(server) == alone
    assert sorted(read) == sorted([f"cell_{n}.png" for n in range(6)] + ["cell_3.png"])


@needs_fsspec
def test_a_store_that_fails_for_good_stops_the_work_and_fails_no_image(run, cells, alone, server):
    out = server.address("bucket/results")
    server.is_read_only = True
    with pytest.raises(UnreachableError, match=r"(?s)cannot be written.*permission"):
        predict(run, cells / "images", out)
    server.is_read_only, server.stores_half_every = False, 1
    with pytest.raises(UnreachableError, match="of [0-9]+ bytes"):
        predict(run, cells / "images", out)
    server.stores_half_every = 0
    assert predict(run, cells / "images", out).num_predicted == 6
    assert stored(server) == alone


@needs_fsspec
def test_addresses_that_cannot_be_used_are_refused(run, cells, server, tmp_path):
    out = server.address("bucket/results")
    with pytest.raises(DataError, match=r"(?s)inside the folder of the images.*bucket/results"):
        predict(run, server.address("bucket/"), out)
    with pytest.raises(ConfigError, match="a folder on a disk"):
        predict(run, cells / "images", out, to="labelme")
    server.objects["bucket/results/mine.txt"] = b""
    with pytest.raises(ConfigError, match=r"mine\.txt in it"):
        predict(run, cells / "images", out)
    with pytest.raises(DataError, match="scheme that fsspec has a driver for"):
        predict(run, cells / "images", "nowhere://bucket/results")


def samples_of(archives):
    """Key -> kind -> content, as WebDataset groups the members of archives."""
    samples = defaultdict(dict)
    for data in archives:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                key, _, kind = member.name.partition(".")
                samples[key][kind] = archive.extractfile(member).read()
    return samples


def assert_samples(samples, alone, images):
    assert [*samples] == [f"cell_{n}" for n in range(6)]
    for key, sample in samples.items():
        assert [*sample] == ["png", "json", "masks.png", "overlays.png"]
        assert sample["png"] == (images / f"{key}.png").read_bytes()
        for kind in ("masks", "overlays"):
            assert sample[f"{kind}.png"] == alone[f"{kind}/{key}.png"]
        found = json.loads(sample["json"])
        assert found["image"] == str(images / f"{key}.png") and len(found["size"]) == 2
        assert sum(row["pixels"] for row in found["classes"]) == found["size"][0] * found["size"][1]


def test_archives_have_pairs_of_image_and_prediction(run, cells, tmp_path, alone):
    out = tmp_path / "out"
    result = predict(run, cells / "images", out, pack="tar")
    archives = files(out)
    assert [*sorted(archives)] == [f"part-{n:06d}.tar" for n in range(6)]
    assert_samples(samples_of(archives[name] for name in sorted(archives)), alone, cells / "images")
    assert (result.num_predicted, result.out) == (6, out)
    with pytest.raises(ConfigError, match="belongs to a different `limner predict`"):
        predict(run, cells / "images", out, processes=1)


@pytest.mark.peer
def test_webdataset_reads_the_pairs(run, cells, tmp_path, alone):
    webdataset = pytest.importorskip("webdataset")
    predict(run, cells / "images", tmp_path / "out", pack="tar", overlay=False)
    data = webdataset.WebDataset(str(tmp_path / "out" / "part-{000000..000005}.tar"), shardshuffle=False)
    pairs = {one["__key__"]: (one["png"], one["masks.png"]) for one in data}
    assert pairs == {
        f"cell_{n}": ((cells / "images" / f"cell_{n}.png").read_bytes(), alone[f"masks/cell_{n}.png"])
        for n in range(6)
    }


def test_archives_are_read_by_limner_with_each_image_once(run, cells, tmp_path):
    predict(run, cells / "images", tmp_path / "out", pack="tar")
    predict(run, cells / "images", tmp_path / "files", overlay=False)
    predict(run, tmp_path / "out", tmp_path / "again", overlay=False)
    masks = sorted((tmp_path / "again" / "masks").rglob("*.png"))
    assert [path.name for path in masks] == [f"cell_{n}.png" for n in range(6)]
    assert [path.read_bytes() for path in masks] == [
        (tmp_path / "files" / "masks" / path.name).read_bytes() for path in masks
    ]


@needs_fsspec
def test_archives_at_an_address_and_images_that_fail(run, cells, tmp_path, alone, server):
    (cells / "images" / "cell_1.png").write_bytes(b"words")
    result = predict(run, cells / "images", server.address("bucket/results"), pack="tar")
    assert result.num_predicted == 5 and "not an image" in result.failures[0].reason
    found = stored(server)
    assert len(found) == 6
    assert [*samples_of(found[name] for name in sorted(found))] == [f"cell_{n}" for n in (0, 2, 3, 4, 5)]


def test_a_lost_archive_is_written_again(run, cells, tmp_path, alone, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(predict_shards, "_sum_up", lambda *work: sys.exit())
        with pytest.raises(SystemExit):
            predict(run, cells / "images", out, pack="tar")
    (out / "part-000003.tar").write_bytes(b"")  # by a power cut
    predict(run, cells / "images", out, pack="tar")
    archives = files(out)
    assert_samples(samples_of(archives[name] for name in sorted(archives)), alone, cells / "images")


@pytest.mark.peer
def test_tables_have_a_row_for_each_image(run, cells, tmp_path, alone):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (cells / "images" / "cell_9.png").write_bytes(b"words")
    result = predict(run, cells / "images", tmp_path / "out", pack="parquet", processes=1)
    assert result.num_predicted == 6 and len(result.failures) == 1
    tables = [parquet.read_table(path) for path in sorted((tmp_path / "out").glob("part-*.parquet"))]
    assert len({table.schema.to_string() for table in tables}) == 1
    rows = [row for table in tables for row in table.to_pylist()]
    assert [row["name"] for row in rows] == [*(f"cell_{n}" for n in range(6)), "cell_9"]
    for row in rows[:-1]:
        assert row["image"] == str(cells / "images" / f"{row['name']}.png") and row["problem"] is None
        for kind in ("masks", "overlays"):
            assert row[f"{kind}.png"] == alone[f"{kind}/{row['name']}.png"]
        assert [one["name"] for one in row["classes"]] == ["background", "cell"]
        assert row["objects"] is None
    assert "not an image" in rows[-1]["problem"] and rows[-1]["masks.png"] is None


def test_packs_that_make_no_sense_are_refused(run, cells, tmp_path):
    with pytest.raises(ConfigError, match="one of tar, parquet; found 'tarr' .*'tar'"):
        predict(run, cells / "images", tmp_path / "out", pack="tarr")
    with pytest.raises(ConfigError, match="Omit --processes, --pack"):
        predict(run, cells / "images", tmp_path / "out", pack="tar", uncertain=2)
    if not find_spec("pyarrow"):
        with pytest.raises(MissingPartError, match="Writing Parquet needs pyarrow"):
            predict(run, cells / "images", tmp_path / "out", pack="parquet")
    assert not (tmp_path / "out").exists()
