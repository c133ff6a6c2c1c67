from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.pairs.instance_masks import InstanceMasks
from limner.formats.pairs.paired_folders import PairedFolders


def build(root: Path, cells: dict[str, list[np.ndarray]]) -> Path:
    for name, masks in cells.items():
        for kind in ("images", "masks"):
            (root / name / kind).mkdir(parents=True)
        Image.fromarray(np.full((4, 5, 4), 9, np.uint8)).save(root / name / "images" / f"{name}.png")
        for i, mask in enumerate(masks):
            Image.fromarray(mask).save(root / name / "masks" / f"{i}.png")
    return root


def spot(row: int, column: int, shape: tuple[int, int] = (4, 5)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[row, column] = 255
    return mask


def test_instances_are_united(tmp_path: Path) -> None:
    # The second and third overlap at (1, 2).
    source = open_source(build(tmp_path, {"a": [spot(0, 0), spot(1, 2), spot(1, 2)], "b": [spot(3, 4)]}))
    assert isinstance(source, InstanceMasks)
    values = source.read_values(source.records[0])
    expected = np.zeros((4, 5), int)
    expected[0, 0] = expected[1, 2] = 1
    np.testing.assert_array_equal(values, expected)
    assert source.read_image(source.records[0]).array.shape == (4, 5, 3)
    table = source.declared_labels()
    assert table is not None
    assert table.names == ("background", "object")
    assert table.encode(values).tolist() == expected.tolist()


def test_splits_around_the_folders(tmp_path: Path) -> None:
    build(tmp_path / "stage1_train", {"a": [spot(0, 0), spot(1, 1)]})
    build(tmp_path / "validation", {"b": [spot(0, 0), spot(1, 1)]})
    source = open_source(tmp_path)
    assert {r.name: r.split for r in source.records} == {"stage1_train/a": "train", "validation/b": "val"}


def test_gaps_are_told(tmp_path: Path) -> None:
    cells = {f"{i}": [spot(0, 0), spot(1, 1)] for i in range(20)}
    root = build(tmp_path, {**cells, "bare": [], "two": [spot(0, 0)]})
    Image.fromarray(spot(0, 0)).save(root / "two" / "images" / "second.png")
    source = open_source(root)
    assert {f.code: f.count for f in source.findings} == {"image-without-mask": 1, "several-images": 1}
    assert len(source.records) == 21


def test_masks_of_two_sizes(tmp_path: Path) -> None:
    source = open_source(build(tmp_path, {"a": [spot(0, 0), spot(0, 0, (5, 4))]}))
    with pytest.raises(DataError, match=r"differ in size(.|\n)*1\.png(.|\n)*4x5(.|\n)*5x4 as in 0\.png"):
        source.read_values(source.records[0])


def test_paired_folders_of_several_images_are_not_taken_for_it(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for n in range(3):
            Image.fromarray(spot(0, n)).save(tmp_path / "set" / kind / f"{n}.png")
    assert isinstance(open_source(tmp_path), PairedFolders)


@pytest.mark.parametrize("mask", ["masks/{x}/{n}.png", "masks/{x}_{n}.png", "labels/{x}-mask-{n}.png"])
@pytest.mark.parametrize("around", ["", "train/"])
def test_masks_named_after_their_image(make_tree, mask: str, around: str) -> None:
    files: dict[str, object] = {}
    for number, x in enumerate(("scan_1", "scan_12", "b")):  # one name begins like another one
        files[f"{around}images/{x}.jpg"] = np.full((4, 5, 3), number, np.uint8)
        for n in range(number + 1):
            files[around + mask.format(x=x, n=n)] = spot(n, number)
    source = open_source(make_tree(files))
    assert isinstance(source, InstanceMasks)
    found = {r.image.stem: [(s.split or "") + str(len(s.labels)) for s in (r,)][0] for r in source.records}
    split = around.removesuffix("/")
    assert found == {"scan_1": f"{split}1", "scan_12": f"{split}2", "b": f"{split}3"}
    third = next(r for r in source.records if r.image.stem == "b")
    assert np.argwhere(source.read_values(third)).tolist() == [[0, 2], [1, 2], [2, 2]]


def test_numbered_pairs_are_pairs(make_tree) -> None:
    files: dict[str, object] = {f"images/seq_{n}.png": np.full((4, 5, 3), n, np.uint8) for n in range(4)}
    files |= {f"masks/seq_{n}.png": spot(n, 0) for n in range(4)}
    assert isinstance(open_source(make_tree(files)), PairedFolders)


def test_masks_beside_the_image_as_in_busi(make_tree) -> None:
    """One lesion a file; the second of an image is ``_mask_1``, and a healthy image has an empty mask."""
    photo = np.full((4, 5, 3), 90, np.uint8)
    tree = {f"{kind}/{kind} ({n}).png": photo for kind in ("benign", "normal") for n in (1, 2)}
    tree |= {f"benign/benign ({n})_mask.png": spot(0, n) for n in (1, 2)}
    tree |= {f"normal/normal ({n})_mask.png": 0 * spot(0, 0) for n in (1, 2)}
    source = open_source(make_tree({**tree, "benign/benign (2)_mask_1.png": spot(3, 3)}))
    assert source.name == "instance-masks"
    both = {r.name: source.read_segments(r) for r in source.records}
    assert [r.split for r in source.records] == [None] * 4
    assert {name: (s.labels == 1).sum() for name, s in both.items()} == {
        "benign/benign (1)": 1,
        "benign/benign (2)": 2,
        "normal/normal (1)": 0,
        "normal/normal (2)": 0,
    }
    values = source.read_values(source.records[1])
    assert np.argwhere(values).tolist() == [[0, 2], [3, 3]]


def test_one_mask_beside_each_image_is_a_pair(make_tree) -> None:
    photo = np.full((4, 5, 3), 90, np.uint8)
    tree = {"a_1.png": photo, "a_1_mask.png": spot(0, 0), "a_2.png": photo, "a_2_mask.png": spot(0, 1)}
    assert open_source(make_tree(tree)).name == "paired-folders"
