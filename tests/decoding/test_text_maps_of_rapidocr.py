"""Words in the maps of a trained network, against the post-processing of the package that it comes in.

The network is PP-OCRv4's DBNet in rapidocr-onnxruntime (Apache-2.0), run by OpenCV on the ICDAR images.
"""

import importlib.util
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from limner.core.sample import Sample
from limner.core.words import Words
from limner.decoding.text_maps import find_words
from limner.evaluation.word_scorer import WordScorer
from limner.formats import open_source
from limner.geometry.polygon_shapes import overlap_areas
from limner.loading.dataset import Dataset

pytestmark = pytest.mark.peer
SCORE, GROWTH = 0.5, 1.6  # the package's settings for this network
FINE = 1000
"""The package computes in whole numbers: in thousandths of a pixel, its rounding is no difference."""


@pytest.fixture(scope="module")
def package():
    """The folder of the package, and its post-processing, without its ONNX runtime."""
    pytest.importorskip("pyclipper", reason="pyclipper is not installed")
    spec = importlib.util.find_spec("rapidocr_onnxruntime")
    if spec is None:
        pytest.skip("rapidocr-onnxruntime is not installed")
    folder = Path(spec.origin).parent
    file = folder / "ch_ppocr_det" / "utils.py"
    module_spec = importlib.util.spec_from_file_location("rapidocr_det", file)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return folder, module


@pytest.fixture(scope="module")
def samples(shared_data):
    source = open_source(shared_data / "scene_text")
    return list(Dataset(source, source.records, source.declared_labels(), targets=(Words,), cache=None))


@pytest.fixture(scope="module")
def maps(package, samples):
    """The probabilities of each image, at the size of the package."""
    folder, module = package
    network = cv2.dnn.readNetFromONNX(str(folder / "models" / "ch_PP-OCRv4_det_infer.onnx"))
    prepare, found = module.DetPreProcess(limit_side_len=736, limit_type="min"), []
    for sample in samples:
        network.setInput(prepare(sample.image[..., ::-1]))
        found.append(np.ascontiguousarray(network.forward()[0, 0]))
    return found


def theirs(module, fine):
    """The package's post-processing, in whole pixels or in fine fractions of them."""

    class Fine(module.DBPostProcess):
        def unclip(self, box):
            return super().unclip(box * FINE).astype(np.float32) / FINE

    kind = Fine if fine else module.DBPostProcess
    return kind(thresh=0.3, box_thresh=SCORE, unclip_ratio=GROWTH)


def ours(probabilities, size):
    return find_words(probabilities, size, name="a", least_score=SCORE, growth=GROWTH)


def pairs(package, maps, fine):
    """Each of the package's boxes beside ours at the maps' size, with the middle of pixel 0 at 0."""
    process = theirs(package[1], fine)
    for found in maps:
        scale = 100 if fine else 1  # results are rounded at the end too
        boxes, scores = process(found[None, None], [side * scale for side in found.shape])
        yield boxes / scale, scores, ours(found, found.shape)


def overlap_ratios(first, second):
    """The (N, M) intersection over union of each pair."""
    shared, ours, theirs = overlap_areas(first, second)
    return shared / (ours[:, None] + theirs - shared)


def test_boxes_and_scores_are_the_packages(package, maps):
    num_boxes = 0
    for boxes, scores, words in pairs(package, maps, fine=True):
        assert len(boxes) == len(words.polygons)
        inside = np.array([side - 1 for side in maps[0].shape[::-1]])
        # Ours end at the border of the image, theirs at the middle of a pixel beyond it.
        iou = overlap_ratios(list(boxes), [np.clip(p - 0.5, 0, inside) for p in words.polygons])
        best = iou.argmax(1) if len(boxes) else np.zeros(0, int)
        assert (iou.max(1, initial=1.0 if not len(boxes) else 0.0) >= 0.99).all()
        np.testing.assert_allclose(words.scores[best], scores, atol=1e-5)
        num_boxes += len(boxes)
    assert num_boxes > 30


def test_whole_pixels_of_the_package_are_near(package, maps):
    ious = [
        overlap_ratios(list(boxes), [p - 0.5 for p in words.polygons]).max(1)
        for boxes, _, words in pairs(package, maps, fine=False)
        if len(boxes)
    ]
    assert np.concatenate(ious).mean() > 0.93


def test_it_takes_less_than_four_fifths_of_the_packages_time(package, maps):
    process = theirs(package[1], fine=False)

    def seconds(work):
        work()
        times = []
        for _ in range(7):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        return min(times)

    their_time = seconds(lambda: [process(found[None, None], found.shape) for found in maps])
    our_time = seconds(lambda: [ours(found, found.shape) for found in maps])
    assert our_time <= 0.8 * their_time


def test_the_network_finds_most_legible_words(maps, samples: list[Sample]):
    scorer = WordScorer(None)
    for found, sample in zip(maps, samples, strict=True):
        scorer.score(ours(found, sample.spatial_shape), sample)
    scores = dict(scorer.compute().items())
    assert scores["word_recall"] > 0.6 and scores["hmean"] > 0.4
