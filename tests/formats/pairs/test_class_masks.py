"""One mask for each class, in the ways that people arrange them."""

import numpy as np
import pytest

from limner.core.dataset_file import DatasetFile
from limner.core.errors import ConfigError, DataError
from limner.formats import open_source

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
DISC, CUP = np.zeros((2, 20, 30), np.uint8)
DISC[2:12, 2:12] = 255
CUP[5:8, 5:8] = 255  # inside the disc
WANTED = np.zeros((20, 30), np.uint8)
WANTED[2:12, 2:12] = 2
WANTED[5:8, 5:8] = 1  # alphabetical: cup is 1, disc is 2; the smaller is on top
NAMES = ("a1", "a2", "b7")

LAYOUTS = {
    "folders": ("images/{}.jpg", "masks/{}/{}.png"),
    "folders around": ("images/{}.jpg", "{}/masks/{}.png"),
    "folders beside": ("images/{}.jpg", "{}/{}.png"),
    "marked folders": ("img/{}.jpg", "{}_masks/{}.png"),
    "splits": ("train/images/{}.jpg", "train/masks/{}/{}.png"),
    "numbered, with affixes": ("1. Images/a. Training Set/{}.jpg", "2. Masks/a. Training Set/3. {}/{}_X.png"),
    "names": ("images/{1}.jpg", "masks/{1}_{0}.png"),
    "names, the class first": ("images/{1}.jpg", "masks/{0}-{1}.png"),
    "one folder": ("{1}.jpg", "{1}_{0}.png"),
    "a folder an image": ("images/{1}.jpg", "masks/{1}/{0}.png"),
    "a folder an image, both inside": ("{1}/images/{1}.jpg", "{1}/masks/{1}_{0}.png"),
}


def layout(image: str, mask: str) -> dict[str, np.ndarray]:
    image = image.replace("{}", "{1}")
    files = {image.format("", name): PHOTO for name in NAMES}
    for kind, pixels in (("disc", DISC), ("cup", CUP)):
        files |= {mask.format(kind, name): pixels for name in NAMES}
    return files


@pytest.mark.parametrize("kind", LAYOUTS)
def test_layouts(make_tree, kind) -> None:
    source = open_source(make_tree(layout(*LAYOUTS[kind])))
    assert (source.name, len(source.records)) == ("class-masks", 3)
    assert source.declared_labels().names == ("background", "cup", "disc")
    for record in source.records:
        np.testing.assert_array_equal(source.read_values(record), WANTED)
    assert {record.split for record in source.records} == {
        "train" if "{}" in kind or "rain" in LAYOUTS[kind][0] else None
    }
    assert [case[0] for case in source.label_problems(source.records[0]).cases()] == ["classes-overlap"]


@pytest.mark.parametrize(
    "names", [("observer1", "observer2"), ("1", "2"), ("fold_1", "fold_2"), ("Dr. Rater A", "Rater B")]
)
def test_folders_by_person_or_part_are_no_classes(make_tree, names) -> None:
    files = {f"images/{n}.jpg": PHOTO for n in NAMES}
    files |= {f"masks/{person}/{n}.png": DISC for n in NAMES for person in names}
    with pytest.raises(DataError, match="No images with masks"):
        open_source(make_tree(files))


def test_a_single_class_in_a_folder_of_its_own(make_tree) -> None:
    files = {f"images/{n}.jpg": PHOTO for n in NAMES} | {f"masks/lesion/{n}.png": DISC for n in NAMES}
    source = open_source(make_tree(files))
    assert source.declared_labels().names == ("background", "lesion")
    np.testing.assert_array_equal(source.read_values(source.records[0]), DISC > 0)


def test_folders_of_images_that_have_their_own_masks_are_no_classes(make_tree) -> None:
    files = {f"images/{site}/{n}.jpg": PHOTO for site in "xy" for n in NAMES}
    source = open_source(make_tree(files | {f"masks/{site}/{n}.png": DISC for site in "xy" for n in NAMES}))
    assert (source.name, len(source.records)) == ("paired-folders", 6)


def test_predictions_beside_masks_are_no_classes(make_tree) -> None:
    files = {f"images/{n}.jpg": PHOTO for n in NAMES} | {f"masks/{n}.png": DISC for n in NAMES}
    files |= {f"{net}/{n}.png": CUP for n in NAMES for net in ("unet", "fcn")}
    assert open_source(make_tree(files)).name == "paired-folders"


def test_numbered_masks_are_objects(make_tree) -> None:
    files = {f"images/{n}.jpg": PHOTO for n in NAMES}
    files |= {f"masks/{n}/{k}.png": mask for n in NAMES for k, mask in enumerate((DISC, CUP))}
    assert open_source(make_tree(files)).name == "instance-masks"


def test_missing_masks_are_reported(make_tree) -> None:
    files = layout(*LAYOUTS["folders"])
    del files["masks/cup/a1.png"], files["masks/cup/b7.png"], files["masks/disc/b7.png"]
    source = open_source(make_tree(files | {"masks/cup/c9.png": CUP, "images/c9.jpg": PHOTO}))
    found = {finding.code: finding.files for finding in source.findings}
    assert found["class-mask-missing"] == ("images/a1.jpg", "images/c9.jpg")
    assert found["image-without-mask"] == ("images/b7.jpg",)
    np.testing.assert_array_equal(source.read_values(source.records[0]) == 2, DISC > 0)


def test_a_mask_without_an_image_is_reported(make_tree) -> None:
    source = open_source(make_tree(layout(*LAYOUTS["folders"]) | {"masks/cup/zz.png": CUP}))
    assert {f.code: f.files for f in source.findings}["mask-without-image"] == ("masks/cup/zz.png",)


def test_dataset_yaml_names_and_orders_the_classes(make_tree) -> None:
    root = make_tree(layout(*LAYOUTS["folders"]))
    source = open_source(root, DatasetFile.model_validate({"classes": ["background", "disc"]}))
    assert source.declared_labels().names == ("background", "disc")
    np.testing.assert_array_equal(source.read_values(source.records[0]) > 0, DISC > 0)
    assert "class-not-named" in {finding.code for finding in source.findings}
    with pytest.raises(ConfigError, match="'disk'.*did you mean 'disc'"):
        open_source(root, DatasetFile.model_validate({"classes": ["background", "disk"]}))


def test_masks_saved_as_jpeg_are_split_at_the_middle(make_tree) -> None:
    files = layout(*LAYOUTS["folders"])
    jpeg = {name.replace(".png", ".jpg"): pixels for name, pixels in files.items()}
    source = open_source(make_tree(jpeg))
    np.testing.assert_array_equal(source.read_values(source.records[0]), WANTED)


def test_a_mask_of_several_values_or_another_size_is_refused(make_tree) -> None:
    files = layout(*LAYOUTS["folders"])
    files["masks/disc/a1.png"] = DISC // 255 + CUP // 255
    files["masks/disc/a2.png"] = DISC[1:]
    source = open_source(make_tree(files))
    for record, match in zip(source.records, ("several values", "differ in size"), strict=False):
        with pytest.raises(DataError, match=match):
            source.read_values(record)
