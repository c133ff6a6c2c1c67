"""Each known defect of the real data, and what `limner check` says of it; skipped where there is none."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import limner
from limner.core.errors import DataError
from limner.core.finding import Finding, Severity
from limner.core.labels import IGNORE_INDEX
from limner.datasets.checked import CheckResult
from limner.formats import open_source


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))


def the(code: str, result: CheckResult) -> Finding:
    (finding,) = (finding for finding in result.findings if finding.code == code)
    return finding


def some(folder: Path, names: list[str], out: Path) -> Path:
    """Copy a few files or folders of a dataset, at the same places."""
    for name in names:
        there = out / name
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder / name, there) if (folder / name).is_dir() else shutil.copy(
            folder / name, there
        )
    return out


def test_nuclei_are_rgba_and_some_share_a_pixel(shared_data, tmp_path):
    nuclei = shared_data / "nuclei"
    shared = next(p.name for p in nuclei.iterdir() if p.name.startswith("175dbb36"))
    others = sorted(p.name for p in nuclei.iterdir() if p.name != shared)[:3]
    result = limner.check(some(nuclei, [shared, *others], tmp_path / "nuclei"))
    assert the("alpha-channel", result).count == 4
    overlap = the("objects-overlap", result)
    assert (overlap.severity, overlap.count) == (Severity.NOTE, 1)
    assert overlap.where == shared
    masks = [np.asarray(Image.open(path)) > 0 for path in (nuclei / shared / "masks").iterdir()]
    assert overlap.found.startswith(f"{(np.sum(masks, 0) > 1).sum()} pixel ")


def test_value_11_of_the_street_scenes_is_void(shared_data):
    source = open_source(shared_data / "camvid")
    table = source.declared_labels()
    assert source.name == "camvid"
    assert table.trained_as[11] == IGNORE_INDEX
    assert table.names == (
        *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car"),
        *("pedestrian", "bicyclist"),
    )
    said = next(f for f in source.findings if f.code == "known-dataset")
    assert "11 is void" in said.found


def test_compression_noise_of_the_polyps_is_split_at_127(shared_data, tmp_path):
    names = sorted(path.name for path in (shared_data / "polyps/images").iterdir())[:10]
    files = [f"{folder}/{name}" for folder in ("images", "masks") for name in names]
    folder = some(shared_data / "polyps", files, tmp_path / "polyps")
    result = limner.check(folder)
    assert "JPEG masks" in the("known-dataset", result).found
    assert result.labels.encoding.threshold == 127
    # Under names that nobody knows the noise is an error, with a threshold near the same place.
    for number, name in enumerate(names):
        for kind in ("images", "masks"):
            (folder / kind / name).rename(folder / kind / f"case {number}.jpg")
    noise = the("mask-is-jpeg", limner.check(folder))
    assert "compression noise" in noise.found
    assert 64 <= noise.proposal["mask_encoding"]["threshold"] <= 192


def test_fields_of_view_and_the_second_observer_of_the_vessels(shared_data, tmp_path):
    result = limner.check(shared_data / "drive")
    assert "field of view" in the("layout", result).found
    assert all(record.valid_region for record in result.source.records)
    # What lies outside the field of view is counted as no class.
    counted = sum(result.facts.value_counts.values())
    assert 0.6 < counted / (40 * 584 * 565) < 0.75
    second = the("other-labels-not-used", result)
    assert second.count == 20 and "second observer" in second.found


def test_the_second_observer_with_3_and_253_is_asked_about(shared_data, tmp_path):
    testing = shared_data / "drive/testing"
    for kind in ("images", "masks"):
        (tmp_path / "eyes" / kind).mkdir(parents=True)
    for path in sorted((testing / "images").iterdir())[:3]:
        drawn = testing / "2nd_manual" / path.name.replace("test.tif", "manual2.gif")
        grey = Image.open(drawn).convert("L")  # the greys that other programs see
        assert {*np.unique(grey).tolist()} == {3, 253}
        grey.save(tmp_path / "eyes/masks" / f"{path.stem}.png")
        shutil.copy(path, tmp_path / "eyes/images")
    question = the("mask-is-0-255", limner.check(tmp_path / "eyes"))
    assert "3 and 253" in question.found
    assert [c["value"] for c in question.proposal["classes"]] == [3, 253]
    # limner itself reads the GIFs by their palettes.
    for path in (tmp_path / "eyes/masks").iterdir():
        path.unlink()
        name = path.name.replace("test.png", "manual2.gif")
        shutil.copy(testing / "2nd_manual" / name, tmp_path / "eyes/masks" / f"{path.stem}.gif")
    (tmp_path / "eyes/dataset.yaml").unlink(missing_ok=True)
    result = limner.check(tmp_path / "eyes")
    assert not [f for f in result.errors if f.code != "few-images"]
    assert result.labels.num_classes == 2


def test_two_boxes_of_zero_size_among_the_blood_cells(shared_data):
    source = open_source(shared_data / "blood_cells")
    zero = next(f for f in source.findings if f.code == "box-zero-size")
    assert zero.count == 2 and zero.fix.startswith("Left out")
    assert {Path(name).stem for name in zero.files} == {"BloodImage_00338", "BloodImage_00343"}
    boxes = [source.read_boxes(r) for r in source.records if r.name.endswith(("00338", "00343"))]
    assert all((each.areas > 0).all() for each in boxes)


def test_a_palette_gif_among_the_insects(shared_data, tmp_path):
    folder = tmp_path / "insects"
    names = [f"{split}/{kind}" for split in ("train", "val") for kind in ("ants", "bees")]
    gif = next((shared_data / "insects").rglob("*.gif")).relative_to(shared_data / "insects")
    files = [
        f"{name}/{path.name}"
        for name in names
        for path in sorted((shared_data / "insects" / name).iterdir())[:2]
    ]
    finding = the("palette-image", limner.check(some(shared_data / "insects", [*files, str(gif)], folder)))
    assert (finding.where, finding.count) == (gif.as_posix(), 1)
    assert "placeholder" in finding.fix


def test_labelme_ignores_255_in_png_and_minus_1_in_npy(shared_data, tmp_path):
    voc = shared_data / "labelme/semantic_segmentation/data_dataset_voc"
    result = limner.check(voc)
    assert not result.errors
    ignored = [row for row in result.rows if row.trained_as == IGNORE_INDEX]
    assert [row.values for row in ignored] == [(255,)] and ignored[0].pixels > 0
    for kind, name in (
        ("images", "JPEGImages/2011_000003.jpg"),
        ("masks", "SegmentationClassNpy/2011_000003.npy"),
    ):
        (tmp_path / "npy" / kind).mkdir(parents=True)
        shutil.copy(voc / name, tmp_path / "npy" / kind)
    below = the("mask-has-negative", limner.check(tmp_path / "npy"))
    assert below.severity is Severity.ERROR and below.proposal == {"ignored": [-1]}
    accepted = limner.check(tmp_path / "npy", accept=True)
    assert accepted.labels.trained_as[-1] == IGNORE_INDEX


def test_the_background_that_labelme_lists_among_cocos_categories_is_no_class(shared_data):
    source = open_source(shared_data / "labelme/instance_segmentation/data_dataset_coco")
    table = source.declared_labels()
    assert table.names[:3] == ("background", "aeroplane", "bicycle")
    assert table.num_classes == 21
    assert table.trained_as[0] == table.background_index == 0


def test_an_annotated_folder_among_others_names_them(shared_data):
    source = open_source(shared_data / "labelme")
    said = next(f for f in source.findings if f.code == "folder-not-listed")
    assert "bbox_detection/data_annotated/" in said.found
    assert "image-not-listed" not in {f.code for f in source.findings}


def test_the_crowd_in_run_lengths(shared_data):
    result = limner.check(shared_data / "coco_instances")
    crowd = the("crowd", result)
    assert "464689" in crowd.where
    assert crowd.files == ("images/000000464689.jpg",)
    (row,) = (row for row in result.objects if row.crowds)
    assert (row.name, row.crowds) == ("bottle", 1)
    keypoints = the("other-annotations-not-used", result)
    assert keypoints.where == "keypoints_annotations.json"


def test_61_words_that_nobody_can_read(shared_data):
    result = limner.check(shared_data / "scene_text")
    words = the("text-ignored", result)
    assert "60 more like it" in words.found
    # All but one of the ten images have such words: files are counted once.
    assert words.count == len(set(words.files)) == 9


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "checkpoints",
            ["model weights", "files: enet_camvid.pth", "weights are not a dataset", "limner import"],
        ),
    ],
)
def test_what_is_no_set_of_images_is_called_by_its_name(shared_data, name, words):
    with pytest.raises(DataError) as error:
        limner.check(shared_data / name)
    assert not [word for word in words if word not in str(error.value)], error.value
    assert len(str(error.value).splitlines()) <= 4  # and not by a list of all the layouts that it is not
