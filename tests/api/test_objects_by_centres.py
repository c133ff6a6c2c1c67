"""Objects and panoptic segments with the default network, from folder to files."""

import json

import cv2
import numpy as np
import pytest

import limner
from limner.api.train import resume
from limner.core.errors import ConfigError
from limner.core.plan import InferencePlan
from limner.core.watchers import Watcher

SIDE, COUNT = 48, 6
SETTINGS = {
    "train": {"steps": 6, "batch_size": 2, "validate_every": 3, "save_every": 3, "workers": 0},
    "network": {"options": {"widths": [4, 8]}},
    "input": {"crop_size": [48, 48]},
    "loss": {"terms": [{"name": "centre_offset", "options": {"sigma": 3.0, "hard_fraction": 1.0}}]},
}


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    """Six images of four bright discs, as COCO."""
    root = tmp_path_factory.mktemp("discs") / "data"
    (root / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, COUNT + 1):
        draws = np.random.default_rng(number)
        picture = draws.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
        for corner in range(4):
            x, y = (int(12 + 24 * (corner >> axis & 1) + draws.integers(-2, 3)) for axis in (0, 1))
            polygon = cv2.ellipse2Poly((x, y), (7, 7), 0, 0, 360, 20)
            cv2.fillPoly(picture, [polygon], (200, 220, 240))
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            box = [x - 7, y - 7, 14, 14]
            annotations.append(row | {"segmentation": [polygon.ravel().tolist()], "bbox": box, "area": 150})
        cv2.imwrite(str(root / "images" / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "disc"}]}
    (root / "annotations.json").write_text(json.dumps(content), "utf-8")
    return root


@pytest.fixture(scope="module", params=["instance", "panoptic"])
def trained(request, discs, tmp_path_factory):
    run = tmp_path_factory.mktemp(request.param) / "run"
    return limner.train(
        discs, run=run, task=request.param, network="unet-centres", settings=SETTINGS, device="cpu"
    )


class StopAt(Watcher):
    def step(self, moment):
        if moment.step == 4:
            raise InterruptedError


@pytest.mark.slow
def test_an_image_is_predicted_in_windows_and_mirrored_views(trained, discs, tmp_path):
    model = limner.load(trained.root, device="cpu", settings=InferencePlan(window=(33, 40), flips=True))
    for array in (np.zeros((20, 20, 3), np.uint8), np.full((70, 90, 3), 99, np.uint8)):
        found = model.predict(array)
        shape = found.masks.shape[1:] if hasattr(found, "masks") else found.segment_ids.shape
        assert shape == array.shape[:2]
    limner.predict(model, discs / "images", out=tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("1.png"))) >= 2
    with pytest.raises(ConfigError, match=r"averages maps[\s\S]*Omit --probabilities"):
        model.predict(array, probabilities=True)


@pytest.mark.slow
def test_a_stopped_run_continues_as_if_it_had_never_stopped(trained, discs, tmp_path):
    task = json.loads((trained.evaluation("val") / "scores.json").read_text("utf-8"))["task"]
    settings = {"task": task, "network": "unet-centres", "settings": SETTINGS, "device": "cpu"}
    with pytest.raises(InterruptedError):
        limner.train(discs, run=tmp_path / "run", watchers=[StopAt()], **settings)
    again = resume(tmp_path / "run", device="cpu")
    files = [run.model / "weights.safetensors" for run in (trained, again)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_a_class_is_explained(trained, discs):
    found = limner.explain(
        trained.root, discs / "images" / "1.png", class_name="disc", point=(12, 12), device="cpu"
    )
    assert all(heat.shape == (SIDE, SIDE) for heat in found.heats.values())


@pytest.mark.slow
def test_windows_that_cover_the_image_change_nothing(trained, discs):
    image = discs / "images" / "2.png"
    whole = limner.load(trained.root, device="cpu").predict(image)
    windows = limner.load(trained.root, device="cpu", settings=InferencePlan(window=(SIDE, SIDE)))
    again = windows.predict(image)
    if hasattr(whole, "masks"):
        assert np.array_equal(whole.masks, again.masks)
        np.testing.assert_allclose(whole.scores, again.scores, rtol=1e-5)
    else:
        assert np.array_equal(whole.segment_ids, again.segment_ids)


@pytest.mark.slow
def test_drafts_for_a_tool_and_the_images_to_label_next(trained, discs, tmp_path):
    drafts = limner.predict(
        trained.root, discs / "images", out=tmp_path / "drafts", to="cvat", min_score=0.0, device="cpu"
    )
    assert drafts.num_predicted == COUNT
    assert "disc" in limner.check(drafts.out).labels.names
    found = limner.predict(trained.root, discs / "images", out=tmp_path / "out", uncertain=2, device="cpu")
    assert found.label_next.num_chosen == 2
    assert "mirror image" in found.label_next.words
