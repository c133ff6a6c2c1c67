import cv2
import numpy as np
import pytest
import torch

import limner
from limner.core.errors import ConfigError, DataError
from limner.networks import build_network

SMALL = {"network": {"options": {"widths": (4, 6, 8)}}}


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = build_network("unet", num_classes=3, widths=(4, 6, 8))
    torch.save(network.state_dict(), tmp_path / "model.pth")
    return tmp_path / "model.pth"


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), cv2.blur(pixels, (9, 9)))
    return tmp_path / "photo.png"


def _import(path, out, image, **settings):
    return limner.import_checkpoint(path, out=out, network="unet", settings=SMALL | settings, image=image)


def test_every_reading_is_drawn_beside_the_model(checkpoint, image, tmp_path):
    imported = _import(checkpoint, tmp_path / "model", image)
    sheet = cv2.imread(str(tmp_path / "model_readings.png"))
    readings = sum(1 + len(choice.others) for choice in imported.open_choices)
    rows = sum(-(-(1 + len(choice.others)) // 2) for choice in imported.open_choices)
    assert readings >= 8 and sheet.shape[0] > 280 * rows and sheet.shape[1] > 2 * 840
    assert limner.load(tmp_path / "model", device="cpu").labels.num_classes == 3
    # Importing again, with one of the readings, replaces both.
    again = _import(checkpoint, tmp_path / "model", image, checkpoint={"channel_order": "bgr"})
    assert cv2.imread(str(tmp_path / "model_readings.png")).shape[0] < sheet.shape[0]
    assert len(again.open_choices) == len(imported.open_choices) - 1


def test_a_file_of_the_user_is_not_replaced(checkpoint, image, tmp_path):
    (tmp_path / "model_readings.png").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="model_readings.png"):
        _import(checkpoint, tmp_path / "model", image)
    assert not (tmp_path / "model").exists()
    assert (tmp_path / "model_readings.png").read_bytes() == b"mine"


def test_an_image_that_cannot_be_read_leaves_nothing_behind(checkpoint, tmp_path):
    with pytest.raises(DataError):
        _import(checkpoint, tmp_path / "model", tmp_path / "none.png")
    assert not (tmp_path / "model").exists() and not (tmp_path / "model_readings.png").exists()
