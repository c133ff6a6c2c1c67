"""Corrected predictions become a dataset that limner checks and trains on."""

import cv2
import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError, DataError
from limner.core.labels import LabelClass, LabelTable
from limner.serving.corrections import Corrections
from limner.storage import whole_files
from limner.weights.bundle import save_model


@pytest.fixture
def send(make_client, photo, png, tmp_path):
    """Sends a correction of the photo to a server that keeps them in tmp_path / "kept"."""
    clients = []

    def make(name="cells 1.png", *, folder=None, labels=None, options="", image=None):
        if not clients or folder:
            clients[:] = [make_client(*([folder] if folder else []), keep=tmp_path / "kept")]
        labels = np.uint8(photo[..., 0] > 128) if labels is None else labels
        image = png(photo) if image is None else image
        files = {"image": (name, image), "labels": ("labels.png", png(labels))}
        return clients[0].post(f"/corrections{options}", files=files)

    return make


def test_kept_corrections_pass_the_check_and_are_learned_from(send, model_folder, photo, tmp_path):
    draw = np.random.default_rng(1)
    for number in range(4):
        labels = np.uint8(draw.integers(0, 2, (40, 50)))
        answer = send(f"scan {number}.png", labels=labels)
        assert answer.status_code == 201, answer.text
        assert answer.json() == {
            "image": f"images/scan_{number}.png",
            "mask": f"masks/scan_{number}.png",
            "is_replaced": False,
            "num_images": number + 1,
        }
        mask = cv2.imread(str(tmp_path / "kept" / "masks" / f"scan_{number}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, labels * 255)  # the values of the model's own masks
    image = cv2.imread(str(tmp_path / "kept" / "images" / "scan_0.png"))[..., ::-1]
    np.testing.assert_array_equal(image, photo)
    checked = limner.check(tmp_path / "kept")
    assert not checked.errors
    run = limner.train(
        tmp_path / "kept",
        run=tmp_path / "run",
        weights=model_folder,
        settings={"train": {"steps": 2, "batch_size": 1}, "input": {"crop_size": [32, 32]}},
        device="cpu",
    )
    assert limner.load(run.model, device="cpu").labels.names == ("background", "cell")


def test_an_earlier_correction_is_replaced_only_on_request(send, tmp_path):
    assert send().status_code == 201
    before = {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*.png")}
    refused = send("Cells 1.jpg", labels=np.zeros((40, 50), np.uint8))
    assert refused.status_code == 409 and "cells_1.png" in refused.json()["found"]
    assert "Cells_1-2" in refused.json()["expected"]
    assert {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*.png")} == before
    replaced = send(labels=np.zeros((40, 50), np.uint8), options="?replace=true")
    assert replaced.status_code == 201 and replaced.json()["is_replaced"]
    mask = cv2.imread(str(tmp_path / "kept" / "masks" / "cells_1.png"), cv2.IMREAD_UNCHANGED)
    assert not mask.any() and replaced.json()["num_images"] == 1


@pytest.mark.parametrize(
    "name", ["../../escape.png", "/escape.png", "..", ".hidden.png", "a/b\\c.png", "é ü.png"]
)
def test_names_stay_inside_the_folder(send, tmp_path, name):
    answer = send(name)
    assert answer.status_code == 201
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.png")]
    assert len(files) == 2 and {file.parts[:2] for file in files} == {("kept", "images"), ("kept", "masks")}
    assert not any(file.name.startswith(".") for file in files)


def test_labels_that_do_not_fit_are_refused(send, tmp_path):
    assert send(labels=np.zeros((41, 50), np.uint8)).json()["expected"] == "50x40 pixels"
    refused = send(labels=np.full((40, 50), 255, np.uint8))
    assert refused.status_code == 422 and refused.json()["found"] == "numbers up to 255"
    assert send(image=b"words").status_code == 422
    assert not (tmp_path / "kept").exists()


def test_labels_of_other_classes_are_refused(send, tiny_model, tmp_path):
    assert send().status_code == 201
    other = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("nucleus", (1,), (255, 0, 0))))
    save_model(tmp_path / "other", tiny_model(labels=other), origin={})
    refused = send("b.png", folder=tmp_path / "other")
    assert refused.status_code == 409
    assert refused.json()["found"] == "background, cell" and "nucleus" in refused.json()["expected"]


def pixels(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("container", [".png", ".bmp"])
def test_a_replacement_that_stops_never_leaves_an_image_with_labels_of_another(
    send, tmp_path, monkeypatch, number, container
):
    first, second = np.zeros((40, 50), np.uint8), np.ones((40, 50), np.uint8)
    assert send(labels=first).status_code == 201
    other = np.random.default_rng(7).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    sent = cv2.imencode(container, other)[1].tobytes()
    again = {"labels": second, "image": sent, "options": "?replace=true"}
    move, moves = whole_files.move_file, []

    def stop(aside, path):
        moves.append(path)
        if len(moves) == number:
            raise RuntimeError("stopped here")
        move(aside, path)

    monkeypatch.setattr(whole_files, "move_file", stop)
    with pytest.raises(RuntimeError, match="stopped here"):
        send(**again)
    monkeypatch.setattr(whole_files, "move_file", move)
    kept = tmp_path / "kept"
    images = list((kept / "images").iterdir())
    mask = pixels(kept / "masks" / "cells_1.png")
    assert len(images) <= 1
    if mask is not None and images:
        assert bool(mask.any()) == np.array_equal(pixels(images[0]), other)
    answer = send(**again)
    assert answer.status_code == 201 and answer.json()["num_images"] == 1
    np.testing.assert_array_equal(pixels(kept / answer.json()["image"]), other)
    assert (pixels(kept / "masks" / "cells_1.png") == 255).all()


def test_labels_of_an_image_are_added_after_a_kill_without_replacing(send, photo, tmp_path):
    assert send().status_code == 201
    mask = tmp_path / "kept" / "masks" / "cells_1.png"
    mask.unlink()
    other = send(image=cv2.imencode(".png", photo // 2)[1].tobytes())
    assert other.status_code == 409 and not mask.exists()
    answer = send()
    assert answer.status_code == 201 and not answer.json()["is_replaced"] and mask.is_file()


def test_what_a_killed_server_left_is_removed_by_the_next_one(make_service, send, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / ".dataset.yaml.1-2.part").write_bytes(b"half")
    service = make_service(keep=kept)
    service.corrections.refuse_unsuitable(service.models)
    assert send().status_code == 201
    (kept / "images" / ".b.png.1-2.part").write_bytes(b"half")
    answer = send("b.png")
    assert answer.status_code == 201 and answer.json()["num_images"] == 2
    with service.corrections.held():
        assert not list(kept.rglob("*.part"))
        said = r"(?s)Another process writes.*limner serve --keep"
        with pytest.raises(ConfigError, match=said), Corrections(kept).held():
            pass
        assert not limner.check(kept).errors  # while the server runs
    assert sorted(path.name for path in kept.iterdir()) == ["dataset.yaml", "images", "masks"]


def test_nothing_is_kept_without_a_folder(make_client, photo, png):
    files = {"image": ("a.png", png(photo)), "labels": ("labels.png", png(photo[..., 0] // 128))}
    answer = make_client().post("/corrections", files=files)
    assert answer.status_code == 403 and "--keep" in answer.json()["fix"]


def test_unsuitable_folders_and_models_are_refused_before_the_start(
    make_service, tiny_model, cells, tmp_path
):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("words")
    service = make_service(keep=tmp_path / "full")
    with pytest.raises(DataError, match="other files"):
        service.corrections.refuse_unsuitable(service.models)
    save_model(tmp_path / "model3d", tiny_model(channels=1, spatial_dims=3), origin={})
    service = make_service(tmp_path / "model3d", keep=tmp_path / "kept")
    with pytest.raises(ConfigError, match="label maps"):
        service.corrections.refuse_unsuitable(service.models)


def test_label_maps_of_volumes_in_slices_are_not_corrected_as_images(make_service, tiny_model, tmp_path):
    model = tiny_model(channels=1)
    slices = model.plan.input.model_copy(update={"slice_axis": 0})
    model.plan = model.plan.model_copy(update={"input": slices})
    save_model(tmp_path / "slices", model, origin={})
    service = make_service(tmp_path / "slices", keep=tmp_path / "kept")
    (shown,) = [one.to_json() for one in service.models]
    assert (shown["spatial_dims"], shown["is_correctable"]) == (3, False)
    with pytest.raises(ConfigError, match="label maps"):
        service.corrections.refuse_unsuitable(service.models)
