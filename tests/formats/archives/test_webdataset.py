"""Images with labels in tar archives: what is read, and what is reported."""

import io
import tarfile
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

import limner
from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.archives.tar_samples import key_of, tar_samples
from limner.storage.tar_members import tar_members


def png(value, size=(40, 40)):
    file = io.BytesIO()
    pixels = np.random.default_rng(value).integers(0, 2, size, dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path, monkeypatch):
    """Two images for training, and one to validate."""
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "shards"
    root.mkdir()
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        members = {}
        for n in numbers:
            members |= {f"{n}.png": png(n), f"{n}.mask.png": png(n + 10), f"{n}.json": b"{}"}
        write(root / f"{split}-000000.tar", members)
    (root / "dataset.yaml").write_text("classes: [a, b]\n", "utf-8")
    return root


def parts(*members):
    return [(s.key, s.image, s.mask, s.classes) for s in tar_samples(members)]


def test_members_of_a_key():
    assert parts("a/1.jpg", "a/1.seg.png", "1.JPG", "1.cls", "1.txt") == [
        ("a/1", "a/1.jpg", "a/1.seg.png", []),
        ("1", "1.JPG", None, ["1.cls"]),
    ]
    assert parts("1.png", "1.jpg") == [("1", "1.jpg", "1.png", [])]  # a PNG beside a JPEG
    assert parts("photo.v1.jpg", "photo.v2.jpg") == [
        ("photo.v1", "photo.v1.jpg", None, []),
        ("photo.v2", "photo.v2.jpg", None, []),
    ]
    assert parts(".hidden.png", "README", "a.mask.png") == [("a", None, "a.mask.png", [])]
    for stem in ("a.b", "50%.x", ".a"):
        assert parts(f"{key_of(stem)}.jpg", f"{key_of(stem)}.mask.png")[0][0] == stem


def test_splits_come_from_the_names_of_the_archives(shards):
    source = open_source(shards)
    assert source.name == "webdataset"
    assert {record.name: record.split for record in source.records} == {
        "0": "train",
        "1": "train",
        "2": "val",
    }
    checked = limner.check(shards)
    assert not checked.errors and checked.labels.names == ("a", "b")


def test_an_archive_that_is_cut_off_is_an_error_that_names_it_and_the_member(shards):
    path = shards / "train-000000.tar"
    start, _ = tar_members(path).place_of("1.mask.png")
    path.write_bytes(path.read_bytes()[: start + 5])
    (found,) = [finding for finding in limner.check(shards).errors if finding.code == "archive-damaged"]
    assert found.where == "train-000000.tar"
    assert found.found == f"it ends at byte {start + 5}, inside 1.mask.png"


def test_a_damaged_member_is_named_with_its_archive(shards):
    path = shards / "val-000000.tar"
    data = bytearray(path.read_bytes())
    start = data.index(b"\x89PNG")
    data[start + 60] ^= 255
    path.write_bytes(data)
    assert any("val-000000.tar/2.png" in finding.files for finding in limner.check(shards).errors)
    with pytest.raises(DataError, match=r"val-000000\.tar/2\.png"):
        source = open_source(shards)
        source.read_image(source.records[2])


def test_images_and_masks_without_the_other_are_reported(shards):
    write(shards / "train-000001.tar", {"8.png": png(8), "9.mask.png": png(9)})
    source = open_source(shards)
    found = {finding.code: finding.files for finding in source.findings}
    assert found["image-without-mask"] == ("8",)
    assert found["mask-without-image"] == ("train-000001.tar/9.mask.png",)


def test_a_key_in_two_archives_has_two_names(shards):
    write(shards / "train-000001.tar", {"0.png": png(8), "0.mask.png": png(9)})
    names = [record.name for record in open_source(shards).records]
    assert names == ["1", "2", "train-000000/0", "train-000001/0"]


def test_classes_without_names_and_images_without_a_class(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data"
    root.mkdir()
    write(
        root / "a.tar", {"0.png": png(0), "0.cls": b"2\n", "1.png": png(1), "2.png": png(2), "2.cls": b"cat"}
    )
    source = open_source(root)
    assert source.name == "webdataset-classes"
    assert [(record.name, record.label) for record in source.records] == [("0", 2)]
    assert source.declared_labels().names == ("class 0", "class 1", "class 2")
    (found,) = [finding for finding in source.findings if finding.code == "listed-class-unclear"]
    assert found.files == ("a.tar/1.png", "a.tar/2.png")


def test_checksums_are_those_of_the_archives(cells, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    limner.convert(cells, tmp_path / "out", to="webdataset")
    rows = [line.split("  ") for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines()]
    assert [name for _, name in rows] == ["data-000000.tar"]
    for digest, name in rows:
        assert sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "SHA256SUMS",
        "data-000000.tar",
        "dataset.yaml",
    ]
