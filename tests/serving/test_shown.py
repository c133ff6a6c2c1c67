"""What the page shows besides predictions: volumes as planes, and the images of a dataset or a run."""

import base64
import gzip
import io
import shutil

import numpy as np
import pytest
from PIL import Image

import limner
from limner.core.affine import reversed_axes
from limner.core.errors import DataError
from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import Geometry, Picture
from limner.images.volumes.volume_writing import write_volume
from limner.serving import shown_volume as module
from limner.serving.shown_data import open_shown_data
from limner.serving.shown_volume import shown_volume
from limner.weights.bundle import save_model

TABLE = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("organ", (1,), (255, 0, 0))))


def unpacked(text, dtype, shape):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), dtype).reshape(shape)


def affine(codes, steps=(1.0, 1.0, 1.0)):
    """The affine of a volume whose columns, rows and slices grow in these directions."""
    axes = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    matrix = np.eye(4)
    matrix[:3, :3] = 0
    for column, (code, step) in enumerate(zip(codes, steps, strict=True)):
        axis, sign = axes[code]
        matrix[axis, column] = sign * step
    return reversed_axes(matrix)


def test_a_volume_is_turned_as_in_radiology():
    image = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4, 1) * 10
    labels = np.zeros((2, 3, 4), np.uint8)
    labels[1, 2, 0] = 1
    geometry = Geometry((5.0, 2.0, 1.0), affine("RAS", (1.0, 2.0, 5.0)))
    found = shown_volume(Picture(image, geometry), labels, TABLE)
    assert found["size"] == found["full_size"] == [2, 3, 4] and found["channels"] == 1
    assert found["spacing"] == [5.0, 2.0, 1.0] and found["planes"] == ["axial", "coronal", "sagittal"]
    # R becomes L and A becomes P: columns and rows are reversed, slices stay.
    np.testing.assert_array_equal(unpacked(found["image"], "u1", (2, 3, 4)), image[:, ::-1, ::-1, 0])
    expected = labels[:, ::-1, ::-1].astype(int) + 1
    np.testing.assert_array_equal(unpacked(found["labels"], "<u2", (2, 3, 4)), expected)
    assert found["start"] == [1, 0, 3], "the planes through the only voxel of the organ"


def test_a_large_volume_is_shown_in_part(monkeypatch):
    monkeypatch.setattr(module, "MOST_VOXELS", 5 * 5 * 5)
    volume = np.random.default_rng(0).integers(0, 256, (9, 10, 11, 3), dtype=np.uint8)
    labels = np.full((9, 10, 11), 255, np.uint8)  # ignored everywhere
    found = shown_volume(Picture(volume), labels, TABLE)
    assert found["full_size"] == [9, 10, 11] and found["size"] == [5, 5, 6]  # every second
    assert found["planes"][0] == "first axis" and found["start"] == [2, 2, 3]
    np.testing.assert_array_equal(unpacked(found["image"], "u1", (5, 5, 6, 3)), volume[::2, ::2, ::2])
    assert not unpacked(found["labels"], "<u2", (5, 5, 6)).any()


def test_volumes_are_in_the_answer_if_asked_for(make_client, tiny_model, photo_file, tmp_path):
    save_model(tmp_path / "volumes", tiny_model(channels=1, spatial_dims=3), origin={})
    volume = np.random.default_rng(0).normal(100, 50, (34, 36, 40, 1)).astype(np.float32)
    write_volume(tmp_path / "a.nii.gz", volume, Geometry((3.0, 1.0, 1.0), affine("LPS", (1.0, 1.0, 3.0))))
    files = [("images", ("a.nii.gz", (tmp_path / "a.nii.gz").read_bytes(), "application/gzip"))]
    client = make_client(tmp_path / "volumes")
    (plain,) = client.post("/predict", files=files).json()["images"]
    (image,) = client.post("/predict?volume=true", files=files).json()["images"]
    assert "volume" not in plain and image["volume"]["size"] == [34, 36, 40]
    labels = unpacked(image["volume"]["labels"], "<u2", (34, 36, 40))
    assert [int((labels == 1 + row["index"]).sum()) for row in image["classes"]] == [
        row["pixels"] for row in image["classes"]
    ]
    (flat,) = make_client().post("/predict?volume=true", files=[photo_file]).json()["images"]
    assert "volume" not in flat


def test_the_images_of_a_dataset_are_listed_drawn_and_sent(make_client, cells):
    client = make_client(data=cells)
    assert client.get("/models").json()["shows"] is True
    listed = client.get("/data?start=2&count=2").json()
    assert listed["total"] == 6 and listed["score"] is None and listed["title"] == "Images of data"
    assert [(image["number"], image["name"]) for image in listed["images"]] == [(2, "cell_2"), (3, "cell_3")]
    sent = client.get("/data/2/file")
    assert sent.content == (cells / "images" / "cell_2.png").read_bytes()
    sides = [max(Image.open(io.BytesIO(client.get(f"/data/2{q}").content)).size) for q in ("", "?large=true")]
    assert sides == [300, 1400]


def test_other_files_and_numbers_are_refused(make_client, cells):
    client = make_client(data=cells)
    for number in ("6", "-1", "1e3", "²", "99999999999", "..%2fdataset.yaml"):
        assert client.get(f"/data/{number}").status_code == 404, number
    for query in ("start=-1", "count=x", "side=3"):
        answer = client.get(f"/data?{query}")
        assert answer.status_code == 400 and answer.json()["expected"], query
    (cells / "images" / "cell_0.png").unlink()
    assert client.get("/data/0/file").json()["error"] == "The image cannot be read: cell_0.png"
    answer = make_client().get("/data")
    assert answer.status_code == 404 and answer.json()["fix"] == "Start it with --data FOLDER."


def test_a_token_is_needed_for_data_too(make_client, cells):
    client = make_client(data=cells, token="x" * 20)
    for path in ("/data", "/data/0", "/data/0/file"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": f"Bearer {'x' * 20}"}).status_code == 200


@pytest.fixture
def run(cells, tmp_path):
    settings = {
        "network": {"name": "unet", "options": {"widths": [4, 6]}},
        "input": {"crop_size": [32, 32]},
        "train": {"steps": 2, "batch_size": 2, "validate_every": 2, "save_every": 2, "trackers": []},
    }
    return limner.train(cells, run=tmp_path / "run", settings=settings, device="cpu")


def test_the_worst_images_of_a_run_come_first(run, cells):
    table = run.root / "evaluation" / "val" / "per_image.csv"
    header, *rows = table.read_text("utf-8").splitlines()
    names = [row.partition(",")[0] for row in rows]
    column = header.split(",")[1]
    shown = open_shown_data(run.root)
    assert shown.title == "Validation images of run, the worst first"
    scores = [image.score for image in shown.images]
    assert scores == sorted(scores) and {image.record.name for image in shown.images} == set(names)
    # By hand: with these numbers, the last is the worst, and one without a number comes last.
    fake = [f"{name},{0.9 - 0.1 * place:.1f}" for place, name in enumerate(names)]
    fake[0] = f"{names[0]},"
    table.write_text("\n".join([f"name,{column}", *fake]) + "\n", "utf-8")
    found = open_shown_data(run.root).images
    assert [image.record.name for image in found] == [*names[:0:-1], names[0]]
    assert found[-1].score is None
    table.unlink()
    assert open_shown_data(run.root).score_title is None


def test_a_run_without_its_data_is_refused(run, cells):
    shutil.rmtree(cells)
    with pytest.raises(DataError, match="data"):
        open_shown_data(run.root)
