import os
from pathlib import Path

import pytest

from limner.core.errors import DataError
from limner.formats import file_tree
from limner.inference.image_paths import list_images


@pytest.fixture
def tree(tmp_path):
    for name in (
        "a/one.png",
        "a/two.JPG",
        "a/b/one.png",
        "a/notes.md",
        "a/.hidden.png",
        "a/.x/one.png",
        "one.tif",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def outputs(paths, tree):
    return {image.path.relative_to(tree).as_posix(): image.output for image in list_images(paths)}


def test_a_folder_with_its_subfolders_keeps_their_names(tree):
    assert outputs([tree / "a"], tree) == {"a/b/one.png": "b/one", "a/one.png": "one", "a/two.JPG": "two"}


def test_one_file_and_a_glob_are_named_by_their_stem(tree):
    assert outputs([str(tree / "one.tif")], tree) == {"one.tif": "one"}
    assert outputs([str(tree / "a" / "*.png")], tree) == {"a/one.png": "one"}
    found = outputs([str(tree / "a" / "**" / "*.png")], tree)
    assert found == {"a/one.png": "a/one"[2:], "a/b/one.png": "b/one"}


def test_images_of_one_stem_are_kept_apart_by_their_folders(tree):
    found = outputs([tree / "one.tif", tree / "a" / "one.png"], tree)
    assert found == {"one.tif": "one", "a/one.png": "a/one"}


def test_images_of_one_stem_in_one_folder_are_kept_apart_by_their_suffix(tree):
    (tree / "a" / "one.bmp").touch()
    (tree / "a" / "ONE.gif").touch()  # the same file name where the file system ignores case
    found = outputs([tree / "a"], tree)
    assert found["a/one.png"] == "one_one_png"
    assert len({name.casefold() for name in found.values()}) == len(found) == 5


def test_a_file_named_twice_is_predicted_once(tree):
    assert len(list_images([tree / "a", tree / "a" / "one.png", str(tree / "a" / "*.png")])) == 3


def test_a_list_names_files_relative_to_itself(tree):
    (tree / "list.txt").write_text("\ufeffa/one.png\n\n# not this\none.tif\nmissing.png\n", encoding="utf-8")
    found = outputs([tree / "list.txt"], tree)
    assert found == {"a/one.png": "a/one", "one.tif": "one", "missing.png": "missing"}


def test_a_missing_file_is_kept_for_the_report(tree):
    assert list_images([tree / "nowhere.png"])[0].path == tree / "nowhere.png"


def test_a_file_with_a_bracket_in_its_name_is_no_glob(tree):
    (tree / "scan[1].png").touch()
    assert outputs([tree / "scan[1].png"], tree) == {"scan[1].png": "scan[1]"}


def test_a_loop_of_links_ends(tree):
    (tree / "a" / "b" / "up").symlink_to(tree / "a", target_is_directory=True)
    assert len(list_images([tree / "a"])) == 3


@pytest.mark.parametrize("name", ["empty", "nothing*.png", "empty.txt"])
def test_nothing_found_is_an_error_that_says_where(tree, name):
    (tree / "empty").mkdir()
    (tree / "empty.txt").touch()
    with pytest.raises(DataError, match=r"(?s)nothing to predict.*" + name.replace("*", r"\*")):
        list_images([tree / name])


def test_a_list_that_is_no_text_is_an_error(tree):
    (tree / "list.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DataError, match="cannot be read"):
        list_images([Path(tree / "list.txt")])


def test_a_folder_is_listed_once(tree, monkeypatch):
    listed = []
    real = file_tree._list
    monkeypatch.setattr(file_tree, "_list", lambda root: listed.append(root) or real(root))
    assert len(list_images([tree / "a"])) == 3
    assert listed.count(tree / "a") == 1


def test_images_whose_names_are_not_text_are_predicted_too(tree):
    odd = os.fsdecode(b"\xff\xfe.png")
    try:
        (tree / "a" / odd).touch()
    except OSError:
        pytest.skip("this file system takes text only")
    assert {image.path.name for image in list_images([tree / "a"])} == {"one.png", "two.JPG", odd}
