"""The page in a real Chromium: upload, numbers, switches, correction; the server is a real one."""

import base64
import json
import threading
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import uvicorn
from chromium import Chromium, find_chromium
from pycocotools import mask as coco_mask

import limner
from limner.core.affine import reversed_axes
from limner.core.picture import Geometry
from limner.core.prediction import SegmentPrediction
from limner.images.volumes.volume_writing import write_volume
from limner.serving.address import listen, url_of
from limner.tasks import TASKS
from limner.weights.bundle import save_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium; name it with CHROMIUM=/path/to/it"),
]

OVERLAY = "document.querySelectorAll('.world canvas')[1]"
PAINTED = f"""(() => {{
  const canvas = {OVERLAY};
  const {{ data }} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, i) => i % 4 === 3 && value > 0).length;
}})()"""

PLACE = f"""(() => {{
  const box = {OVERLAY}.getBoundingClientRect();
  return [box.left, box.top, box.width / 50];
}})()"""
"""Left and top of the image on the screen, and its zoom; it is 50 pixels wide."""


@contextmanager
def running(service):
    """The URL of a service that answers in a thread."""
    server = uvicorn.Server(uvicorn.Config(service.app(), log_level="warning"))
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield url_of(listening)
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def server(make_service, tmp_path):
    """The URL of a server that keeps corrections in tmp_path / "kept"."""
    with running(make_service(keep=tmp_path / "kept")) as url:
        yield url


class Objects:
    """Stands for a predictor of objects: three squares, of 100, 64 and 36 pixels."""

    def __init__(self, predictor):
        self._predictor, self.task = predictor, TASKS["instance"]

    def __getattr__(self, name):
        return getattr(self._predictor, name)

    def predict(self, image, *, name):
        masks = np.zeros((3, *image.size), bool)
        for mask, place, side in zip(masks, (2, 15, 30), (10, 8, 6), strict=True):
            mask[place : place + side, place : place + side] = True
        return SegmentPrediction(name, masks, np.array([1, 1, 1]), np.array([0.9, 0.7, 0.3], np.float32))


@pytest.fixture
def object_server(make_service):
    """The URL of a server of `Objects`."""
    service = make_service()
    model = service.models.find(None)
    object.__setattr__(model, "predictor", Objects(model.predictor))
    with running(service) as url:
        yield url


@pytest.fixture
def browser(tmp_path):
    with Chromium(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def image(tmp_path, photo):
    cv2.imwrite(str(tmp_path / "cells.png"), photo[..., ::-1])
    return tmp_path / "cells.png"


def predict(browser, server, image):
    browser.open(server)
    browser.wait("document.querySelector('#model b')")
    browser.choose_files("#files", image)
    browser.wait("document.querySelector('#results .classes')")


def click(browser, text):
    buttons = "[...document.querySelectorAll('button')]"
    browser.evaluate(f"{buttons}.find((b) => b.textContent === {text!r}).click()")


def test_an_image_is_predicted_and_a_class_switched_off(server, browser, image, model_folder, tmp_path):
    predict(browser, server, image)
    predictor = limner.load(model_folder, device="cpu")
    cells = int((predictor.predict(image).semantic == 1).sum())
    assert 500 < cells < 1500
    shown = browser.evaluate("document.getElementById('results').innerText")
    assert f"{cells:,} pixels" in shown and f"{2000 - cells:,} pixels" in shown
    assert browser.evaluate(PAINTED) == cells
    browser.evaluate("document.querySelectorAll('.classes input')[1].click()")
    assert browser.evaluate(PAINTED) == 0
    browser.evaluate("document.querySelectorAll('.classes input')[1].click()")
    assert browser.evaluate(PAINTED) == cells
    area = f"{0.5 * 0.5 * cells:.3g} mm²"
    browser.evaluate(
        "(() => { const i = document.querySelector('[data-keeps=mm]'); i.value = 0.5; "
        "i.dispatchEvent(new Event('change')); })()"
    )
    assert area in browser.evaluate("document.getElementById('results').innerText")
    assert browser.complaints == []


def test_a_correction_is_painted_undone_and_kept(server, browser, image, model_folder, tmp_path):
    predict(browser, server, image)
    before = limner.load(model_folder, device="cpu").predict(image).semantic
    click(browser, "Correct the prediction")
    left, top, scale = browser.evaluate(
        f"(() => {{ const box = {OVERLAY}.getBoundingClientRect(); "
        "return [box.left, box.top, box.width / 50]; })()"
    )

    def at(x, y):
        return left + scale * x, top + scale * y

    browser.drag(at(10.5, 20.5), at(40.5, 20.5))  # a brush of 4 pixels: rows 18 to 22
    changed = browser.evaluate("document.getElementById('results').innerText")
    assert "pixels differ from the prediction" in changed and "\n0 pixels differ" not in changed
    browser.press("z", ctrl=True)
    assert "\n0 pixels differ" in browser.evaluate("document.getElementById('results').innerText")
    browser.drag(at(10.5, 20.5), at(40.5, 20.5))
    browser.press("e")
    browser.drag(at(10.5, 5.5), at(40.5, 5.5))
    click(browser, "Keep correction")
    browser.wait("document.getElementById('status').innerText.startsWith('Kept')")
    mask = cv2.imread(str(tmp_path / "kept" / "masks" / "cells.png"), cv2.IMREAD_UNCHANGED)
    assert (mask[19:22, 10:41] == 255).all() and (mask[4:7, 10:41] == 0).all()
    untouched = np.r_[0:3, 8:18, 24:40]
    np.testing.assert_array_equal(mask[untouched], before[untouched] * 255)
    assert (tmp_path / "kept" / "images" / "cells.png").read_bytes() == image.read_bytes()
    assert browser.complaints == []


RECORD = """(() => {
  window.blobs = [];
  window.makeURL ??= URL.createObjectURL;
  URL.createObjectURL = (blob) => { blobs.push(blob); return makeURL.call(URL, blob); };
})()"""
RECORDED = """Promise.all(blobs.map((blob) => new Promise((done) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.readAsDataURL(blob);
})))"""


def download(browser, *names):
    """Click buttons, and return the content of the files that they save."""
    browser.evaluate(RECORD)
    for number, name in enumerate(names, start=1):
        click(browser, name)
        browser.wait(f"blobs.length === {number}")
    return [base64.b64decode(text.partition(",")[2]) for text in browser.evaluate(RECORDED)]


def test_downloads_are_what_is_shown(server, browser, image, model_folder):
    predict(browser, server, image)
    files = download(browser, "Overlay", "Label map", "JSON")
    overlay, labels = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) for data in files[:2]
    )
    expected = limner.load(model_folder, device="cpu").predict(image).semantic
    np.testing.assert_array_equal(labels, expected * 255)
    picture = cv2.imread(str(image))
    differs = (overlay[..., :3].astype(int) - picture != 0).any(axis=2)
    assert not differs[expected == 0].any() and differs[expected == 1].mean() > 0.99
    assert json.loads(files[2])["images"][0]["classes"][1]["pixels"] == int(expected.sum())


def test_a_box_is_painted_and_saved_as_coco(server, browser, image, model_folder):
    predict(browser, server, image)
    expected = limner.load(model_folder, device="cpu").predict(image).semantic.copy()
    click(browser, "Correct the prediction")
    left, top, scale = browser.evaluate(PLACE)
    browser.press("r")
    places = [(left + scale * x, top + scale * y) for x, y in ((24.5, 22.5), (10.5, 20.5))]
    browser.drag(*places)
    expected[20:23, 10:25] = 1
    (content,) = map(json.loads, download(browser, "COCO"))
    assert content["images"] == [{"id": 1, "file_name": "cells.png", "width": 50, "height": 40}]
    assert [one["name"] for one in content["categories"]] == ["background", "cell"]
    (cell,) = content["annotations"]
    runs = coco_mask.frPyObjects(cell["segmentation"], 40, 50)
    np.testing.assert_array_equal(coco_mask.decode(runs), expected)
    assert cell["category_id"] == 2 and cell["area"] == coco_mask.area(runs) == expected.sum()
    assert cell["bbox"] == coco_mask.toBbox(runs).tolist()
    click(browser, "Keep correction")
    browser.wait("document.getElementById('status').innerText.startsWith('Kept')")
    (labels,) = download(browser, "Label map")
    labels = cv2.imdecode(np.frombuffer(labels, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels[..., 0], expected * 255)
    assert browser.complaints == []


def test_objects_are_counted_above_a_score(object_server, browser, image):
    predict(browser, object_server, image)

    def shown():
        return browser.evaluate("document.getElementById('results').innerText"), browser.evaluate(PAINTED)

    def set_threshold(value):
        browser.evaluate(
            f"(() => {{ const i = document.querySelector('[data-keeps=threshold]'); i.value = {value}; "
            "for (const name of ['input', 'change']) i.dispatchEvent(new Event(name)); })()"
        )

    text, painted = shown()
    assert "2 objects" in text and "164 pixels" in text and painted == 164
    set_threshold(0.2)
    text, painted = shown()
    assert "3 objects" in text and "200 pixels" in text and painted == 200
    set_threshold(0.95)
    text, painted = shown()
    assert "0 objects" in text and painted == 0
    set_threshold(0.8)
    browser.evaluate("document.querySelector('.objects li').focus()")
    assert browser.evaluate("document.querySelector('.shape.lit').getAttribute('width')") == "10"
    assert browser.complaints == []


@pytest.mark.parametrize("width", [390, 768, 1400])
def test_the_page_fits_every_width(server, browser, image, width):
    browser.resize(width, 844)
    for step in (lambda: browser.open(server), lambda: predict(browser, server, image)):
        step()
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(
        "[...document.querySelectorAll('button, input, select')].every((e) => e.hidden || e.type === 'file' "
        "|| e.closest('[hidden]') || e.labels?.length || e.textContent.trim() || e.ariaLabel || e.title)"
    ), "a control has no name"


def test_models_are_compared(make_service, tiny_model, model_folder, browser, image, tmp_path):
    save_model(tmp_path / "other", tiny_model(), origin={})
    with running(make_service(model_folder, tmp_path / "other")) as url:
        browser.open(url)
        browser.wait("document.querySelectorAll('#models input').length === 2")
        browser.choose_files("#files", image)
        browser.evaluate("document.querySelectorAll('#models input')[1].click()")
        browser.wait("document.querySelectorAll('#results .result').length === 2")
        first, second = (
            limner.load(folder, device="cpu").predict(image).semantic
            for folder in (model_folder, tmp_path / "other")
        )
        alike = 100 * (first == second).mean()
        shown = browser.evaluate("document.getElementById('results').innerText")
        assert f"cells and other agree on {alike:.1f} % of the pixels" in shown
        browser.evaluate("document.querySelector('input[value=side]').click()")
        captions = browser.evaluate("[...document.querySelectorAll('.caption')].map((p) => p.textContent)")
        assert captions == ["Original", "cells", "other"]
    assert browser.complaints == []


@pytest.fixture
def volume(tmp_path):
    """A volume of 34 x 36 x 40 voxels, three times as far apart along the slices."""
    affine = np.diag([-1.0, -1.0, 3.0, 1.0])  # columns to the left, rows to the back, slices to the head
    values = np.random.default_rng(0).normal(100, 50, (34, 36, 40, 1)).astype(np.float32)
    write_volume(tmp_path / "scan.nii.gz", values, Geometry((3.0, 1.0, 1.0), reversed_axes(affine)))
    return tmp_path / "scan.nii.gz"


PLANES = """[...document.querySelectorAll('.plane')].map((plane) => {
  const canvas = plane.querySelectorAll('canvas')[1];
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return [plane.querySelector('output').textContent, Number(plane.querySelector('input').value),
    data.filter((value, i) => i % 4 === 3 && value > 0).length, canvas.width, canvas.height];
})"""


def test_the_planes_of_a_volume_are_linked(make_service, tiny_model, browser, volume, tmp_path):
    save_model(tmp_path / "volumes", tiny_model(channels=1, spatial_dims=3), origin={})
    found = limner.load(tmp_path / "volumes", device="cpu").predict(volume).semantic
    with running(make_service(tmp_path / "volumes")) as url:
        predict(browser, url, volume)
        browser.wait("document.querySelectorAll('.plane').length === 3")
        cells = found == 1
        fullest = [int(cells.sum(axes).argmax()) for axes in ((1, 2), (0, 2), (0, 1))]

        def expected(places):
            slices = [cells.take(place, axis).sum() for axis, place in enumerate(places)]
            titles = zip(("axial", "coronal", "sagittal"), places, cells.shape, strict=True)
            sizes = [(40, 36), (40, 34), (36, 34)]
            return [
                [f"{name} {1 + place} / {side}", place, int(painted), *size]
                for (name, place, side), painted, size in zip(titles, slices, sizes, strict=True)
            ]

        assert browser.evaluate(PLANES) == expected(fullest)
        # True proportions: the sagittal plane has 36 columns of 1 mm and 34 rows of 3 mm.
        shape = browser.evaluate(
            "(() => { const box = document.querySelectorAll('.frame')[2].getBoundingClientRect(); "
            "return box.height / box.width; })()"
        )
        assert shape == pytest.approx(3 * 34 / 36, rel=0.01)
        left, top, width, height = browser.evaluate(
            "(() => { const box = document.querySelectorAll('.frame')[1].getBoundingClientRect(); "
            "return [box.left, box.top, box.width, box.height]; })()"
        )
        # Column 10 and row 4 of the coronal plane, whose first row is the last slice: the head is up.
        place = (left + width * 10.5 / 40, top + height * 4.5 / 34)
        browser.drag(place, place)
        assert browser.evaluate(PLANES) == expected([33 - 4, fullest[1], 10])
        browser.evaluate(
            "(() => { const i = document.querySelectorAll('.plane input')[1]; i.value = 20; "
            "i.dispatchEvent(new Event('input')); })()"
        )
        assert browser.evaluate(PLANES) == expected([29, 20, 10])
        browser.evaluate("document.querySelectorAll('.classes input')[1].click()")
        assert [row[2] for row in browser.evaluate(PLANES)] == [0, 0, 0]
    assert browser.complaints == []


def test_the_images_of_the_data_are_shown_enlarged_and_predicted(make_service, cells, browser):
    with running(make_service(data=cells)) as url:
        browser.open(url)
        browser.wait("document.querySelectorAll('#grid img[src]').length === 6")
        browser.wait("[...document.querySelectorAll('#grid img')].every((i) => i.naturalWidth === 300)")
        names = browser.evaluate("[...document.querySelectorAll('#grid .of')].map((e) => e.textContent)")
        assert names == [f"cell_{number}" for number in range(6)]
        browser.evaluate("document.querySelectorAll('#grid button')[2].click()")
        browser.wait("document.querySelector('#picture img')?.naturalWidth === 1400")
        assert browser.evaluate("document.getElementById('name').textContent") == "cell_2"
        browser.press("ArrowRight")
        browser.wait("document.getElementById('name').textContent === 'cell_3'")
        click(browser, "Predict")
        browser.wait("document.querySelector('#results .classes')")
        assert "cell_3.png" in browser.evaluate("document.getElementById('results').innerText")
        click(browser, "All images")
        assert browser.evaluate("document.getElementById('grid').getBoundingClientRect().height") > 100
    assert browser.complaints == []


@pytest.mark.parametrize("width", [390, 1400])
def test_planes_and_grid_fit_every_width(make_service, tiny_model, cells, browser, volume, tmp_path, width):
    save_model(tmp_path / "volumes", tiny_model(channels=1, spatial_dims=3), origin={})
    browser.resize(width, 844)
    with running(make_service(tmp_path / "volumes", data=cells)) as url:
        browser.open(url)
        browser.wait("document.querySelectorAll('#grid img[src]').length === 6")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        predict(browser, url, volume)
        browser.wait("document.querySelectorAll('.plane').length === 3")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        boxes = browser.evaluate(
            "[...document.querySelectorAll('.frame')].map((f) => { const b = f.getBoundingClientRect(); "
            "return [b.width, b.height]; })"
        )
        assert all(min(box) > 90 for box in boxes), boxes


def test_a_file_that_is_no_image_is_said(server, browser, tmp_path):
    (tmp_path / "words.png").write_text("words")
    browser.open(server)
    browser.wait("document.querySelector('#model b')")
    browser.choose_files("#files", tmp_path / "words.png")
    browser.wait("document.querySelector('#results .error')")
    assert "This is not an image that limner can read" in browser.evaluate("document.body.innerText")
