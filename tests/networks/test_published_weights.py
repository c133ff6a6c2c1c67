"""Weights that others trained give, in our networks, the scores of the networks they were made for."""

import numpy as np
import pytest
import torch
from PIL import Image

from limner.metrics.confusion import ConfusionMatrix
from limner.networks import build_network

NUM_CLASSES = 11  # of CamVid; both checkpoints score a twelfth, void, which is left out here
VOID = 11


def unit_range(image):
    return image.astype(np.float32) / 255


def bgr_statistics(image):
    # the published evaluation script of ESPNet divides by 255 after the standardisation
    return (image[..., ::-1] - (110.33, 108.41, 105.03)) / (72.13, 72.69, 69.90) / 255


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "file", "prepare", "mean_iou"),
    [
        ("enet", {"layout": "2017"}, "enet_camvid.pth", unit_range, 65.67),
        ("espnet", {}, "espnet_p2_q8_camvid.pth", bgr_statistics, 69.35),
    ],
)
def test_camvid(shared_data, name, options, file, prepare, mean_iou):
    network = build_network(name, num_classes=NUM_CLASSES + 1, **options).eval()
    fill_in_order(
        network, torch.load(shared_data / "checkpoints" / file, map_location="cpu", weights_only=True)
    )
    network.to(memory_format=torch.channels_last)  # a quarter faster
    confusion = ConfusionMatrix(NUM_CLASSES)
    for path in sorted((shared_data / "camvid" / "val").glob("*.png")):
        image = torch.from_numpy(np.float32(prepare(np.asarray(Image.open(path).convert("RGB")))))
        with torch.no_grad():
            scores = network(image.permute(2, 0, 1)[None]).logits[0, :NUM_CLASSES]
        truth = np.asarray(Image.open(shared_data / "camvid" / "valannot" / path.name))
        confusion.update(
            np.where(truth == VOID, 255, truth).astype(np.uint8), scores.argmax(0).byte().numpy()
        )
    assert 100 * confusion.compute().mean_iou == pytest.approx(mean_iou, abs=0.02)


def fill_in_order(network, theirs):
    """Both register their parts in the same order; only the names differ."""
    ours = [key for key in network.state_dict() if not key.endswith("num_batches_tracked")]
    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)), strict=False)
