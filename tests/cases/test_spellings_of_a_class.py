"""Several spellings of one class are reported, and a table in dataset.yaml unites them, in every format."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from limner.api.check import check
from limner.cli.app import app
from limner.core.errors import ConfigError
from limner.formats import open_source
from limner.formats.named_classes import spelling_key

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
NAMES = (
    "Zelle",
    "zelle",
    "Zelle ",
    "Zelle\xa0",
    "Gef\xe4\xdf",
    "Gefa\u0308\xdf",
    "red_blood-cell",
    "Red blood cell",
)


def labelme(*names: str) -> dict[str, object]:
    """An image with one square for each name."""
    files: dict[str, object] = {}
    for n, name in enumerate(names):
        corners = [[4, 4], [20, 4], [20, 20], [4, 20]]
        shapes = [{"label": name, "points": corners, "shape_type": "polygon"}]
        whole = {"shapes": shapes, "imagePath": f"{n}.png", "imageHeight": 40, "imageWidth": 50}
        files |= {f"{n}.png": PICTURE, f"{n}.json": json.dumps(whole)}
    return files


def coco(*names: str) -> dict[str, object]:
    annotations = [
        {"id": n, "image_id": n, "category_id": n, "segmentation": [[4, 4, 20, 4, 20, 20, 4, 20]]}
        for n in range(1, 1 + len(names))
    ]
    images = [{"id": n, "file_name": f"{n}.png", "height": 40, "width": 50} for n in range(1, 1 + len(names))]
    categories = [{"id": n, "name": name} for n, name in enumerate(names, start=1)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    return {f"{n}.png": PICTURE for n in range(1, 1 + len(names))} | {"all.json": json.dumps(whole)}


def class_folders(*names: str) -> dict[str, object]:
    return {f"{name}/{n}.png": PICTURE for name in names for n in range(3)}


@pytest.mark.parametrize("build", [labelme, coco], ids=["drawn", "listed"])
def test_spellings_are_reported_and_united_by_accepting(tree, build) -> None:
    root = tree(build(*NAMES, "Zelle"))
    found = check(root)
    (said,) = [f for f in found.findings if f.code == "class-spelled-differently"]
    assert said.severity.value == "warning"
    assert "8 names of classes that may be 3" in said.found
    assert all(
        shown in said.found for shown in ("'Zelle '", "'Zelle\\xa0'", "'Gefa\\u0308\xdf'", "'Gef\xe4\xdf'")
    )
    accepted = check(root, accept=True)
    assert "class-spelled-differently" not in {f.code for f in accepted.findings}
    counts = {spelling_key(row.name): row.images for row in accepted.rows}
    assert counts.keys() == {"background", "zelle", "gef\xe4ss", "red blood cell"}
    assert (counts["zelle"], counts["gef\xe4ss"], counts["red blood cell"]) == (5 - (build is coco), 2, 2)


def test_spellings_of_folders(tree) -> None:
    root = tree(class_folders("ants", "Ants", "bees"))
    assert [f.proposal for f in check(root).findings if f.code == "class-spelled-differently"] == [
        {"classes": [{"name": "Ants", "names": ["Ants", "ants"]}, {"name": "bees"}]}
    ]
    accepted = check(root, accept=True)
    assert accepted.labels.names == ("Ants", "bees")
    assert [row.images for row in accepted.rows] == [6, 3]


def test_names_that_look_alike_are_shown_with_what_cannot_be_seen(tree) -> None:
    root = tree(labelme(*NAMES))
    shown = CliRunner().invoke(app, ["check", str(root)]).output
    table = shown[: shown.index("warning")]
    assert all(name in table for name in ("'Zelle '", "'Zelle\\xa0'", "'Gefa\\u0308\xdf'", " zelle "))


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("name,r,g,b\nroad,10,20,30\nCar,200,0,0\ncar ,0,0,200\n", ((200, 0, 0), (0, 0, 200))),
        ("0 road\n1 Car\n2 car\n", (1, 2)),
    ],
)
def test_spellings_in_a_table_of_colours_or_values(tree, table, values) -> None:
    by_color = isinstance(values[0], tuple)
    files: dict[str, object] = {("class_dict.csv" if by_color else "labels.txt"): table}
    for n, value in enumerate((*values, values[0])):
        mask = np.full((40, 50, 3), (10, 20, 30), np.uint8) if by_color else np.zeros((40, 50), np.uint8)
        mask[5:20, 5:20] = value
        files |= {f"images/{n}.png": PICTURE, f"masks/{n}.png": mask}
    root = tree(files)
    (said,) = [f for f in check(root).findings if f.code == "class-spelled-differently"]
    assert said.proposal == {"classes": [{"name": "road"}, {"name": "Car", "names": ["Car", "car"]}]}
    accepted = check(root, accept=True)
    assert accepted.labels.names == ("road", "Car") and [row.images for row in accepted.rows] == [3, 3]
    assert "class-spelled-differently" not in {f.code for f in accepted.findings}


def test_signs_that_mean_something_are_kept_apart(tree) -> None:
    found = check(tree(labelme("ER+", "ER-", "grade 1", "grade 11", "A", "A*")))
    assert "class-spelled-differently" not in {f.code for f in found.findings}


def test_a_class_without_labels_of_its_own_unites_others_by_name_or_number(tree) -> None:
    root = tree(labelme("dent", "scratch", "stain"))
    before = check(root)  # kept facts must not be used with another table
    assert before.labels.names == ("background", "dent", "scratch", "stain")
    for metal in (
        "background, {name: metal, names: [dent, scratch]}, stain",
        "{name: metal, values: [1, 2]}, {name: background, value: 0}, {name: stain, value: 3}",
    ):
        (root / "dataset.yaml").write_text(f"classes: [{metal}]")
        found = check(root)
        assert not {"class-never-occurs", "class-not-named"} & {f.code for f in found.findings}
        assert {row.name: row.images for row in found.rows} == {"background": 3, "metal": 2, "stain": 1}
        source = open_source(root)
        drawn = [source.declared_labels().encode(source.read_values(record)) for record in source.records]
        metal_index = source.declared_labels().names.index("metal")
        assert [int((labels == metal_index).sum()) for labels in drawn] == [256, 256, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("classes: [{names: [a, b]}, {name: b}]", "given to several: b"),
        ("classes: [{name: x, names: [a], value: 1}]", "not both"),
        ("classes: [{names: []}]", "name"),
    ],
)
def test_contradictory_names_are_refused(tree, text, said) -> None:
    root = tree(labelme("a", "b") | {"dataset.yaml": text})
    with pytest.raises(ConfigError, match=said):
        open_source(root)


def test_names_mean_nothing_in_masks_of_numbers(tree) -> None:
    masks = {f"masks/{n}.png": np.eye(40, 50, dtype=np.uint8) for n in range(2)}
    root = tree(masks | {f"images/{n}.png": PICTURE for n in range(2)})
    (root / "dataset.yaml").write_text("classes: [background, {name: x, names: [y, z]}]")
    with pytest.raises(ConfigError, match="no names"):
        check(root)


def test_names_of_yolo_and_coco_that_do_not_exist_are_refused(tree) -> None:
    root = tree(coco("a", "b"))
    (root / "dataset.yaml").write_text("classes: [background, {names: [a, c]}]")
    with pytest.raises(ConfigError, match="'c'"):
        open_source(root)


def test_a_spelling_that_dataset_yaml_does_not_name_is_left_out_with_a_hint(tree) -> None:
    root = tree(labelme("Zelle", "zelle") | {"dataset.yaml": "classes: [background, Zelle]"})
    (said,) = [f for f in open_source(root).findings if f.code == "class-not-named"]
    assert "'zelle', which may be 'Zelle': unite them with `names`" in said.found
