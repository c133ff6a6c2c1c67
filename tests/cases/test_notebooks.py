"""The notebooks of docs/ run from the first to the last cell."""

import importlib.util
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"

QUICK = """
MINUTES = {minutes}
SETTINGS = {{
    "train": {{"batch_size": 2, "workers": 0, "trackers": [], "precision": "float32"}},
    "input": {{"crop_size": [64, 64]}},
}}
"""


def executed(name, folder, *, minutes):
    """Run a notebook in a folder with other values of its first cell; returns its cells of code."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    (place,) = [n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(QUICK.format(minutes=minutes)))
    client = nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cells, kind):
    """Return what the cells show of a kind."""
    return [out["data"][kind] for cell in cells for out in cell.outputs if kind in out.get("data", {})]


def five_users():
    """The drawn folders of the tutorials."""
    spec = importlib.util.spec_from_file_location(
        "five_users", Path(__file__).with_name("test_five_users.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.peer
def test_nuclei(tmp_path):
    cells = executed("nuclei", tmp_path, minutes=0.05)
    tables = "".join("".join(one) for one in shown(cells, "text/html"))
    assert "nucle" in tables and "Dice" in tables
    assert len(shown(cells, "image/png")) == 1


@pytest.mark.peer
def test_glomeruli(tmp_path):
    drawn = five_users()
    drawn.glomeruli(tmp_path / "Glomeruli-dataset")
    drawn.pspnet_of_cityscapes(tmp_path / "pspnet_r18-d8_cityscapes.pth")
    cells = executed("glomeruli", tmp_path, minutes=0.05)
    assert "foreground" in "".join("".join(one) for one in shown(cells, "text/html"))
    assert len(shown(cells, "image/png")) == 4
    assert (tmp_path / "runs" / "glomeruli" / "report.html").is_file()
