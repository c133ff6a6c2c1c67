"""The protocol of Label Studio's ML backends, with requests as its documents and its client have them."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import PLAIN, Picture
from limner.core.prediction import BoxPrediction, ClassPrediction, SegmentPrediction
from limner.formats.tools.label_studio import unpack_brush
from limner.serving.image_fetching import ImageFetcher
from limner.serving.image_results import ImageResult
from limner.serving.labelling_interface import read_interface
from limner.serving.limits import Limits
from limner.tasks import find_task

POLYGONS = """<View><Header value="Cells"/><Image name="picture" value="$scan"/>
<PolygonLabels name="outline" toName="picture"><Label value="Cell"/></PolygonLabels></View>"""


@pytest.fixture(scope="module")
def studio():
    """Serves like Label Studio: files with a token, one elsewhere, and access tokens for personal ones."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers.get("Authorization")))
            allowed = self.headers.get("Authorization") in (None, "Token legacy", "Bearer short-lived")
            if self.path == "/data/cloud.png":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:9/secret.png")
                self.end_headers()
                return
            content = files.get(self.path)
            self.send_response(401 if not allowed else 404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content if allowed and content else b"")

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            access = "short-lived" if body == {"refresh": "per.son.al"} else "wrong"
            self.wfile.write(json.dumps({"access": access}).encode())

        def log_message(self, *args):
            pass

    files, seen = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", files=files, seen=seen)
    server.shutdown()
    server.server_close()
    thread.join()


def request_of(*places, config=POLYGONS):
    """A request of Label Studio's client: `make_predictions` in its ml/api_connector.py."""
    return {
        "tasks": [{"id": n, "data": {"scan": place}} for n, place in enumerate(places, 1)],
        "model_version": None,
        "project": "7.1700000000",
        "label_config": config,
        "params": {"login": None, "password": None, "context": None},
    }


@pytest.fixture
def client(make_client, studio, photo, png):
    studio.files["/data/upload/7/0a1b2c3d-cells.png"] = png(photo)
    return make_client(label_studio=studio.url)


def test_a_project_is_connected(client, studio):
    answer = client.get("/label-studio/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "UP")
    setup = {"project": "7.1700000000", "schema": POLYGONS, "hostname": studio.url, "access_token": "x"}
    answer = client.post("/label-studio/setup", json=setup)
    assert answer.status_code == 200
    assert answer.json()["model_version"].startswith("cells ")
    event = client.post("/label-studio/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 7}})
    assert (event.status_code, event.json()["action"]) == (200, "ANNOTATION_CREATED")


def test_tasks_are_predicted_as_outlines_with_the_labels_of_the_project(client, model_folder, photo):
    place = "/data/upload/7/0a1b2c3d-cells.png"
    answer = client.post("/label-studio/predict", json=request_of(place, place))
    assert answer.status_code == 200, answer.text
    one, other = answer.json()["results"]
    assert one == other
    assert one["model_version"] == answer.json()["model_version"]
    covered = np.zeros((40, 50), bool)
    from limner.formats.drawn import Drawn, Shape

    for row in one["result"]:
        assert (row["type"], row["from_name"], row["to_name"]) == ("polygonlabels", "outline", "picture")
        assert (row["original_width"], row["original_height"]) == (50, 40)
        assert row["value"]["polygonlabels"] == ["Cell"]
        assert 0.5 <= row["score"] <= 1
        points = np.array(row["value"]["points"]) * [0.5, 0.4]
        covered |= Drawn(0, (Shape("polygon", points.ravel().tolist()),)).mask(40, 50)
    import limner

    expected = limner.load(model_folder, device="cpu", precision="float32").predict(photo).semantic == 1
    assert (covered & expected).sum() > 0.9 * expected.sum()
    assert one["score"] == pytest.approx(np.mean([row["score"] for row in one["result"]]), abs=1e-4)


@pytest.mark.parametrize("config", ["no XML <", "<View><Text name='t' value='$text'/></View>"])
def test_projects_that_do_not_fit_are_refused_when_they_are_connected(client, config):
    assert client.post("/label-studio/setup", json={"schema": config}).status_code == 400


def test_what_is_missing_in_the_interface_is_named(client):
    for config, words in (
        (POLYGONS.replace('"Cell"', '"Nerve"'), "No label of the project is a class of the model"),
        (POLYGONS.replace("PolygonLabels", "KeyPointLabels"), "no control tag for semantic segmentation"),
    ):
        answer = client.post("/label-studio/setup", json={"schema": config})
        assert answer.status_code == 400
        assert words in answer.json()["error"]


def test_a_task_that_fails_is_named_and_nothing_is_stored_as_empty(client):
    good = "/data/upload/7/0a1b2c3d-cells.png"
    answer = client.post("/label-studio/predict", json=request_of(good, "/data/gone.png"))
    assert answer.status_code == 502
    assert answer.json()["error"].startswith("task 2: Label Studio did not return the image")
    assert "404" in answer.json()["found"]


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:9/a.png",
        "file:///etc/passwd",
        "//evil.example/a.png",
        "s3://bucket/a.png",
        "a.png",
        "",
        "http://[/",
    ],
)
def test_nothing_is_fetched_from_elsewhere(client, place):
    answer = client.post("/label-studio/predict", json=request_of(place))
    assert answer.status_code == 422
    assert "not at the address of Label Studio" in answer.json()["error"]


def test_redirects_are_not_followed(client):
    answer = client.post("/label-studio/predict", json=request_of("/data/cloud.png"))
    assert (answer.status_code, "302" in answer.json()["found"]) == (502, True)


def test_requests_that_are_none_and_servers_without_an_address_are_refused(client, make_client):
    for body in (b"words", b"[]", b"{}"):
        assert client.post("/label-studio/predict", content=body).status_code == 400
    no_image = {**request_of("x"), "tasks": [{"id": 1, "data": {"other": "x"}}]}
    assert client.post("/label-studio/predict", json=no_image).status_code == 422
    answer = make_client().post("/label-studio/predict", json=request_of("/a.png"))
    assert (answer.status_code, "--label-studio" in answer.json()["fix"]) == (403, True)


@pytest.mark.parametrize(
    ("token", "sent"), [("legacy", "Token legacy"), ("per.son.al", "Bearer short-lived")]
)
def test_both_kinds_of_access_tokens(studio, tmp_path, token, sent):
    studio.files["/data/local-files/?d=set/a%20b.png"] = b"content"
    fetcher = ImageFetcher(studio.url + "/", token, Limits())
    upload = fetcher.fetch("/data/local-files/?d=set/a%20b.png", tmp_path)
    assert (upload.name, upload.path.read_bytes()) == ("a b.png", b"content")
    assert studio.seen[-1] == ("/data/local-files/?d=set/a%20b.png", sent)


def test_images_larger_than_the_limit_and_odd_addresses_are_refused(studio, tmp_path):
    studio.files["/data/large.png"] = bytes(2000)
    with pytest.raises(Exception, match="too large"):
        ImageFetcher(studio.url, None, Limits(max_megabytes=0.001)).fetch("/data/large.png", tmp_path)
    for address in ("localhost:8080", "ftp://host", "http://", "http://me@host"):
        with pytest.raises(ConfigError, match="cannot be used"):
            ImageFetcher(address, None, Limits())


def test_label_studio_sends_the_token_as_a_password(make_client, studio, photo, png):
    studio.files["/data/a.png"] = png(photo)
    client = make_client(token="a-long-random-token", label_studio=studio.url)
    for password, status in (("a-long-random-token", 200), ("another", 401)):
        basic = base64.b64encode(f"studio:{password}".encode()).decode()
        answer = client.post(
            "/label-studio/predict",
            json=request_of("/data/a.png"),
            headers={"Authorization": f"Basic {basic}"},
        )
        assert answer.status_code == status
    assert client.get("/label-studio/health").status_code == 200


LABELS = LabelTable(
    (LabelClass("cat", (1,), (255, 0, 0), is_thing=True), LabelClass("dog", (2,), (0, 0, 255), is_thing=True))
)
TAGS = """<View><Image name="i" value="$image"/><{tag} name="x" toName="i">{labels}</{tag}></View>"""


def results(tag, task, prediction, *, item="Label", labels=("cat", "dog")):
    config = TAGS.format(tag=tag, labels="".join(f'<{item} value="{label}"/>' for label in labels))
    picture = Picture(np.zeros((20, 30, 3), np.uint8), PLAIN, ())
    result = ImageResult("a", picture, prediction, 0.0)
    return read_interface(config).results(result, find_task(task), LABELS)


def test_objects_as_polygons_brushes_and_rectangles():
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 2:6, 3:9] = masks[0, 10:14, 3:9] = masks[1, 5:9, 15:25] = True  # the first has two parts
    found = SegmentPrediction("a", masks, np.array([0, 1]), np.float32([0.9, 0.8]))
    polygons = results("PolygonLabels", "instance", found)
    assert [row["value"]["polygonlabels"] for row in polygons] == [["cat"], ["cat"], ["dog"]]
    assert len({row["id"] for row in polygons}) == 3
    brushes = results("BrushLabels", "instance", found)
    for row, mask in zip(brushes, masks, strict=True):
        pixels = unpack_brush(row["value"]["rle"]).reshape(20, 30, 4)
        np.testing.assert_array_equal(pixels[..., 3] > 0, mask)
    rectangles = results("RectangleLabels", "instance", found)
    assert [rectangles[1]["value"][key] for key in ("x", "y", "width", "height")] == [50, 25, *(100 / 3, 20)]
    assert len(results("BrushLabels", "instance", found, labels=["dog"])) == 1


def test_boxes_and_classes_of_whole_images():
    xyxy = np.float32([[3, 2, 9, 12]])
    found = BoxPrediction("a", xyxy, np.array([1]), np.float32([0.9]), (20, 30))
    (row,) = results("RectangleLabels", "detection", found)
    assert row["value"] == {
        **{"x": 10, "y": 10, "width": 20, "height": 50, "rotation": 0},
        "rectanglelabels": ["dog"],
    }
    (row,) = results("Choices", "classification", ClassPrediction("a", np.float32([0.2, 0.8])), item="Choice")
    assert (row["type"], row["value"], row["from_name"]) == ("choices", {"choices": ["dog"]}, "x")
    assert row["score"] == pytest.approx(0.8)
