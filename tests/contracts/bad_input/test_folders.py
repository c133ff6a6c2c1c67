"""Folders that hold no dataset, or files that are no files: each is a message, and the rest is handled."""

import os

import pytest


def test_an_empty_folder(limner, tmp_path):
    (tmp_path / "data").mkdir()
    for verb in ("check", "plan", "train"):
        limner(verb, "data").refuses(
            "The dataset folder is empty: data", "expected: images and their masks", "fix: Put them there"
        )


def test_a_missing_folder(limner):
    limner("train", "nowhere").refuses("There is no such dataset folder: nowhere", "fix: Check the spelling")


def test_a_file_instead_of_a_folder(limner, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    limner("check", "photo.png").refuses("A dataset folder was expected: photo.png", "found: a single file")


def test_images_without_masks(limner, cells):
    for mask in (cells / "masks").iterdir():
        mask.unlink()
    (cells / "dataset.yaml").unlink()
    limner("check", "data").refuses("No images with masks were found: data", "12 image", "fix:")


def test_a_folder_named_like_an_image(limner, cells):
    (cells / "images" / "cell_99.png").mkdir()
    answer = limner("check", "data")
    assert answer.code == 0
    answer.says("folder-named-like-image images/cell_99.png", "fix Rename it.", "images 12, 12 with masks")


def test_links_that_loop_or_lead_nowhere(limner, cells):
    (cells / "images" / "loop").symlink_to(cells)
    assert limner("check", "data").code == 0
    (cells / "images" / "itself.png").symlink_to("itself.png")
    (cells / "images" / "gone.png").symlink_to("nowhere.png")
    answer = limner("check", "data")
    answer.says("folder-linked-twice images/loop", "images 14, 12 with masks", "fix Remove it.")
    answer.says("image-without-mask images/gone.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_that_would_never_end(limner, cells):
    os.mkfifo(cells / "images" / "cell_77.png")
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("images/cell_77.png", "a pipe or a device rather than a file", "images 13, 12 with masks")


@pytest.mark.parametrize(("part", "code"), [("images", "image-unreadable"), ("masks", "mask-unreadable")])
def test_a_file_without_read_permission(limner, cells, monkeypatch, part, code):
    locked = cells / part / "cell_03.png"
    locked.chmod(0)
    if os.access(locked, os.R_OK):  # the superuser may read everything, so the system's answer is imitated
        read = type(locked).read_bytes

        def refusing(path):
            if path.name == locked.name and path.parent.name == part:
                raise PermissionError(13, "Permission denied", str(path))
            return read(path)

        monkeypatch.setattr("limner.images.pixels.Path.read_bytes", refusing)
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says(f"{code} {part}/cell_03.png", "no read permission", "chmod u+r", "images 12, 12 with masks")


def test_names_of_any_language_work(limner, cells, tiny):
    for path in (*(cells / "images").iterdir(), *(cells / "masks").iterdir()):
        path.rename(path.with_name(path.name.replace("cell_", "Zellé [图] ")))
    cells.rename(cells.with_name("meine Dâten 図"))
    assert limner("check", "meine Dâten 図").code == 0
    answer = limner("train", "meine Dâten 図", "--run", "ein Lauf", *tiny)
    assert answer.code == 0, answer
    images = "meine Dâten 図/images"
    limner("predict", "runs/ein Lauf", images, "--out", "out", "--device", "cpu").says("12 of 12 images")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps names as text")
def test_a_name_in_another_encoding_is_passed_over(limner, cells, tiny):
    for part in ("images", "masks"):
        garbled = os.fsencode(cells / part) + b"/gr\xfcn.png"
        try:
            with open(garbled, "wb") as file:  # noqa: PTH123 - the name is no text
                file.write((cells / part / "cell_00.png").read_bytes())
        except OSError:
            pytest.skip("this file system keeps names as text")
    answer = limner("check", "data")
    assert answer.code == 0
    answer.says("name-garbled images/gr\\xfcn.png", "fix Rename", "images 12, 12 with masks")
    assert limner("train", "data", *tiny).code == 0


def test_dataset_yaml_that_is_a_folder_or_no_text(limner, cells):
    (cells / "dataset.yaml").write_bytes("classes: [bär, zelle]".encode("latin-1"))
    limner("check", "data").refuses(
        "dataset.yaml cannot be read: data/dataset.yaml", "0xe4", "a text file in UTF-8", "fix:"
    )
    (cells / "dataset.yaml").unlink()
    (cells / "dataset.yaml").mkdir()
    limner("check", "data").refuses("dataset.yaml cannot be read: data/dataset.yaml", "directory")
