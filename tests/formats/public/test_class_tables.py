"""Published names and colours, against mmsegmentation 1.2.2 (mmseg/utils/class_names.py), value by value."""

import ast
import importlib.util
from pathlib import Path

import pytest

from limner.core.labels import LabelTable, voc_color
from limner.formats.public import class_tables
from limner.formats.public.camvid import STREET
from limner.formats.tools.voc import VOC_NAMES


def rows(table: LabelTable) -> dict[str, tuple[int, ...]]:
    return {c.name: (*c.values, *c.color) for c in table.classes}


def test_cityscapes() -> None:
    # Ids of cityscapesScripts (labels.py), colours as mmsegmentation has them.
    found = rows(class_tables.cityscapes())
    assert len(found) == 19
    assert found["road"] == (7, 128, 64, 128)
    assert found["sidewalk"] == (8, 244, 35, 232)
    assert found["vegetation"] == (21, 107, 142, 35)
    assert found["person"] == (24, 220, 20, 60)
    assert found["car"] == (26, 0, 0, 142)
    assert found["bicycle"] == (33, 119, 11, 32)
    assert rows(class_tables.cityscapes_train_ids())["bicycle"] == (18, 119, 11, 32)


def test_ade20k() -> None:
    found = rows(class_tables.ade20k())
    assert len(found) == 150
    assert found["wall"] == (1, 120, 120, 120)
    assert found["building"] == (2, 180, 120, 120)
    assert found["sky"] == (3, 6, 230, 230)
    assert found["person"] == (13, 150, 5, 61)
    assert found["car"] == (21, 0, 102, 200)
    assert found["flag"] == (150, 92, 0, 255)


def test_voc() -> None:
    found = {name: voc_color(i) for i, name in enumerate(VOC_NAMES)}
    assert len(found) == 21
    assert found["aeroplane"] == (128, 0, 0)
    assert found["bottle"] == (128, 0, 128)
    assert found["cat"] == (64, 0, 0)
    assert found["person"] == (192, 128, 128)
    assert found["tvmonitor"] == (0, 64, 128)
    assert voc_color(255) == (224, 224, 192)  # the border of objects, in the devkit's own files


def test_camvid() -> None:
    # CamVid's label_colors.txt, whose names are longer (Column_Pole, Sidewalk, SignSymbol).
    found = rows(STREET)
    assert found["building"] == (1, 128, 0, 0)
    assert found["pole"] == (2, 192, 192, 128)
    assert found["pavement"] == (4, 0, 0, 192)
    assert found["pedestrian"] == (9, 64, 64, 0)
    assert found["bicyclist"] == (10, 0, 128, 192)


@pytest.mark.peer
@pytest.mark.parametrize("dataset", ["cityscapes", "ade", "voc"])
def test_every_class_is_as_in_mmsegmentation(dataset: str) -> None:
    names, colors = (_published(f"{dataset}_{kind}") for kind in ("classes", "palette"))
    tables = {"cityscapes": class_tables.cityscapes, "ade": class_tables.ade20k}
    ours = (
        [(c.name, c.color) for c in tables[dataset]().classes]
        if dataset in tables
        else [(name, voc_color(i)) for i, name in enumerate(VOC_NAMES)]
    )
    assert ours == [(name.strip(), tuple(color)) for name, color in zip(names, colors, strict=True)]


def _published(function: str) -> list:
    """Read what a function returns from the source: importing the package needs its compiled parts."""
    package = importlib.util.find_spec("mmseg")
    if package is None:
        pytest.skip("mmsegmentation is not installed")
    source = Path(package.submodule_search_locations[0], "utils", "class_names.py").read_text("utf-8")
    (found,) = (n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == function)
    return ast.literal_eval(found.body[-1].value)
