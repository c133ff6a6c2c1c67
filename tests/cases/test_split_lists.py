"""Lists of splits are used wherever people put them; a list that is not used is reported with the reason."""

import json

import numpy as np
import pytest

import limner
from limner.inference.image_paths import list_images

SPLITS = {"train": (0, 1, 2, 3), "val": (4, 5), "test": (6, 7)}


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def half():
    mask = np.zeros((16, 16), np.uint8)
    mask[:, :8] = 1
    return mask


def pairs():
    names = [i for numbers in SPLITS.values() for i in numbers]
    return {f"images/im{i}.png": noise(i) for i in names} | {f"masks/im{i}.png": half() for i in names}


def lists(pattern, suffix=""):
    return {
        pattern.format(split): "".join(f"im{i}{suffix}\n" for i in numbers)
        for split, numbers in SPLITS.items()
    }


def found_splits(root):
    checked = limner.check(root)
    names = {
        split: sorted(r.name.rsplit("/")[-1] for r in records) for split, records in checked.splits.items()
    }
    return names, checked.findings


EXPECTED = {split: [f"im{i}" for i in numbers] for split, numbers in SPLITS.items()}


@pytest.mark.parametrize("suffix", ["", ".png"])
@pytest.mark.parametrize(
    "pattern",
    [
        "{}.txt",
        "splits/{}.txt",
        "split/{}_list.csv",
        "lists/{}.lst",
        "ImageSets/{}.txt",
        "ImageSets/Segmentation/{}.txt",
        "{}/images.txt",
    ],
)
def test_lists_beside_images_and_masks(tree, pattern, suffix):
    names, findings = found_splits(tree(pairs() | lists(pattern, suffix)))
    assert names == EXPECTED
    assert "split-list-not-used" not in {finding.code for finding in findings}


@pytest.mark.parametrize(
    "pattern", ["{}.txt", "splits/{}.txt", "ImageSets/{}.txt", "ImageSets/Segmentation/{}.txt"]
)
def test_lists_of_a_voc_folder(tree, pattern):
    numbers = [i for some in SPLITS.values() for i in some]
    files = {f"JPEGImages/im{i}.jpg": noise(i) for i in numbers}
    files |= {f"SegmentationClass/im{i}.png": half() for i in numbers}
    names, _ = found_splits(tree(files | lists(pattern) | {"class_names.txt": "background\nleaf\n"}))
    assert names == EXPECTED


def unused(findings):
    return [finding for finding in findings if finding.code == "split-list-not-used"]


def test_lists_that_fractions_replace_are_reported(tree):
    root = tree(pairs() | lists("{}.txt") | {"dataset.yaml": "splits: {val: 0.25}"})
    (finding,) = unused(found_splits(root)[1])
    assert set(finding.files) == {"train.txt", "val.txt", "test.txt"}
    assert "dataset.yaml sets fractions" in finding.found


def test_a_second_set_of_lists_is_reported(tree):
    other = {"splits/fold/train.txt": "im6\nim7\n", "lists_old/train.txt": "im4\nim5\n"}
    names, findings = found_splits(tree(pairs() | lists("{}.txt") | other))
    assert names == EXPECTED
    (finding,) = unused(findings)
    assert (
        set(finding.files) == set(other)
        and "the splits come from test.txt, train.txt, val.txt" in finding.found
    )


def test_lists_that_folders_contradict_are_reported_and_lists_that_agree_are_not(tree):
    files = {
        f"{split}/{kind}/im{i}.png": (noise(i) if kind == "images" else half())
        for split, numbers in SPLITS.items()
        for i in numbers
        for kind in ("images", "masks")
    }
    root = tree(files | lists("{}.txt"))
    names, findings = found_splits(root)
    assert names == EXPECTED and not unused(findings)
    (root / "train.txt").write_text("im6\nim7\n")
    (finding,) = unused(found_splits(root)[1])
    assert finding.files == ("train.txt",) and "the folders of the images give the splits" in finding.found


PATTERNS = [
    "{}.txt",
    "splits/{}.txt",
    "split/{}_list.csv",
    "lists/{}.tsv",
    "ImageSets/{}.txt",
    "ImageSets/Segmentation/{}.txt",
    "{}/images.txt",
]

WAYS = {
    "the stem": ("", "im{}"),
    "the file": ("", "im{}.png"),
    "the path": ("", "images/im{}.png"),
    "a path of another machine": ("", "C:\\data\\images\\im{}.png"),
    "image and mask": ("", "images/im{}.png masks/im{}.png"),
    "a comment first": ("# made by hand\n\n", "im{}.png"),
    "a CSV with a heading": ("filename,width\n", "im{}.png,16"),
    "the image in a later column": (",width,filename\n", "9{},16,im{}.png"),
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("way", WAYS)
def test_check_and_predict_read_the_same_lists(tree, pattern, way):
    heading, line = WAYS[way]
    written = {
        pattern.format(split): heading + "".join(line.replace("{}", str(i)) + "\n" for i in numbers)
        for split, numbers in SPLITS.items()
    }
    root = tree(pairs() | written)
    names, findings = found_splits(root)
    assert names == EXPECTED
    assert "split-names-unknown-image" not in {finding.code for finding in findings}
    for split, numbers in SPLITS.items():
        images = list_images([root / pattern.format(split)])
        assert [image.path.resolve() for image in images] == [
            (root / f"images/im{i}.png").resolve() for i in numbers
        ]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_evaluate_scores_the_images_of_a_list(tree, pattern):
    root = tree(pairs() | lists(pattern))
    out = root.parent / "scores"
    limner.evaluate(predictions=root / "masks", data=root, split="val", out=out)
    rows = (out / "per_image.csv").read_text().splitlines()[1:]
    assert sorted(row.split(",")[0] for row in rows) == EXPECTED["val"]


@pytest.mark.parametrize("folds", [0, 2])
@pytest.mark.parametrize("outside", [False, True])
def test_the_lists_that_split_writes_are_read_by_all(tree, tmp_path, folds, outside):
    root = tree(pairs())
    out = tmp_path / "elsewhere" if outside else None
    divided = limner.split(root, folds=folds, out=out)
    place = (out or root / "splits") / ("fold_1" if folds else "")
    if outside:
        lists = ", ".join(f"{split}: {place / split}.txt" for split in divided.folds[0])
        (root / "dataset.yaml").write_text(f"splits: {{{lists}}}")
    names, _ = found_splits(root)
    for split, files in divided.folds[0].items():
        found = [image.path.resolve() for image in list_images([place / f"{split}.txt"])]
        assert found == [(root / file).resolve() for file in files]
        assert names[split] == [file.removeprefix("images/").removesuffix(".png") for file in files]


def test_a_list_of_missing_images_names_them(tree):
    root = tree(pairs() | {"splits/val.txt": "nowhere1\nnowhere2\n"})
    assert [image.path.name for image in list_images([root / "splits/val.txt"])] == ["nowhere1", "nowhere2"]


def test_a_list_inside_its_own_folder_is_found_from_there(tree, monkeypatch):
    root = tree(pairs() | lists("splits/{}.txt"))
    monkeypatch.chdir(root / "splits")
    assert [image.path.stem for image in list_images(["val.txt"])] == ["im4", "im5"]


def origins(root):
    return limner.check(root).split_origins


FOLDERS = {
    f"{split}/{kind}/im{i}.png": (noise(i) if kind == "images" else half())
    for split, numbers in SPLITS.items()
    for i in numbers
    for kind in ("images", "masks")
}


def test_check_says_where_each_split_comes_from(tree, capsys):
    from limner.cli.check_output import show

    root = tree(pairs())
    assert origins(root) == {"train": "the other images", "val": "20 % drawn by limner with seed 0"}
    (root / "dataset.yaml").write_text("splits: {val: 0.25, test: 0.25, seed: 3}")
    assert origins(root) == {
        "train": "the other images, as in dataset.yaml",
        "val": "25 % drawn by limner with seed 3, as in dataset.yaml",
        "test": "25 % drawn by limner with seed 3, as in dataset.yaml",
    }
    tree({"a.txt": "im0\nim1\n", "b.txt": "im2\nim3\n"})
    (root / "dataset.yaml").write_text("splits: {train: a.txt, val: b.txt}")
    assert origins(root) == {"train": "a.txt, as in dataset.yaml", "val": "b.txt, as in dataset.yaml"}
    show(limner.check(root), root)
    assert "train 2: a.txt, as in dataset.yaml" in capsys.readouterr().out


def test_check_says_that_lists_give_the_splits(tree):
    assert origins(tree(pairs() | lists("lists/{}_list.txt"))) == {
        split: f"lists/{split}_list.txt" for split in SPLITS
    }


def test_check_says_that_folders_give_the_splits(tree):
    assert origins(tree(FOLDERS)) == {split: f"folder {split}/" for split in SPLITS}


def test_check_says_what_was_drawn_of_a_training_folder(tree):
    root = tree({name: content for name, content in FOLDERS.items() if not name.startswith("val")})
    assert origins(root)["val"] == "20 % of train drawn by limner with seed 0"


def test_check_says_that_the_format_gives_the_splits(tree):
    lines = {split: "".join(f"im{i}.png im{i}_m.png\n" for i in some) for split, some in SPLITS.items()}
    files = {f"im{i}.png": noise(i) for some in SPLITS.values() for i in some}
    files |= {f"im{i}_m.png": half() for some in SPLITS.values() for i in some}
    listed = {f"{split}.txt": text for split, text in lines.items()}
    assert origins(tree(files | listed)) == {split: f"{split}.txt" for split in SPLITS}


def test_check_says_that_data_yaml_gives_the_splits(tree):
    """YOLO's data.yaml names folders or lists."""
    files = {f"images/{kind}/im{i}.png": noise(i) for kind in "ab" for i in range(3)}
    files |= {f"labels/{kind}/im{i}.txt": "0 0.5 0.5 0.5 0.5\n" for kind in "ab" for i in range(3)}
    root = tree(files | {"data.yaml": "train: images/a\nval: images/b\nnames: [leaf]\n"})
    assert origins(root) == {"train": "images/a", "val": "images/b"}


def test_check_says_that_label_files_give_the_splits(tree):
    def coco(numbers):
        return json.dumps(
            {
                "images": [{"id": i, "file_name": f"im{i}.png", "width": 16, "height": 16} for i in numbers],
                "categories": [{"id": 1, "name": "leaf"}],
                "annotations": [
                    {
                        "id": i,
                        "image_id": i,
                        "category_id": 1,
                        "segmentation": [[1, 1, 9, 1, 9, 9]],
                        "bbox": [1, 1, 8, 8],
                        "area": 32,
                        "iscrowd": 0,
                    }
                    for i in numbers
                ],
            }
        )

    files = {f"images/im{i}.png": noise(i) for some in SPLITS.values() for i in some}
    root = tree(files | {f"annotations/{split}.json": coco(some) for split, some in SPLITS.items()})
    assert origins(root) == {split: f"annotations/{split}.json" for split in SPLITS}
