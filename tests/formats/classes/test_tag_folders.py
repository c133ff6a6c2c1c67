import numpy as np

from limner.formats import open_source

PICTURES = [np.full((6, 9, 3), value, np.uint8) for value in range(6)]


def tags(source):
    names = source.declared_labels().names
    return {r.name: tuple(names[value] for value in source.read_tags(r)) for r in source.records}


def different():
    """Three pictures of each class, of the same names."""
    return {f"{kind}/{n}.png": PICTURES[n + 3 * i] for i, kind in enumerate(("sea", "sky")) for n in range(3)}


def test_copies_in_several_folders_are_one_image(make_tree):
    files = {f"train/{kind}/{n}.png": PICTURES[n] for kind in ("sea", "sky") for n in range(3)}
    source = open_source(make_tree(files | {"train/sky/3.png": PICTURES[3], "val/sea/0.png": PICTURES[4]}))
    assert source.name == "tag-folders"
    assert tags(source) == {
        **{f"train/sea/{n}.png": ("sea", "sky") for n in range(3)},
        "train/sky/3.png": ("sky",),
        "val/sea/0.png": ("sea",),
    }
    assert {r.split for r in source.records} == {"train", "val"}


def test_other_pictures_of_the_same_name_are_not_copies(make_tree):
    files = {
        f"{kind}/{n}.png": PICTURES[n + 3 * (kind == "sky")] for kind in ("sea", "sky") for n in range(3)
    }
    source = open_source(make_tree(files))
    assert source.name == "class-folders" and len(source.records) == 6


def test_a_few_copies_are_mistakes(make_tree):
    files = {
        f"{kind}/{n}.png": PICTURES[n + 3 * (kind == "sky")] for kind in ("sea", "sky") for n in range(3)
    }
    assert open_source(make_tree(files | {"sky/2.png": PICTURES[2]})).name == "class-folders"
