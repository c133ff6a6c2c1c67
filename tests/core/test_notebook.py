"""What notebooks show: escaped tables, and pictures that Pillow reads."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

import limner
from limner.core.labels import distinct_color
from limner.core.notebook import IGNORED, ColoredName, label_picture, notebook_table
from limner.core.prediction import SemanticPrediction


class Cells(HTMLParser):
    """Collects the cells of tables, and the names of all elements."""

    def __init__(self, html):
        super().__init__()
        self.cells, self.names = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def pixels_of(html):
    data = base64.b64decode(re.search(r"base64,([\w+/=]+)", html)[1])
    return np.asarray(Image.open(io.BytesIO(data)))


def test_text_is_escaped_and_numbers_are_readable():
    hostile = "<img src=x onerror=alert(1)>\x1b[31m"
    rows = [(ColoredName(hostile, (1, 2, 3)), 12345), (hostile, 0.25)]
    html = notebook_table(hostile, (hostile, "number"), rows)
    found = Cells(html)
    assert "img" not in found.names and "\x1b" not in html and "rgb(1, 2, 3)" in html
    assert found.cells[3] == "12,345" and found.cells[5] == "0.2500"


def test_a_label_map_is_a_picture_in_the_colours_of_the_classes():
    labels = np.array([[0, 1, 255], [2, 2, 1]], np.uint8)
    pixels = pixels_of(label_picture(labels))
    assert pixels.shape == (2, 3, 3)
    assert tuple(pixels[0, 2]) == IGNORED
    for index in range(3):
        assert (pixels[labels == index] == distinct_color(index)).all()


def test_large_maps_are_reduced_and_volumes_cut():
    large = np.zeros((1500, 700), np.uint8)
    large[600:, :] = 1
    assert pixels_of(label_picture(large)).shape == (500, 234, 3)
    volume = np.zeros((5, 8, 9), np.uint16)
    volume[2] = 3
    assert (pixels_of(label_picture(volume)) == distinct_color(3)).all()


def test_a_prediction_shows_the_sizes_of_its_classes():
    labels = np.array([[0, 1, 255, 255], [1, 1, 1, 0]], np.uint8)
    cells = Cells(SemanticPrediction("scan <1>", labels)._repr_html_()).cells
    assert cells[3:] == ["■ class 0", "2", "0.2500", "■ class 1", "4", "0.5000"]


def test_a_check_and_a_plan_show_themselves(cells):
    checked = limner.check(cells)
    shown = Cells(checked._repr_html_()).cells
    assert "■ background" in shown and "■ cell" in shown
    assert all(finding.code in shown for finding in checked.findings)
    plan = limner.plan(cells, device="cpu")
    shown = Cells(plan._repr_html_()).cells
    place = shown.index("network.name")
    assert shown[place + 1] == plan.network.name and shown[place + 2] == plan.reasons["network.name"]
    assert "None" not in [shown[i + 1] for i in range(3, len(shown), 3) if shown[i].startswith("train.")]
