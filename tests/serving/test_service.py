"""What the service answers; references are the predictor itself, pycocotools and nibabel-free arithmetic."""

import asyncio
import io
import re
import struct
import threading
import zlib

import cv2
import httpx
import numpy as np
import pytest
import torch
from exports import write_export
from PIL import Image
from pycocotools import mask as coco_mask

import limner
from limner.core.picture import Geometry
from limner.core.plan import ResizePlan
from limner.core.run_folder import RunFolder
from limner.images.read_image import read_image
from limner.images.volumes.volume_writing import write_volume
from limner.preparation.folds import FoldsFile
from limner.weights import exported
from limner.weights.bundle import save_model
from limner.weights.model import Model

PNG = {"Accept": "image/png"}
NIFTI = {"Accept": "application/x-nifti"}


def error_of(answer, status):
    assert answer.status_code == status, answer.text
    content = answer.json()
    assert set(content) == {"error", "found", "expected", "fix"} and content["error"]
    assert "Traceback" not in answer.text
    return content


def decoded(runs):
    return coco_mask.decode({"size": runs["size"], "counts": runs["counts"].encode()}).astype(bool)


def test_json_has_the_classes_that_the_model_predicts(make_client, model_folder, photo, photo_file):
    expected = limner.load(model_folder, device="cpu", precision="float32").predict(photo).semantic
    answer = make_client().post("/predict", files=[photo_file])
    assert answer.status_code == 200
    found = answer.json()
    (image,) = found["images"]
    assert found["model"] == "cells" and image["file"] == "cells 1.png"
    assert image["size"] == [40, 50] and image["channels"] == 3 and image["dtype"] == "uint8"
    assert [row["name"] for row in image["classes"]] == ["background", "cell"]
    assert sum(row["pixels"] for row in image["classes"]) == 40 * 50
    for row in image["classes"]:
        assert row["pixels"] > 500
        np.testing.assert_array_equal(decoded(row["mask"]), expected == row["index"])


def test_the_label_map_and_overlay_are_those_of_limner_predict(
    make_client, model_folder, photo, photo_file, tmp_path
):
    cv2.imwrite(str(tmp_path / "image.png"), photo[..., ::-1])
    predictor = limner.load(model_folder, device="cpu", precision="float32")
    limner.predict(predictor, tmp_path / "image.png", out=tmp_path / "out")
    client = make_client()
    for kind, folder in (("labels", "masks"), ("overlay", "overlays")):
        answer = client.post(f"/predict?picture={kind}", files=[photo_file], headers=PNG)
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
        assert answer.content == (tmp_path / "out" / folder / "image.png").read_bytes()
    content = client.post("/predict", files=[photo_file], headers=PNG).content
    labels = np.asarray(Image.open(io.BytesIO(content)))
    assert labels.shape == (40, 50) and set(np.unique(labels)) <= {0, 255}


def test_the_image_is_answered_as_browsers_can_show_it(make_client, photo):
    wide = photo.astype(np.uint16) * 257
    data = io.BytesIO()
    data.write(cv2.imencode(".tif", wide[..., ::-1])[1].tobytes())
    files = [("images", ("wide.tif", data.getvalue(), "image/tiff"))]
    answer = make_client().post("/predict?picture=image", files=files, headers=PNG)
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert shown.shape == photo.shape and shown.dtype == np.uint8
    assert np.corrcoef(shown.ravel(), photo.ravel())[0, 1] > 0.99


def test_of_several_images_one_may_fail(make_client, photo_file):
    broken = ("images", ("words.png", b"no image at all", "image/png"))
    answer = make_client().post("/predict", files=[photo_file, broken, photo_file])
    assert answer.status_code == 200
    first, second, third = answer.json()["images"]
    assert first["classes"] == third["classes"]
    assert second["file"] == "words.png" and "limner can read" in second["error"]
    assert error_of(make_client().post("/predict", files=[photo_file] * 2, headers=PNG), 406)


def test_what_is_no_image_is_refused(make_client):
    def sent(data, name="a.png"):
        return error_of(make_client().post("/predict", files=[("images", (name, data, "image/png"))]), 422)

    refused = sent(b"words")
    assert refused["error"] == "This is not an image that limner can read: a.png"
    assert "text that begins with" in refused["found"] and "PNG" in refused["expected"]
    assert sent(b"")["found"] == "an empty file (0 bytes)"


def test_an_image_of_another_pixel_type_is_refused(make_client, photo, png):
    data = png((photo[..., 0].astype(np.uint16) + 1) * 200)
    refused = error_of(make_client().post("/predict", files=[("images", ("deep.png", data))]), 422)
    assert "pixel type" in refused["error"] or "channels" in refused["error"] + refused["found"]


@pytest.mark.parametrize("name", ["../../etc/passwd.png", "/etc/passwd.png", r"C:\etc\passwd.png"])
def test_names_are_no_paths(make_client, photo, png, name):
    answer = make_client().post("/predict", files=[("images", (name, png(photo)))])
    assert answer.json()["images"][0]["file"] == "passwd.png"


@pytest.mark.parametrize("secret", ["/etc/hostname", "../../../../../../etc/hostname"])
def test_a_header_cannot_name_files_of_the_server(make_client, secret):
    header = (
        "ObjectType = Image\nNDims = 3\nDimSize = 1 1 2\nElementType = MET_UCHAR\n"
        f"ElementSpacing = 1 1 1\nElementDataFile = {secret}\n"
    )
    answer = make_client().post("/predict", files=[("images", ("volume.mhd", header.encode()))])
    assert "in another folder" in error_of(answer, 422)["found"]


def bomb(side):
    """Return a PNG of side x side black pixels, which is a thousand times smaller than they are."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((side + 1) * side), 9)
    size = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_decoded(make_client, monkeypatch):
    monkeypatch.setattr("limner.serving.uploads.read_image", lambda path: pytest.fail("it was decoded"))
    client = make_client(limits={"max_pixels": 1_000_000})
    refused = error_of(client.post("/predict", files=[("images", ("bomb.png", bomb(2000)))]), 413)
    assert "2000x2000" in refused["found"] and "4.0 million" in refused["found"]
    assert "--max-pixels" in refused["fix"]


def test_wrong_requests_say_what_is_expected(make_client, photo_file):
    client = make_client()
    assert "multipart" in error_of(client.post("/predict", content=b"x"), 415)["expected"]
    assert "`images`" in error_of(client.post("/predict", files=[("photo", photo_file[1])]), 400)["error"]
    assert "'cells'" in error_of(client.post("/predict?model=cell", files=[photo_file]), 404)["error"]
    assert "'picture'" in error_of(client.post("/predict?pictur=x", files=[photo_file]), 400)["error"]
    assert "'overlay'" in error_of(client.post("/predict?picture=overlays", files=[photo_file]), 400)["error"]
    assert "true or false" in error_of(client.post("/predict?polygons=1", files=[photo_file]), 400)["error"]
    assert error_of(client.post("/predict", files=[photo_file], headers={"Accept": "text/csv"}), 406)
    assert error_of(client.post("/predict", files=[photo_file], headers=NIFTI), 406)["expected"].endswith(
        "png"
    )
    assert "openapi" in error_of(client.get("/nothing"), 404)["fix"]
    assert error_of(client.get("/predict"), 405)
    assert error_of(client.get("/page/..%2Fservice.py"), 404)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("image/*", "image/png"),
        ("text/html, image/png;q=0.9, */*;q=0.1", "image/png"),
        ("image/png;q=0.2, application/json", "application/json"),
        ("image/png;q=0, */*", "application/json"),
    ],
)
def test_the_answer_is_of_the_most_wanted_type(make_client, photo_file, accept, kind):
    answer = make_client().post("/predict", files=[photo_file], headers={"Accept": accept})
    assert answer.headers["content-type"] == kind


def test_a_token_is_needed_where_there_is_one(make_client, photo_file):
    client = make_client(token="a-long-random-token")
    refused = client.post("/predict", files=[photo_file])
    assert error_of(refused, 401)["expected"] == "Authorization: Bearer TOKEN"
    assert refused.headers["www-authenticate"] == "Bearer"
    wrong = {"Authorization": "Bearer a-long-random-tokeN"}
    assert error_of(client.get("/models", headers=wrong), 401)["found"] == "another token"
    right = {"Authorization": "Bearer a-long-random-token"}
    assert client.post("/predict", files=[photo_file], headers=right).status_code == 200
    assert client.get("/health").status_code == client.get("/").status_code == 200


def test_pages_of_other_origins_cannot_use_the_service(make_client, photo_file):
    client = make_client(origins=("https://friend.example",))

    def status(**headers):
        return client.post("/predict", files=[photo_file], headers=headers).status_code

    assert status(Origin="http://127.0.0.1:8000") == status(Host="localhost:8000") == 200
    assert status(Origin="https://evil.example") == status(Origin="null") == 403
    assert status(Host="[::1") == status(Host="") == 403
    assert status(Host="evil.example") == 403  # a name that its owner points to this machine
    allowed = client.post("/predict", files=[photo_file], headers={"Origin": "https://friend.example"})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://friend.example"


def asgi(app, headers, *messages):
    """Send messages of a body to /predict; returns status and number of messages that were read."""
    read, sent = 0, []

    async def receive():
        nonlocal read
        if read == len(messages):
            await asyncio.sleep(60)
        read += 1
        return {"type": "http.request", "body": messages[read - 1], "more_body": True}

    async def send(message):
        sent.append((message, read))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *headers],
    }
    asyncio.run(app(scope, receive, send))
    read_before, (answer,) = sent[0][1], [message for message, _ in sent if "status" in message]
    return answer["status"], read_before


FORM = (b"content-type", b"multipart/form-data; boundary=b")
PART = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'


@pytest.fixture
def no_linger(monkeypatch):
    monkeypatch.setattr("limner.serving.unread_bodies.LINGER", 0.05)


def test_a_large_body_is_refused_before_it_is_read(make_service, no_linger):
    app = make_service(limits={"max_megabytes": 1.0}).app()
    assert asgi(app, [FORM, (b"content-length", b"2000000000")]) == (413, 0)
    status, read = asgi(app, [FORM], PART, *[bytes(400_000)] * 10)  # no length stated
    assert status == 413 and read == 4


def test_a_form_that_is_cut_or_damaged_is_refused(make_client):
    for body in (bytes(100), b"--b\r\n\r\n", b"--x"):
        answer = make_client().post("/predict", content=body, headers={"Content-Type": FORM[1].decode()})
        assert answer.status_code == 400, answer.text


def test_a_slow_client_is_not_waited_for(make_service, no_linger):
    app = make_service(limits={"timeout": 0.2}).app()
    assert asgi(app, [FORM], PART) == (408, 1)


class Held:
    """A predictor that waits until it is released."""

    def __init__(self, predictor):
        self.predictor, self.started, self.released = predictor, threading.Event(), threading.Event()

    def __getattr__(self, name):
        return getattr(self.predictor, name)

    def predict(self, *arguments, **options):
        self.started.set()
        assert self.released.wait(20)
        return self.predictor.predict(*arguments, **options)


def hold(service):
    model = service.models.find(None)
    held = Held(model.predictor)
    object.__setattr__(model, "predictor", held)
    return held


def concurrently(service, work):
    async def run():
        transport = httpx.ASGITransport(service.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await work(client)

    return asyncio.run(run())


def test_a_full_queue_says_when_to_come_again(make_service, photo_file):
    service = make_service(limits={"queue": 2})
    held = hold(service)

    async def work(client):
        first = [asyncio.create_task(client.post("/predict", files=[photo_file])) for _ in range(2)]
        await asyncio.to_thread(held.started.wait, 20)
        refused = await client.post("/predict", files=[photo_file])
        held.released.set()
        return refused, [(await task).status_code for task in first]

    refused, accepted = concurrently(service, work)
    assert accepted == [200, 200]
    assert "--queue" in error_of(refused, 429)["fix"] and int(refused.headers["retry-after"]) >= 1
    assert service.queue.num_accepted == 0


def test_a_prediction_that_takes_too_long_is_given_up(make_service, photo_file):
    service = make_service(limits={"timeout": 0.3})
    held = hold(service)

    async def work(client):
        refused = await client.post("/predict", files=[photo_file])
        held.released.set()
        return refused, await client.post("/predict", files=[photo_file])

    refused, after = concurrently(service, work)
    assert "--timeout" in error_of(refused, 504)["fix"] and after.status_code == 200


def test_concurrent_requests_get_their_own_answers(make_service, photo, png):
    service = make_service()
    images = [np.roll(photo, number, axis=1)[: 20 + number] for number in range(12)]
    predictor = service.models.find(None).predictor
    expected = [int((predictor.predict(image).semantic == 1).sum()) for image in images]

    async def work(client):
        files = [[("images", (f"{i}.png", png(image)))] for i, image in enumerate(images)]
        return await asyncio.gather(*(client.post("/predict", files=each) for each in files))

    answers = [answer.json()["images"][0] for answer in concurrently(service, work)]
    assert [answer["file"] for answer in answers] == [f"{i}.png" for i in range(12)]
    assert [answer["classes"][1]["pixels"] for answer in answers] == expected


def test_a_model_that_changed_on_disk_is_refused(make_client, model_folder, photo_file):
    client, weights = make_client(), model_folder / "weights.safetensors"
    weights.touch()
    assert client.post("/predict", files=[photo_file]).status_code == 200
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused = error_of(client.post("/predict", files=[photo_file]), 503)
    assert "weights.safetensors" in refused["error"] and "Restart" in refused["fix"]
    weights.unlink()
    assert error_of(client.post("/predict", files=[photo_file]), 503)["found"] == "no such file"


def test_a_failure_shows_nothing_of_the_program(make_client, make_service, photo_file, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("the secret of the program")

    monkeypatch.setattr("limner.inference.predictor.Predictor.predict", fail)
    answer = make_client(raises=False).post("/predict", files=[photo_file])
    assert "secret" not in answer.text and "log" in error_of(answer, 500)["error"]


def test_models_are_listed_and_chosen_by_name(make_client, model_folder, tiny_model, photo_file, tmp_path):
    save_model(tmp_path / "runs" / "cells" / "model", tiny_model(), origin={})
    client = make_client(model_folder, tmp_path / "runs" / "cells")
    listed = client.get("/models").json()
    assert [model["name"] for model in listed["models"]] == ["cells", "cells-2"]
    assert listed["models"][0]["classes"][1] == {
        "index": 1,
        "name": "cell",
        "value": 255,
        "color": [255, 0, 0],
        "is_background": False,
    }
    assert listed["limits"]["queue"] == 128 and listed["keeps"] is False
    answer = client.post("/predict?model=cells-2", files=[photo_file])
    assert answer.json()["model"] == "cells-2"


def test_a_cross_validation_is_one_model(make_client, tiny_model, photo, photo_file, tmp_path):
    run, mean = RunFolder(tmp_path / "crossed"), 0
    for number in range(2):
        model = tiny_model()
        with torch.no_grad():
            for weight in model.network.parameters():
                weight += number * torch.sin(torch.arange(weight.numel()).reshape(weight.shape))
        save_model(run.fold(number).model, model, origin={})
        predictor = limner.load(run.fold(number).model, device="cpu", precision="float32")
        mean = mean + predictor.predict(photo, probabilities=True).probabilities / 2
    run.folds.write_text(FoldsFile(data="none", folds=[["a"], ["b"]]).model_dump_json())
    client = make_client(run.root)
    found = client.post("/predict", files=[photo_file]).json()
    assert found["model"] == "crossed"
    cells = found["images"][0]["classes"][1]
    assert cells["pixels"] == pytest.approx((mean[1] > mean[0]).sum(), abs=2)
    (run.fold(1).model / "plan.yaml").write_text("changed")
    assert "plan.yaml" in error_of(client.post("/predict", files=[photo_file]), 503)["error"]


def test_a_volume_is_answered_as_nifti_with_its_geometry(tiny_model, make_client, tmp_path):
    save_model(tmp_path / "model3d", tiny_model(channels=1, spatial_dims=3), origin={})
    voxels = np.random.default_rng(0).normal(100, 50, (8, 12, 16, 1)).astype(np.float32)
    affine = np.diag([0.5, 0.75, 2.0, 1.0])[:, [2, 1, 0, 3]]  # array axes are z, y, x
    geometry = Geometry((2.0, 0.75, 0.5), affine)
    write_volume(tmp_path / "scan.nii.gz", voxels, geometry)
    client = make_client(tmp_path / "model3d")
    files = [("images", ("scan.nii.gz", (tmp_path / "scan.nii.gz").read_bytes()))]
    (image,) = client.post("/predict", files=files).json()["images"]
    assert image["size"] == [8, 12, 16] and image["spacing_mm"] == [2.0, 0.75, 0.5]
    for row in image["classes"]:
        assert row["volume_mm3"] == pytest.approx(row["pixels"] * 2 * 0.75 * 0.5) and "mask" not in row
    answer = client.post("/predict", files=files, headers=NIFTI)
    (tmp_path / "labels.nii.gz").write_bytes(answer.content)
    labels = read_image(tmp_path / "labels.nii.gz")
    assert labels.array.shape == (8, 12, 16, 1)
    np.testing.assert_allclose(labels.geometry.affine, read_image(tmp_path / "scan.nii.gz").geometry.affine)
    assert int((labels.array == 255).sum()) == image["classes"][1]["pixels"]
    assert error_of(client.post("/predict", files=files, headers=PNG), 406)["expected"].endswith("x-nifti")


def test_counts_are_text_for_prometheus(make_client, photo_file):
    client = make_client()
    client.post("/predict", files=[photo_file, photo_file])
    client.get("/nothing")
    answer = client.get("/metrics")
    line = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+')
    samples = [text for text in answer.text.splitlines() if not text.startswith("#")]
    assert all(line.fullmatch(text) for text in samples)
    assert 'limner_requests_total{path="/predict",status="200"} 1' in samples
    assert 'limner_requests_total{path="other",status="404"} 1' in samples
    assert 'limner_images_total{model="cells"} 2' in samples
    assert "limner_prediction_seconds_count 2" in samples
    buckets = [
        int(text.split()[-1]) for text in samples if text.startswith("limner_prediction_seconds_bucket")
    ]
    assert buckets == sorted(buckets) and buckets[-1] == 2


def test_nothing_is_loaded_from_elsewhere(make_client):
    answer = make_client().get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_export_that_changed_on_disk_is_refused(
    make_client, tiny_model, photo_file, tmp_path, monkeypatch
):
    model = tiny_model()
    folder = write_export(tmp_path / "export", model.plan, model.labels)
    load = lambda path: lambda images: (images[:, :2],)  # noqa: E731
    monkeypatch.setitem(exported.RUNTIMES, "onnx", exported.Runtime("a stand-in", "model.onnx", load))
    client = make_client(folder)
    assert client.post("/predict", files=[photo_file]).json()["model"] == "export"
    (folder / "model.onnx").write_bytes(b"another network")
    said = error_of(client.post("/predict", files=[photo_file]), 503)
    assert "changed on disk" in said["error"] and "Restart" in said["fix"]


def test_a_model_that_decodes_jpegs_at_a_part_of_their_size_answers_at_full_size(
    tiny_model, make_client, tmp_path
):
    model = tiny_model()
    changes = {"resize": ResizePlan(shortest=32), "reduced_decoding": True}
    model.plan = model.plan.model_copy(update={"input": model.plan.input.model_copy(update=changes)})
    save_model(tmp_path / "small", model, origin={})
    blocks = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize((320, 256)).save(tmp_path / "a.jpg")
    limner.predict(
        limner.load(tmp_path / "small", device="cpu", precision="float32"),
        tmp_path / "a.jpg",
        out=tmp_path / "out",
    )
    client, form = make_client(tmp_path / "small"), ("images", ("a.jpg", (tmp_path / "a.jpg").read_bytes()))
    (image,) = client.post("/predict", files=[form]).json()["images"]
    assert image["size"] == [256, 320]
    assert sum(row["pixels"] for row in image["classes"]) == 256 * 320
    for kind, folder in (("labels", "masks"), ("overlay", "overlays")):
        answer = client.post(f"/predict?picture={kind}", files=[form], headers=PNG)
        assert answer.content == (tmp_path / "out" / folder / "a.png").read_bytes()


def test_images_of_16_bits_are_answered_as_limner_predict_writes_them(tiny_model, make_client, png, tmp_path):
    model = tiny_model(channels=1)
    changes = {"dtype": "uint16", "value_range": (0.0, 4095.0), "mean": (2000.0,), "std": (1000.0,)}
    model = Model.from_plan(
        model.plan.model_copy(update={"input": model.plan.input.model_copy(update=changes)})
    )
    save_model(tmp_path / "deep", model.eval(), origin={})
    values = np.random.default_rng(0).integers(0, 4096, (40, 50), dtype=np.uint16)
    (tmp_path / "image.png").write_bytes(png(values))
    predictor = limner.load(tmp_path / "deep", device="cpu", precision="float32")
    limner.predict(predictor, tmp_path / "image.png", out=tmp_path / "out")
    client, form = make_client(tmp_path / "deep"), ("images", ("image.png", png(values), "image/png"))
    answer = client.post("/predict", files=[form], headers=PNG)
    assert answer.content == (tmp_path / "out" / "masks" / "image.png").read_bytes()
    (found,) = client.post("/predict", files=[form]).json()["images"]
    assert found["dtype"] == "uint16"
