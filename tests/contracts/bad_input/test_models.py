"""Models that are changed, half there or unsafe, and things to predict that are no images."""

import hashlib
import json
import pickle

import cv2
import numpy as np
import pytest
import torch


@pytest.fixture
def predict(limner, finished):
    """`limner predict runs/one WORDS`."""
    return lambda *words: limner("predict", *words, "--out", "out", "--device", "cpu")


@pytest.mark.parametrize("file", ["weights.safetensors", "plan.yaml", "labels.yaml"])
def test_a_changed_file_is_not_loaded(limner, predict, finished, file):
    path = finished / "model" / file
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    for answer in (predict("runs/one", "data/images"), limner("evaluate", "runs/one", "--device", "cpu")):
        answer.refuses(
            f"changed or damaged after it was saved: runs/one/model/{file}", "SHA-256", "fix: Copy"
        )


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize("name", ["net.pth", "net", "folder/net.pt", "folder/net"])
@pytest.mark.parametrize(
    "save", [lambda p: torch.save(Evil(), p), lambda p: p.write_bytes(pickle.dumps(Evil()))]
)
def test_a_pickle_is_refused_and_never_opened(predict, tmp_path, name, save):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    save(path)
    answer = predict(name.partition("/")[0], "data/images")
    answer.refuses("does not open pickled checkpoints", name, "fix: Use the model/ folder", "limner import")
    assert "code ran" not in answer.out


def test_a_pickle_in_the_place_of_the_weights(predict, finished):
    weights, card = finished / "model/weights.safetensors", finished / "model/model.json"
    torch.save(Evil(), weights)
    said = json.loads(card.read_text())
    said["sha256"][weights.name] = hashlib.sha256(weights.read_bytes()).hexdigest()
    card.write_text(json.dumps(said))
    answer = predict("runs/one", "data/images")
    answer.refuses("The weights cannot be read: runs/one/model/weights.safetensors", "fix: Copy")
    assert "code ran" not in answer.out


def test_a_card_that_is_damaged_or_from_the_future(predict, finished):
    card = finished / "model" / "model.json"
    for damaged in ("[1", '{"format": ' + "1" * 5000 + "}", "[" * 100_000):
        card.write_text(damaged)
        predict("runs/one", "data/images").refuses(
            "The model's card is damaged: runs/one/model/model.json", "fix:"
        )
    card.write_text('{"format": 99}')
    predict("runs/one", "data/images").refuses(
        "written by a newer limner", "format 99", "pip install --upgrade"
    )
    (finished / "model" / "labels.yaml").unlink()
    predict("runs/one/model", "data").refuses("not a complete model folder", "found: labels.yaml missing")


def test_no_model_at_all(predict):
    predict("nowhere", "data/images").refuses("There is no such model: nowhere", "a folder with model.json")
    predict("one", "data/images").refuses("There is no such model: one", "Did you mean runs/one?")
    predict("data", "data/images").refuses("This is not a complete model folder: data", "Pass a run of")


def test_nothing_to_predict(predict, tmp_path):
    (tmp_path / "empty").mkdir()
    predict("runs/one", "empty").refuses(
        "nothing to predict: empty", "a folder without images", "fix: Pass images"
    )
    (tmp_path / "empty" / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    predict("runs/one", "empty").refuses("a folder without images, with clip.mp4 in it")
    predict("runs/one", "empty/*.png").refuses("nothing to predict: empty/*.png", "no file matches")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x18ftypmp42", "an MP4 or QuickTime video"),
        (b"RIFF\x10\0\0\0AVI LIST", "an AVI video"),
        (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_a_video_is_named_as_one(predict, tmp_path, start, kind):
    (tmp_path / "clip.mp4").write_bytes(start + bytes(200))
    answer = predict("runs/one", "clip.mp4")
    assert answer.code == 1
    answer.says("skipped clip.mp4: This is not an image", kind, "0 of 1 images predicted")


def test_one_broken_image_among_many(predict, finished, tmp_path):
    (tmp_path / "data/images/cell_03.png").write_bytes(b"bad")
    answer = predict("runs/one", "data/images", "gone.png")
    assert answer.code == 1
    answer.says("11 of 13 images predicted", "skipped data/images/cell_03.png", "text that begins with 'bad'")
    answer.says("There is no such image file: gone.png")
    assert len(list((tmp_path / "out/masks").iterdir())) == 11


def test_images_that_the_network_cannot_take(predict, tmp_path, picture):
    picture(tmp_path / "grey.png", np.zeros((50, 50), np.uint8))
    np.save(tmp_path / "five.npy", np.zeros((50, 50, 5), np.uint8))
    np.save(tmp_path / "nan.npy", np.full((50, 50, 3), np.nan, np.float32))
    answer = predict("runs/one", "grey.png", "five.npy", "nan.npy")
    assert answer.code == 1
    answer.says("1 of 3 images predicted", "found: 5 channels expected: 3 channels", "are NaN or infinite")


def test_an_output_folder_that_is_a_file(limner, finished, tmp_path):
    (tmp_path / "taken").write_text("mine")
    for words in (("predict", "runs/one", "data/images"), ("evaluate", "runs/one")):
        for out in ("taken", "taken/below"):
            answer = limner(*words, "--out", out, "--device", "cpu")
            answer.refuses(
                f"The output folder cannot be written: {out}", "found:", "fix: Choose another folder"
            )


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--window", "0x0", "--window expects a size such as 512x512; found '0x0'"),
        ("--scales", "0,x", "--scales expects numbers above 0"),
        ("--overlap", "2", "0.95"),
        ("--precision", "float8", "There is no precision named 'float8'"),
    ],
)
def test_an_option_out_of_range(predict, option, value, said):
    answer = predict("runs/one", "data/images", option, value)
    answer.refuses()
    assert said in " ".join(answer.err.replace("│", " ").split())


def test_predictions_are_whole_masks(predict, tmp_path):
    assert predict("runs/one", "data/images").code == 0
    mask = cv2.imread(str(tmp_path / "out/masks/cell_03.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (40, 48) and set(np.unique(mask)) <= {0, 255}
