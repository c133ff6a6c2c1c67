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

import limner
from limner.core.prediction import SegmentPrediction
from limner.serving.address import listen, url_of
from limner.tasks import TASKS

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

    def predict(self, image, *, name, geometry):
        masks = np.zeros((3, *image.shape[:2]), bool)
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


def test_downloads_are_what_is_shown(server, browser, image, model_folder):
    predict(browser, server, image)
    browser.evaluate(
        "window.blobs = []; const make = URL.createObjectURL; "
        "URL.createObjectURL = (blob) => { blobs.push(blob); return make.call(URL, blob); };"
    )
    for number, name in enumerate(("Overlay", "Label map", "JSON"), start=1):
        click(browser, name)
        browser.wait(f"blobs.length === {number}")
    files = [
        base64.b64decode(text.partition(",")[2])
        for text in browser.evaluate(
            "Promise.all(blobs.map((blob) => new Promise((done) => { const reader = new FileReader(); "
            "reader.onload = () => done(reader.result); reader.readAsDataURL(blob); })))"
        )
    ]
    overlay, labels = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) for data in files[:2]
    )
    expected = limner.load(model_folder, device="cpu").predict(image).semantic
    np.testing.assert_array_equal(labels, expected * 255)
    picture = cv2.imread(str(image))
    differs = (overlay[..., :3].astype(int) - picture != 0).any(axis=2)
    assert not differs[expected == 0].any() and differs[expected == 1].mean() > 0.99
    assert json.loads(files[2])["images"][0]["classes"][1]["pixels"] == int(expected.sum())


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


def test_a_file_that_is_no_image_is_said(server, browser, tmp_path):
    (tmp_path / "words.png").write_text("words")
    browser.open(server)
    browser.wait("document.querySelector('#model b')")
    browser.choose_files("#files", tmp_path / "words.png")
    browser.wait("document.querySelector('#results .error')")
    assert "This is not an image that limner can read" in browser.evaluate("document.body.innerText")
