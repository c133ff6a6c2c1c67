from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app
from limner.core.errors import DataError, UnknownNameError
from limner.core.label_map import LabelMap
from limner.core.labels import IGNORE_INDEX
from limner.loading.dataset import Dataset
from limner.storage.file_contents import file_content


def contents(root: Path) -> tuple[dict[str, tuple[str | None, bytes, np.ndarray | None]], list[tuple]]:
    """What a dataset says, whatever its format: each image with split and trained labels; the classes."""
    checked = limner.check(root)
    assert checked.labels is not None
    dataset = Dataset(checked.source, checked.source.records, checked.labels, cache=None)
    images = {
        record.name: (
            record.split,
            file_content(record.image),
            dataset[i].get(LabelMap).labels if record.labels else None,
        )
        for i, record in enumerate(dataset.records)
    }
    return images, [(c.name, c.color, c.is_thing) for c in checked.labels.classes]


def assert_same(one: Path, two: Path) -> None:
    (images, classes), (others, other_classes) = contents(one), contents(two)
    assert classes == other_classes
    assert images.keys() == others.keys()
    for name, (split, data, labels) in images.items():
        assert others[name][:2] == (split, data)
        np.testing.assert_array_equal(others[name][2], labels)


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def streets(tmp_path):
    """Four images in folders for splits; odd values, one class of two values, ignored pixels."""
    draw = np.random.default_rng(0)
    root = tmp_path / "streets"
    for n, split in enumerate(("train", "train", "val", "test")):
        write(root / split / "images" / f"s{n}.png", draw.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        values = draw.choice(np.array([0, 7, 8, 90, 254], np.uint8), (9, 12))
        write(root / split / "masks" / f"s{n}.png", values)
    (root / "dataset.yaml").write_text(
        "classes:\n- {name: road, value: 0, color: [9, 8, 7], is_thing: false}\n"
        "- {name: car, values: [7, 8], color: [1, 2, 3], is_thing: true}\n- {name: sky, value: 90}\n"
        "ignored: [254]\n"
    )
    return root


@pytest.mark.parametrize(
    "formats",
    [
        ["voc"],
        ["paired-folders"],
        ["voc", "paired-folders"],
        ["paired-folders", "voc"],
        ["webdataset", "voc", "webdataset"],
    ],
)
def test_there_and_back_is_the_same(streets, tmp_path, formats):
    here = streets
    for n, name in enumerate(formats):
        there = tmp_path / f"step{n}"
        done = limner.convert(here, there, to=name)
        assert (done.num_images, done.num_masks, done.losses) == (4, 4, ())
        assert limner.check(there).source.name == name
        assert not limner.check(there).errors
        here = there
    assert_same(streets, here)


def test_colours_and_thresholds_become_class_numbers(tmp_path):
    root = tmp_path / "colours"
    labels = np.array([[0, 1, 1], [1, 0, 0]] * 4, np.uint8)
    for n in range(2):
        write(root / "images" / f"{n}.png", np.full((8, 3, 3), 60 * n, np.uint8))
        write(root / "masks" / f"{n}.png", np.array([[0, 0, 200], [90, 0, 0]], np.uint8)[labels])
    (root / "class_dict.csv").write_text("name,r,g,b\nroad,200,0,0\ncar,0,0,90\n")
    for to in ("voc", "paired-folders"):
        limner.convert(root, tmp_path / to, to=to)
        images, classes = contents(tmp_path / to)
        assert classes == [("road", (200, 0, 0), None), ("car", (0, 0, 90), None)]
        np.testing.assert_array_equal(images["1"][2], labels)


def test_what_voc_cannot_hold_is_counted_first(cells, tmp_path):
    with pytest.raises(DataError, match=r"no mask \(images/cell_5\.png\)(.|\n)*--lossy"):
        limner.convert(cells, tmp_path / "voc", to="voc")
    assert not (tmp_path / "voc").exists()
    done = limner.convert(cells, tmp_path / "voc", to="voc", lossy=True)
    assert (done.num_images, [loss.trait for loss in done.losses]) == (5, ["unlabelled"])
    assert limner.convert(cells, tmp_path / "pairs", to="paired-folders").num_images == 6
    assert_same(cells, tmp_path / "pairs")


@pytest.fixture
def retinas(tmp_path):
    """Two images with a field of view, and one drawn pixel outside of it."""
    root = tmp_path / "retinas"
    for n in (1, 2):
        write(root / "images" / f"0{n}_test.png", np.full((8, 8, 3), 50 * n, np.uint8))
        drawn, seen = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
        drawn[0, 0], drawn[3:5, 3:5], seen[2:6, 2:6] = 255, 255, 255
        write(root / "1st_manual" / f"0{n}_manual1.png", drawn)
        write(root / "mask" / f"0{n}_test_mask.png", seen)
    return root


def test_fields_of_view(retinas, tmp_path):
    limner.convert(retinas, tmp_path / "pairs", to="paired-folders")
    assert_same(retinas, tmp_path / "pairs")
    assert cv2.imread(str(tmp_path / "pairs" / "masks" / "01_test.png"), 0)[0, 0] == 1
    with pytest.raises(DataError, match="outside the field of view"):
        limner.convert(retinas, tmp_path / "voc", to="voc")
    limner.convert(retinas, tmp_path / "voc", to="voc", lossy=True)
    assert (
        cv2.imread(str(tmp_path / "voc" / "SegmentationClass" / "01_test.png"), cv2.IMREAD_UNCHANGED)
        is not None
    )
    labels = contents(tmp_path / "voc")[0]["01_test"][2]
    assert labels[0, 0] == IGNORE_INDEX
    np.testing.assert_array_equal(labels, contents(retinas)[0]["01_test"][2])


def test_objects_that_are_united(tmp_path):
    for n in range(3):
        folder = tmp_path / "nuclei" / f"id{n}"
        write(folder / "images" / f"id{n}.png", np.full((6, 6, 3), 70 * n, np.uint8))
        for k in range(2):
            mask = np.zeros((6, 6), np.uint8)
            mask[2 * k : 2 * k + 2] = 255
            write(folder / "masks" / f"{k}.png", mask)
    with pytest.raises(DataError, match="which object"):
        limner.convert(tmp_path / "nuclei", tmp_path / "out", to="paired-folders")
    limner.convert(tmp_path / "nuclei", tmp_path / "out", to="paired-folders", lossy=True)
    assert_same(tmp_path / "nuclei", tmp_path / "out")


def test_open_questions_and_broken_files_are_mended(cells, tmp_path):
    (cells / "dataset.yaml").unlink()
    (cells / "masks" / "cell_2.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"mask values is unclear(.|\n)*--mend"):
        limner.convert(cells, tmp_path / "out", to="paired-folders")
    done = limner.convert(cells, tmp_path / "out", to="paired-folders", mend=True)
    assert [(loss.trait, loss.files) for loss in done.losses] == [("unreadable", ("images/cell_2.png",))]
    again = limner.check(tmp_path / "out")
    assert not again.errors
    assert again.labels.names == ("background", "foreground")


def test_copies_are_left_out_unless_their_labels_differ(streets, tmp_path):
    def copy(number, split, name):
        for kind in ("images", "masks"):
            found = next(streets.glob(f"*/{kind}/s{number}.png"))
            (streets / split / kind / f"{name}.png").write_bytes(found.read_bytes())

    copy(0, "val", "again")  # s0 is in train: the one that validates stays
    copy(1, "train", "other")
    write(streets / "train" / "masks" / "other.png", np.zeros((9, 12), np.uint8))  # which label is right?
    before = {path: path.read_bytes() for path in streets.rglob("*.png")}
    done = limner.convert(streets, tmp_path / "out", to="paired-folders", mend=True)
    assert [(loss.trait, loss.files) for loss in done.losses] == [("duplicates", ("train/images/s0.png",))]
    assert done.num_images == 5
    assert {path: path.read_bytes() for path in streets.rglob("*.png")} == before
    assert limner.convert(streets, tmp_path / "all", to="paired-folders").num_images == 6


def test_names_without_folders_stay_apart(tmp_path):
    for site, name in (("p", "q_1"), ("p_q", "1")):
        write(tmp_path / "data" / "images" / site / f"{name}.png", np.zeros((5, 5, 3), np.uint8))
        write(tmp_path / "data" / "masks" / site / f"{name}.png", np.eye(5, dtype=np.uint8))
    limner.convert(tmp_path / "data", tmp_path / "out", to="voc")
    assert len(list((tmp_path / "out" / "JPEGImages").iterdir())) == 2


def test_refusals(cells, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'voc'"):
        limner.convert(cells, tmp_path / "out", to="vok")
    with pytest.raises(DataError, match="inside the source"):
        limner.convert(cells, cells / "out", to="paired-folders")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="nothing was overwritten"):
        limner.convert(cells, tmp_path / "full", to="paired-folders")


def test_labels_whose_images_are_gone_are_no_dataset(cells, tmp_path):
    labels = tmp_path / "labels"
    limner.convert(cells, labels, to="labelme")
    for image in [p for p in labels.rglob("*") if p.suffix in (".png", ".jpg")]:
        image.unlink()
    with pytest.raises(DataError, match=r"no image to convert(.|\n)*images are missing"):
        limner.convert(labels, tmp_path / "there", to="yolo")
    assert not (tmp_path / "there").exists()


def test_on_the_command_line(cells, tmp_path):
    done = CliRunner().invoke(app, ["convert", str(cells), str(tmp_path / "out"), "--to", "voc", "--lossy"])
    assert done.exit_code == 0, done.output
    assert "Not converted: images that have no mask" in done.output
    assert "5 images, 5 labelled, as voc" in done.output


@pytest.mark.parametrize(("other", "written"), [("night/b", ["a", "b"]), ("night/A", ["day_a", "night_A"])])
def test_folders_go_into_names_only_to_tell_images_apart(tmp_path, other, written):
    for name in ("day/a", other):
        for kind, depth in (("images", 3), ("masks", 1)):
            path = tmp_path / "data" / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), (np.arange(64 * depth).reshape(8, 8, depth) % 2).astype(np.uint8))
    limner.convert(tmp_path / "data", tmp_path / "voc", to="voc")
    assert sorted(path.stem for path in (tmp_path / "voc/JPEGImages").iterdir()) == written
    limner.convert(tmp_path / "voc", tmp_path / "back", to="paired-folders")
    # There and back they grow no longer.
    assert sorted(path.stem for path in (tmp_path / "back/images").iterdir()) == written


def test_what_a_full_disk_left_is_no_folder_of_others(cells, tmp_path):
    """Folders without a file, and the temporary file of a killed process; a file of the user is one."""
    out = tmp_path / "out"
    (out / "JPEGImages").mkdir(parents=True)
    (out / ".limner-unfinished.jsonl.12-34.part").touch()
    limner.convert(cells, out, to="voc", lossy=True)
    assert not list(out.glob(".*.part")) and any((out / "JPEGImages").iterdir())
    (tmp_path / "mine" / "below").mkdir(parents=True)
    (tmp_path / "mine" / "below" / "notes.txt").touch()
    with pytest.raises(DataError, match="a folder of its own"):
        limner.convert(cells, tmp_path / "mine", to="voc", lossy=True)
