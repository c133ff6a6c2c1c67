import tarfile
import tracemalloc
from io import BytesIO

import pytest

from limner.core.errors import DataError
from limner.inference import image_listing
from limner.inference.image_listing import listed_images
from limner.inference.image_paths import list_images
from limner.storage import text_files


def write_archive(path, names):
    with tarfile.open(path, "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), BytesIO())
    return path


@pytest.fixture
def shards(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "shards").mkdir()
    for number in range(8, 11):
        names = [f"{number}{n}.{kind}" for n in range(2) for kind in ("jpg", "mask.png", "json")]
        write_archive(tmp_path / "shards" / f"x-{number:03d}.tar", names)
    return tmp_path / "shards"


def outputs(*named):
    return [image.output for image in list_images(named)]


def test_archives_by_name_number_glob_and_list(shards):
    assert outputs(shards / "x-008.tar") == ["80", "81"]
    assert outputs(f"{shards}/x-{{008..010}}.tar") == ["80", "81", "90", "91", "100", "101"]
    assert outputs(f"{shards}/x-00*.tar") == ["80", "81", "90", "91"]
    (shards / "list.txt").write_text("x-010.tar\nx-009.tar/91.jpg\n", "utf-8")
    assert outputs(shards / "list.txt") == ["100", "101", "91"]
    with pytest.raises(DataError, match=r"x-011\.tar"):
        outputs(f"{shards}/x-{{010..011}}.tar")


def test_a_folder_of_archives_has_a_folder_for_each(shards):
    assert outputs(shards) == [f"x-{n:03d}/{n}{k}" for n in range(8, 11) for k in range(2)]


def test_the_same_names_in_two_archives_are_kept_apart(tmp_path, shards):
    write_archive(tmp_path / "y.tar", ["80.png"])
    assert outputs(shards / "x-008.tar", tmp_path / "y.tar") == [
        "shards/x-008.tar/80",
        "shards/x-008.tar/81",
        "y.tar/80",
    ]


def test_archives_beside_images_are_left_alone(shards):
    (shards / "one.png").touch()
    assert outputs(shards) == ["one"]


def test_an_archive_without_images_is_an_error(tmp_path):
    path = write_archive(tmp_path / "a.tar", ["notes.txt", "volume.nii.gz"])
    with pytest.raises(DataError, match=r"(?s)nothing to predict.*a\.tar.*without images"):
        list(listed_images(path))


def test_addresses_in_a_list_and_of_a_folder(tmp_path):
    files = pytest.importorskip("fsspec").filesystem("memory")
    for name in ("a/1.jpg", "a/b/1.jpg", "a/notes.md"):
        files.pipe_file(f"/limner/{name}", b"x")
    assert outputs("memory://limner/a/") == ["1", "b/1"]
    (tmp_path / "list.txt").write_text("memory://limner/a/1.jpg\nhttps://host/2.png\n", "utf-8")
    assert outputs(tmp_path / "list.txt") == ["1", "2"]
    with pytest.raises(DataError, match="nothing to predict: memory://limner/none/"):
        outputs("memory://limner/none/")
    files.rm("/limner", recursive=True)


def test_the_lines_of_a_long_list_are_not_held(tmp_path):
    count = 40_000
    (tmp_path / "list.txt").write_text("".join(f"{number:06d}.png\n" for number in range(count)), "utf-8")
    (tmp_path / "000000.png").touch()
    tracemalloc.start()
    try:
        listed = listed_images(tmp_path / "list.txt")
        next(listed)
        here = [tracemalloc.Filter(True, module.__file__) for module in (image_listing, text_files)]
        held = tracemalloc.take_snapshot().filter_traces(here).statistics("filename")
    finally:
        tracemalloc.stop()
    assert sum(1 for _ in listed) == count - 1
    # The text has 11 bytes for each line, and a part of it is in lines; a string for each line takes 60 more.
    assert 11 <= sum(each.size for each in held) / count < 35
