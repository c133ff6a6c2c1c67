"""`limner.check` on folders as people have them, and on everything that can be wrong with one."""

import json
import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image as PillowImage

import limner
from limner.checks.codes import CODES
from limner.core.errors import ConfigError, DataError
from limner.core.finding import Severity


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path):
    """Twelve good pairs."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for n in range(12):
        mask = np.zeros((48, 64), np.uint8)
        mask[8 : 20 + n, 10:40] = 1
        save(tmp_path / "data/images" / f"p{n:02}.png", rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        save(tmp_path / "data/masks" / f"p{n:02}.png", mask)
    return tmp_path / "data"


def save(path, array):
    PillowImage.fromarray(array).save(path)


def settings(folder, **values):
    (folder / "dataset.yaml").write_text(yaml.safe_dump(values))


def the(code, result):
    found = [finding for finding in result.findings if finding.code == code]
    assert found, f"{code} is not among {[f.code for f in result.findings]}"
    return found[0]


def test_good_data_has_no_errors_and_a_settled_table(folder):
    result = limner.check(folder)
    assert not result.errors
    assert result.labels.names == ("background", "foreground")
    assert {name: len(records) for name, records in result.splits.items()} == {"train": 10, "val": 2}
    assert sum(count.images for count in result.rows[1].splits.values()) == 12


def test_the_result_is_plain_json(folder):
    row = json.loads(json.dumps(limner.check(folder).to_dict()))["rows"][1]
    assert (row["values"], row["name"], row["trained_as"]) == ([1], "foreground", 1)


# Accepting


def test_accepting_writes_dataset_yaml_and_touches_nothing_else(folder):
    for file in (folder / "masks").iterdir():
        save(file, np.asarray(PillowImage.open(file)) * 255)
    before = {file: file.read_bytes() for file in folder.rglob("*.png")}
    assert limner.check(folder).labels is None
    assert not (folder / "dataset.yaml").exists()
    result = limner.check(folder, accept=True)
    assert not result.errors and result.labels.trained_as == {0: 0, 255: 1}
    assert yaml.safe_load((folder / "dataset.yaml").read_text()) == result.accepted
    assert {file: file.read_bytes() for file in folder.rglob("*.png")} == before
    again = limner.check(folder, accept=True)
    assert again.accepted is None and not again.errors


def test_accepting_keeps_what_the_user_wrote(folder):
    for file in (folder / "masks").iterdir():
        save(file, np.asarray(PillowImage.open(file)) * 255)
    settings(folder, splits={"val": 0.5}, classes=[{"name": "nothing"}, {"name": "cell"}])
    result = limner.check(folder, accept=True)
    assert result.labels.names == ("nothing", "cell")
    assert len(result.splits["val"]) == 6


def test_accepting_jpeg_masks(folder):
    for file in list((folder / "masks").iterdir()):
        mask = np.asarray(PillowImage.open(file)) * 255
        cv2.imwrite(str(file.with_suffix(".jpg")), mask, [cv2.IMWRITE_JPEG_QUALITY, 60])
        file.unlink()
    assert the("mask-is-jpeg", limner.check(folder)).proposal["mask_encoding"] == {"threshold": 127}
    result = limner.check(folder, accept=True)
    assert not result.errors
    files = Counter(value for image in result.facts.labelled for value in image.value_counts)
    assert files == {0: 12, 1: 12}  # read anew, by the threshold


def test_accepting_colours(folder):
    palette = np.array([[0, 0, 0], [250, 10, 90]], np.uint8)
    for file in (folder / "masks").iterdir():
        save(file, palette[np.asarray(PillowImage.open(file))])
    assert the("mask-is-coloured", limner.check(folder)).proposal
    result = limner.check(folder, accept=True)
    assert not result.errors and result.labels.encoding.kind == "color"
    assert result.labels.classes[1].color == (250, 10, 90)


# Files that are wrong


def cut(path, part=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])


def as_jpeg(path):
    image = cv2.imread(str(path))
    path.unlink()
    cv2.imwrite(str(path.with_suffix(".jpg")), image)
    return path.with_suffix(".jpg")


def spoil_png(folder):
    path = folder / "images/p03.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    return "image-unreadable", "images/p03.png"


def truncate_jpeg(folder):
    cut(as_jpeg(folder / "images/p03.png"))
    return "image-unreadable", "images/p03.jpg"


def empty_mask(folder):
    (folder / "masks/p03.png").write_bytes(b"")
    return "mask-unreadable", "masks/p03.png"


def text_as_png(folder):
    (folder / "images/p03.png").write_text("hello")
    return "image-unreadable", "images/p03.png"


def coloured_noise(folder):
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    save(folder / "masks/p03.png", noise)
    return "mask-colours-unclear", "masks/p03.png"


def nan_image(folder):
    image = np.ones((48, 64, 3), np.float32)
    image[2, 5, 0] = np.nan
    (folder / "images/p03.png").unlink()
    np.save(folder / "images/p03.npy", image)
    return "image-unreadable", "images/p03.npy"


def one_pixel(folder):
    save(folder / "images/p03.png", np.zeros((1, 1, 3), np.uint8))
    save(folder / "masks/p03.png", np.zeros((1, 1), np.uint8))
    return "image-tiny", "images/p03.png"


def long_strip(folder):
    save(folder / "images/p03.png", np.zeros((2, 30000, 3), np.uint8))
    save(folder / "masks/p03.png", np.zeros((2, 30000), np.uint8))
    return "image-tiny", "images/p03.png"


def bomb(folder):
    header = bytearray((folder / "images/p03.png").read_bytes())
    import struct
    import zlib

    header[16:24] = struct.pack(">II", 60000, 60000)
    header[29:33] = struct.pack(">I", zlib.crc32(bytes(header[12:29])))
    (folder / "images/p03.png").write_bytes(bytes(header))
    return "image-unreadable", "images/p03.png"


def other_size(folder):
    save(folder / "masks/p03.png", np.zeros((24, 32), np.uint8))
    return "size-mismatch", "masks/p03.png"


def unnamed_value(folder):
    settings(folder, classes=[{"name": "a"}, {"name": "b"}])
    save(folder / "masks/p03.png", np.full((48, 64), 2, np.uint8))
    return "class-list-too-short", "masks/p03.png"


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_png,
        truncate_jpeg,
        empty_mask,
        text_as_png,
        coloured_noise,
        nan_image,
        one_pixel,
        long_strip,
        bomb,
        other_size,
        unnamed_value,
    ],
)
def test_a_bad_file_is_named_and_the_rest_is_read(folder, spoil):
    code, file = spoil(folder)
    result = limner.check(folder)
    finding = the(code, result)
    assert file in (finding.where, *finding.files)
    assert finding.severity is CODES[code].severity
    assert len(result.facts.usable) >= 11


def test_image_without_mask_and_the_reverse(folder):
    (folder / "masks/p01.png").unlink()
    (folder / "images/p07.png").unlink()
    result = limner.check(folder)
    assert "images/p01.png" in the("image-without-mask", result).files
    assert "masks/p07.png" in the("mask-without-image", result).files


def test_a_directory_named_like_a_picture(folder):
    (folder / "images/p99.png").mkdir()
    result = limner.check(folder)
    assert not result.errors and len(result.facts.usable) == 12


def test_names_with_spaces_and_other_alphabets(folder):
    for part in ("images", "masks"):
        (folder / part / "p03.png").rename(folder / part / "größe 图像 03.png")
    assert len(limner.check(folder).facts.usable) == 12


def test_a_loop_of_links(folder):
    (folder / "images/loop").symlink_to(folder, target_is_directory=True)
    assert len(limner.check(folder).facts.usable) == 12


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_no_permission_to_read(folder):
    (folder / "images/p03.png").chmod(0)
    assert the("image-unreadable", limner.check(folder)).where == "images/p03.png"


def test_no_permission_to_read_as_the_system_reports_it(folder, monkeypatch):
    """The same for root, for whom no file is forbidden."""
    real = Path.open

    def forbidding(path, *arguments, **options):
        if path.name == "p03.png" and path.parent.name == "images":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", forbidding)
    finding = the("image-unreadable", limner.check(folder))
    assert finding.where == "images/p03.png" and "ermission" in finding.found


# Folders and settings that are wrong


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        limner.check(tmp_path / "nowhere")


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match="empty"):
        limner.check(tmp_path)


def test_no_masks_anywhere(folder):
    for file in (folder / "masks").iterdir():
        file.unlink()
    with pytest.raises(DataError):
        limner.check(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"clases": []}, "classes"),
        ({"classes": "many"}, "classes"),
        ({"classes": [{"name": "a"}, {"name": "a"}]}, "a"),
        ({"classes": [{"name": "a", "value": 1}, {"name": "b", "value": 1}]}, "1"),
        ({"splits": {"val": 1.5}}, "val"),
        ({"format": "paired-folder"}, "paired-folders"),
    ],
)
def test_settings_that_cannot_be_used(folder, values, message):
    settings(folder, **values)
    with pytest.raises(ConfigError, match=message):
        limner.check(folder)


def test_broken_yaml_names_the_line(folder):
    (folder / "dataset.yaml").write_text("classes:\n  - {name: a\n")
    with pytest.raises(ConfigError, match="line"):
        limner.check(folder)


def test_splits_that_overlap(folder):
    (folder / "train.txt").write_text("p00\np01\np02\n")
    (folder / "val.txt").write_text("p02\np03\n")
    settings(folder, splits={"train": "train.txt", "val": "val.txt"})
    with pytest.raises(DataError, match="p02"):
        limner.check(folder)


def test_the_same_image_in_two_splits(folder):
    (folder / "images/p05.png").write_bytes((folder / "images/p01.png").read_bytes())
    (folder / "train.txt").write_text("".join(f"p{n:02}\n" for n in range(5)))
    (folder / "val.txt").write_text("".join(f"p{n:02}\n" for n in range(5, 12)))
    settings(folder, splits={"train": "train.txt", "val": "val.txt"})
    finding = the("same-image-in-two-splits", limner.check(folder))
    assert finding.files == ("images/p01.png", "images/p05.png")
    assert finding.severity is Severity.WARNING


# Real data


def test_drive_is_known_and_its_retinas_are_no_copies_of_each_other(shared_data):
    result = limner.check(shared_data / "drive")
    assert not result.errors
    assert result.labels.trained_as == {0: 0, 255: 1}
    assert not [finding for finding in result.findings if "duplicate" in finding.code]


@pytest.mark.slow
def test_polyps_are_known_by_their_names(shared_data):
    result = limner.check(shared_data / "polyps")
    assert not result.errors
    assert result.labels.encoding.threshold == 127
    assert result.labels.names == ("background", "polyp")


@pytest.mark.slow
def test_nuclei_are_ready_to_train(shared_data):
    assert not limner.check(shared_data / "nuclei").errors


def test_labelled_images_outside_the_folders_of_the_splits_are_said_to_be_left_out(tmp_path):
    for number, folder in enumerate(["train", "train", "val", "later"]):
        (tmp_path / folder).mkdir(exist_ok=True)
        picture = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        save(tmp_path / folder / f"{number}.png", picture)
        shapes = [{"label": "cell", "points": [[5, 5], [25, 5], [25, 25]], "shape_type": "polygon"}]
        content = {"shapes": shapes, "imagePath": f"{number}.png", "imageHeight": 40, "imageWidth": 50}
        (tmp_path / folder / f"{number}.json").write_text(json.dumps(content))
    checked = limner.check(tmp_path)
    (finding,) = [f for f in checked.findings if f.code == "image-in-no-split"]
    assert finding.files == ("later/3.png",) and finding.count == 1 and "splits:" in finding.fix
    assert {name: len(records) for name, records in checked.splits.items()} == {"train": 2, "val": 1}
