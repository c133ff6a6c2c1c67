import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from limner.core.config import parse_config
from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.finding import Severity
from limner.formats import open_source
from limner.formats.pairs.paired_folders import PairedFolders
from limner.formats.source import Source

# (images, masks) of three examples each; `{n}` is 1, 2, 3.
LAYOUTS = {
    "two folders": ("images/{n}.jpg", "masks/{n}.png"),
    "singular": ("image/{n}.png", "label/{n}.png"),
    "short": ("img/{n}.png", "mask/{n}.png"),
    "abbreviated": ("imgs/{n}.png", "gts/{n}.png"),
    "capitals": ("Images/{n}.PNG", "Ground Truth/{n}.PNG"),
    "wrapped": ("Kvasir-SEG/images/{n}.jpg", "Kvasir-SEG/masks/{n}.jpg"),
    "suffix": ("images/{n}.jpg", "masks/{n}_mask.png"),
    "prefix": ("images/img_{n}.jpg", "masks/mask_{n}.png"),
    "both affixed": ("data/cat_{n}_image.png", "labels/cat_{n}_label.png"),
    "satellite": ("tiles/{n}_sat.jpg", "tiles/{n}_mask.png"),
    "CamVid originals": ("images/0001TP_00{n}.png", "labels/0001TP_00{n}_L.png"),
    "an affix nobody foresaw": ("images/eye{n}.png", "masks/eye{n}_vessels_drawn.png"),
    "numbers only": ("images/scan-0{n}b.png", "masks/truth{n}.png"),
    "one folder, suffix": ("cat{n}.jpg", "cat{n}_mask.png"),
    "one folder, other suffix": ("cat{n}.jpg", "cat{n}.png"),
    "one folder, a less common suffix of JPEGs": ("cat{n}.JFIF", "cat{n}.png"),
    "patients": ("patient{n}/slice_1.tif", "patient{n}/slice_1_mask.tif"),
    "files called image and mask": ("case{n}/image.png", "case{n}/mask.png"),
    "Carvana": ("train/car{n}.jpg", "train_masks/car{n}_mask.gif"),
    "CamVid": ("train/{n}.png", "trainannot/{n}.png"),
    "split outside": ("train/images/{n}.png", "train/masks/{n}.png"),
    "split inside": ("images/train/{n}.png", "masks/train/{n}.png"),
    "split in the name": ("train_images/{n}.png", "train_labels/{n}.png"),
    "medical decathlon names": ("imagesTr/{n}.png", "labelsTr/{n}.png"),
    "nnU-Net's first channel": ("imagesTr/case_{n}_0000.png", "labelsTr/case_{n}.png"),
    "mmsegmentation": ("img_dir/train/{n}.jpg", "ann_dir/train/{n}.png"),
    "Cityscapes": (
        "leftImg8bit/train/aachen/aachen_{n}_leftImg8bit.png",
        "gtFine/train/aachen/aachen_{n}_gtFine_labelIds.png",
    ),
    "nested": ("images/site {n}/a.png", "masks/site {n}/a.png"),
    "sizes in names": ("images_512x512/{n}.png", "masks_512x512/{n}.png"),
    "masks beside a folder of everything": ("all/{n}.png", "all/masks/{n}.png"),
}
SPLIT_TRAIN = {
    "Carvana",
    "CamVid",
    "split outside",
    "split inside",
    "split in the name",
    "medical decathlon names",
    "nnU-Net's first channel",
    "mmsegmentation",
    "Cityscapes",
}


def touch(root: Path, *names: str) -> Path:
    """Recognition reads names only, so empty files do."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def settings(**values: object) -> DatasetFile:
    return parse_config(DatasetFile, values, where="test")


def pairs(source: Source) -> dict[str, str | None]:
    return {
        record.image.relative_to(source.root).as_posix(): (
            record.labels[0].relative_to(source.root).as_posix() if record.labels else None
        )
        for record in source.records
    }


def codes(source: Source) -> dict[str, int]:
    return {f.code: f.count for f in source.findings if f.code not in ("layout", "known-dataset")}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    image, label = LAYOUTS[layout]
    expected = {image.format(n=n): label.format(n=n) for n in (1, 2, 3)}
    source = open_source(touch(tmp_path, *expected, *expected.values()))
    assert isinstance(source, PairedFolders)
    assert pairs(source) == expected
    assert codes(source) == {}
    assert {record.split for record in source.records} == {"train" if layout in SPLIT_TRAIN else None}
    assert len({record.name for record in source.records}) == 3


def test_a_frame_0000_is_no_channel(tmp_path: Path) -> None:
    expected = {f"images/seq_000{n}.png": f"masks/seq_000{n}_mask.png" for n in range(4)}
    assert pairs(open_source(touch(tmp_path, *expected, *expected.values()))) == expected


@pytest.mark.parametrize(
    ("folder", "split"),
    [("train", "train"), ("Training", "train"), ("val", "val"), ("valid", "val"), ("validation", "val")]
    + [("dev", "val"), ("test", "test"), ("testing", "test"), ("TestDataset", "test")],
)
def test_split_folders_by_any_name(tmp_path: Path, folder: str, split: str) -> None:
    source = open_source(touch(tmp_path, f"{folder}/images/a.png", f"{folder}/masks/a.png"))
    assert [record.split for record in source.records] == [split]


def test_same_names_in_two_splits_stay_apart(tmp_path: Path) -> None:
    files = [f"{split}/{kind}/1.png" for split in ("train", "val") for kind in ("images", "masks")]
    source = open_source(touch(tmp_path, *files))
    assert pairs(source) == {"train/images/1.png": "train/masks/1.png", "val/images/1.png": "val/masks/1.png"}
    assert len({record.name for record in source.records}) == 2


def test_retinal_layout(tmp_path: Path) -> None:
    files = ["images/21_training.tif", "1st_manual/21_manual1.gif", "mask/21_training_mask.gif"]
    test = [
        "images/01_test.tif",
        "1st_manual/01_manual1.gif",
        "mask/01_test_mask.gif",
        "2nd_manual/01_manual2.gif",
    ]
    root = touch(tmp_path, *[f"training/{f}" for f in files], *[f"testing/{f}" for f in test])
    source = open_source(root)
    assert pairs(source) == {
        "training/images/21_training.tif": "training/1st_manual/21_manual1.gif",
        "testing/images/01_test.tif": "testing/1st_manual/01_manual1.gif",
    }
    regions = {r.valid_region.relative_to(root).as_posix() for r in source.records if r.valid_region}
    assert regions == {"training/mask/21_training_mask.gif", "testing/mask/01_test_mask.gif"}
    assert codes(source) == {"other-labels-not-used": 1}
    layout = next(f for f in source.findings if f.code == "layout")
    assert "field of view, not as labels" in layout.found


def test_a_folder_called_mask_alone_holds_the_labels(tmp_path: Path) -> None:
    source = open_source(touch(tmp_path, "images/1.tif", "mask/1_mask.gif"))
    assert pairs(source) == {"images/1.tif": "mask/1_mask.gif"}
    assert source.records[0].valid_region is None


def test_second_observer_can_be_asked_for(tmp_path: Path) -> None:
    root = touch(
        tmp_path, *(f"{d}/0{n}_{d[:3]}.png" for d in ("images", "1st_manual", "2nd_manual") for n in (1, 2))
    )
    source = open_source(root, settings(masks="2nd_manual/{stem}_2nd.png", images="images/{stem}_ima.png"))
    assert pairs(source) == {f"images/0{n}_ima.png": f"2nd_manual/0{n}_2nd.png" for n in (1, 2)}


# --- what does not fit ----------------------------------------------------------------------------------


def test_gaps_are_named_and_counted(tmp_path: Path) -> None:
    root = touch(tmp_path, *(f"images/{n}.png" for n in range(5)), *(f"masks/{n}.png" for n in range(2, 9)))
    source = open_source(root)
    assert codes(source) == {"image-without-mask": 2, "mask-without-image": 4}
    gaps = {f.code: f for f in source.findings}
    assert gaps["image-without-mask"].files == ("images/0.png", "images/1.png")
    assert gaps["mask-without-image"].files == tuple(f"masks/{n}.png" for n in (5, 6, 7, 8))
    assert len(source.records) == 5
    assert sum(bool(r.labels) for r in source.records) == 3


def test_a_missing_mask_is_never_filled_by_a_strangers(tmp_path: Path) -> None:
    # b_2's mask is missing and c_2 has no image: numbers would pair them, names do not.
    root = touch(tmp_path, "images/a_1.png", "images/b_2.png", "masks/a_1.png", "masks/c_2.png")
    assert pairs(open_source(root)) == {"images/a_1.png": "masks/a_1.png", "images/b_2.png": None}


def test_a_test_set_without_masks_is_a_note(tmp_path: Path) -> None:
    root = touch(
        tmp_path, "train/images/1.png", "train/masks/1.png", "test/images/2.png", "test/images/3.png"
    )
    source = open_source(root)
    assert codes(source) == {"split-unlabelled": 2}
    assert {f.severity for f in source.findings} == {Severity.NOTE}


def test_several_masks_of_one_image_are_ambiguous(tmp_path: Path) -> None:
    files = ["benign (1).png", "benign (1)_mask.png", "benign (2).png", "benign (2)_mask.png"]
    root = touch(tmp_path, *files, "benign (2)_mask_1.png")
    source = open_source(root, settings(format="paired-folders"))  # else they are taken for instances
    assert pairs(source) == {"benign (1).png": "benign (1)_mask.png", "benign (2).png": None}
    finding = next(f for f in source.findings if f.code == "ambiguous-pairing")
    assert "benign (2)_mask.png or benign (2)_mask_1.png" in finding.found


def test_two_complete_label_folders_are_told(tmp_path: Path) -> None:
    root = touch(tmp_path, *(f"{d}/{n}.png" for d in ("images", "gt", "masks") for n in (1, 2)))
    source = open_source(root)
    assert pairs(source) == {"images/1.png": "gt/1.png", "images/2.png": "gt/2.png"}
    finding = next(f for f in source.findings if f.code == "several-label-sets")
    assert (finding.severity, finding.count) == (Severity.WARNING, 2)
    assert "`masks: masks/{stem}.png`" in finding.fix
    # ... and what it proposes works.
    assert pairs(open_source(root, settings(masks="masks/{stem}.png")))["images/1.png"] == "masks/1.png"


def test_pictures_of_labels_are_not_labels(tmp_path: Path) -> None:
    files = [
        f"gtFine/val/a/a_{n}_gtFine_{kind}.png"
        for n in (1, 2)
        for kind in ("color", "instanceIds", "labelIds")
    ]
    images = [f"leftImg8bit/val/a/a_{n}_leftImg8bit.png" for n in (1, 2)]
    source = open_source(touch(tmp_path, *files, *images))
    assert all(str(label).endswith("labelIds.png") for label in pairs(source).values())
    assert codes(source) == {}  # Cityscapes has the same labels in several forms


def test_one_mask_for_two_images(tmp_path: Path) -> None:
    source = open_source(touch(tmp_path, "images/1.png", "images/1.jpg", "masks/1.png"))
    assert codes(source) == {"mask-shared-by-images": 1}
    assert len({record.name for record in source.records}) == 2


# --- patterns -------------------------------------------------------------------------------------------


def test_patterns_pair_folders_that_say_nothing(tmp_path: Path) -> None:
    root = touch(
        tmp_path, "photos A/x1.jpg", "photos A/x2.jpg", "drawn/x1-ok.png", "drawn/x2-ok.png", "junk.png"
    )
    source = open_source(root, settings(images="photos A/*.jpg", masks="drawn/{stem}-ok.png"))
    assert pairs(source) == {f"photos A/x{n}.jpg": f"drawn/x{n}-ok.png" for n in (1, 2)}


def test_patterns_across_folders(tmp_path: Path) -> None:
    files = [f"{place}/{n}.{kind}.png" for place in ("a/b", "c") for n in (1, 2) for kind in ("raw", "lab")]
    source = open_source(
        touch(tmp_path, *files), settings(images="**/{stem}.raw.png", masks="**/{stem}.lab.png")
    )
    assert pairs(source) == {f: f.replace("raw", "lab") for f in files if "raw" in f}


def test_pattern_of_masks_alone(tmp_path: Path) -> None:
    root = touch(tmp_path, "a.png", "b.png", "zz_a.png", "zz_b.png")
    assert pairs(open_source(root, settings(masks="zz_{stem}.png"))) == {
        "a.png": "zz_a.png",
        "b.png": "zz_b.png",
    }


def test_pattern_of_the_valid_region(tmp_path: Path) -> None:
    root = touch(tmp_path, "images/1.png", "masks/1.png", "seen/1_seen.png")
    source = open_source(
        root, settings(valid_region="seen/{stem}_seen.png", images="images/*", masks="masks/*")
    )
    assert source.records[0].valid_region == root / "seen/1_seen.png"


def test_pattern_that_fits_nothing(tmp_path: Path) -> None:
    root = touch(tmp_path, "images/1.png", "masks/1.png")
    with pytest.raises(DataError) as refused:
        open_source(root, settings(images="image/*.png"))
    assert "`images`" in str(refused.value)
    assert "image/*.png" in str(refused.value)


# --- litter, links and letters --------------------------------------------------------------------------


def test_litter_is_passed_over(tmp_path: Path) -> None:
    litter = ["__MACOSX/images/._1.png", "images/.hidden.png", "images/Thumbs.db", ".ipynb_checkpoints/2.png"]
    source = open_source(touch(tmp_path, "images/1.png", "masks/1.png", *litter))
    assert pairs(source) == {"images/1.png": "masks/1.png"}
    assert codes(source) == {}


def test_accents_composed_on_one_side_only(tmp_path: Path) -> None:
    composed, taken_apart = (unicodedata.normalize(form, "größe é 1") for form in ("NFC", "NFD"))
    source = open_source(touch(tmp_path, f"images/{composed}.png", f"masks/{taken_apart}.png"))
    assert list(pairs(source).values()) == [f"masks/{taken_apart}.png"]


def test_link_loop_ends(tmp_path: Path) -> None:
    root = touch(tmp_path, "images/1.png", "masks/1.png")
    (root / "images" / "again").symlink_to(root, target_is_directory=True)
    (root / "self.png").symlink_to(root / "self.png")
    source = open_source(root)
    assert pairs(source)["images/1.png"] == "masks/1.png"
    assert codes(source)["folder-linked-twice"] == 1


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    far = touch(tmp_path / "far", "1.png").resolve()
    root = touch(tmp_path / "data", "masks/1.png")
    (root / "images").symlink_to(far, target_is_directory=True)
    assert pairs(open_source(root)) == {"images/1.png": "masks/1.png"}


def test_folder_named_like_an_image(tmp_path: Path) -> None:
    root = touch(tmp_path, "images/1.png", "masks/1.png")
    (root / "images" / "2.png").mkdir()
    source = open_source(root)
    assert pairs(source) == {"images/1.png": "masks/1.png"}
    assert codes(source) == {"folder-named-like-image": 1}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may list every folder")
def test_folder_without_permission_is_told(tmp_path: Path) -> None:
    root = touch(tmp_path, "images/1.png", "masks/1.png", "images/locked/2.png")
    (root / "images" / "locked").chmod(0)
    try:
        assert codes(open_source(root)) == {"folder-unreadable": 1}
    finally:
        (root / "images" / "locked").chmod(0o755)


# --- reading --------------------------------------------------------------------------------------------


def test_reads_what_it_paired(make_tree) -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    mask = np.array([[0, 1, 1, 0], [9, 9, 0, 0]], np.uint8)
    source = open_source(make_tree({"images/a b.png": picture, "masks/a b.png": mask}))
    np.testing.assert_array_equal(source.read_image(source.records[0]).array, picture)
    np.testing.assert_array_equal(source.read_values(source.records[0]), mask)
    assert source.declared_labels() is None


def test_unlabelled_record_says_so(tmp_path: Path) -> None:
    source = open_source(touch(tmp_path, "images/1.png", "masks/1.png", "images/2.png"))
    with pytest.raises(DataError, match="no mask"):
        source.read_values(source.records[1])


def test_names_that_are_unique_pair_in_folders_that_differ(make_tree) -> None:
    """REFUGE's layout: the masks have a folder more than their images."""
    photo, mask = (
        np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8),
        np.eye(20, 30, dtype=np.uint8),
    )
    files = {
        f"Training400/{kind}/{kind[0]}{n}.jpg": photo for kind in ("Glaucoma", "Other") for n in range(3)
    }
    files |= {
        f"Annotation-Training400/Disc_Cup_Masks/{kind}/{kind[0]}{n}.bmp": mask
        for kind in ("Glaucoma", "Other")
        for n in range(3)
    }
    source = open_source(make_tree(files))
    assert source.name == "paired-folders"
    assert {(r.image.stem, r.labels[0].stem, r.split) for r in source.records} == {
        (f"{kind}{n}", f"{kind}{n}", "train") for kind in "GO" for n in range(3)
    }


def test_photographs_in_two_formats_are_no_masks_of_each_other(make_tree) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    files = {f"images/{n}.{end}": photo for n in range(3) for end in ("jpg", "png")}
    labels = {f"labels/{n}.txt": "0 0.5 0.5 0.2 0.2\n" for n in range(3)}
    assert open_source(make_tree(files | labels)).name == "yolo"
