from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.core.sample import Sample
from limner.core.segments import segments_of, segments_of_index
from limner.evaluation.pictures import WorstAndBest
from limner.evaluation.scorer import Extent
from limner.evaluation.write_scores import PerImageFile, scores_dict
from limner.tasks import find_task

LABELS = LabelTable(
    (
        LabelClass("sky", (1,), (0, 0, 200), is_thing=False),
        LabelClass("car", (2,), (200, 0, 0), is_thing=True),
    )
)
IMAGE = np.full((20, 30, 3), 90, np.uint8)


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[top:bottom, left:right] = True
    return mask


def objects() -> tuple[SegmentPrediction, Sample]:
    cars = LABELS.things()
    truth = segments_of([box(0, 0, 5, 5), box(10, 10, 20, 20)], [0, 0], shape=(20, 30))
    # One right, one beside, and one that is right but unsure.
    masks = np.array([box(0, 0, 5, 5), box(0, 20, 5, 30), box(10, 10, 20, 20)])
    found = SegmentPrediction("a", masks, np.zeros(3, np.int64), np.array([0.9, 0.8, 0.3], np.float32))
    assert cars.num_classes == 1
    return found, Sample("a", IMAGE, (truth,))


def regions() -> tuple[PanopticPrediction, Sample]:
    truth = np.where(box(10, 0, 20, 30), 1, 0)
    truth[:5, :5] = 2
    found = np.where(box(10, 0, 20, 30), 1, 0).astype(np.int32)
    labels = np.array([0], np.int64)
    prediction = PanopticPrediction("a", found, labels, np.ones(1, np.float32), np.array([False]))
    return prediction, Sample("a", IMAGE, (segments_of_index(truth, [0, 1]),))


def test_images_with_more_objects_than_ap_counts_are_said_with_the_ap_of_all() -> None:
    pytest.importorskip("pycocotools")
    scorer = find_task("instance").scorer(LABELS.things())
    boxes = np.array(
        [box(row, column, row + 1, column + 1) for row in range(20) for column in range(0, 30, 4)]
    )
    labels, scores = np.zeros(len(boxes), np.int64), np.full(len(boxes), 0.9, np.float32)
    truth = segments_of(list(boxes), labels, shape=(20, 30))
    scorer.score(SegmentPrediction("a", boxes, labels, scores), Sample("a", IMAGE, (truth,)))
    notes = scorer.compute().to_dict()["notes"]
    (said,) = [note for note in notes if "at most 100" in note]
    assert "1 image has more true ones, up to 160" in said and "AP of all found objects is 1.000" in said


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_scores_files_and_pictures(task: str, tmp_path) -> None:
    pytest.importorskip("pycocotools")
    labels = LABELS.things() if task == "instance" else LABELS
    prediction, sample = objects() if task == "instance" else regions()
    scorer = find_task(task).scorer(labels)
    pictures = WorstAndBest(
        tmp_path / "pictures", labels, draw=find_task(task).draw, rank_title=scorer.rank_title
    )
    with PerImageFile(tmp_path, scorer.columns) as rows:
        scores = scorer.score(prediction, sample)
        rows.write(scores)
        pictures.offer(scores, sample, prediction)
    assert len(scores.numbers) == len(scorer.columns)
    assert len(pictures.finish()) == 1
    found = scores_dict(scorer.compute(), split="val")
    assert (found["task"], found["num_images"]) == (task, 1)
    numbers = {key for key, value in found.items() if isinstance(value, float)}
    numbers |= {key for key, value in found["classes"][0].items() if isinstance(value, float)}
    assert numbers <= found["definitions"].keys()
    assert find_task(task).main_score(labels) in dict(scorer.compute().items())


def test_the_f1_of_an_image_counts_the_sure_ones() -> None:
    pytest.importorskip("pycocotools")
    prediction, sample = objects()
    scores = find_task("instance").scorer(LABELS.things()).score(prediction, sample)
    # Two sure ones, one of them right; two true ones.
    assert (scores.rank, scores.precision, scores.recall) == (2 * 1 / 4, 0.5, 0.5)


def test_an_image_without_objects_counts_what_was_found_in_it() -> None:
    prediction, _ = objects()
    scorer = find_task("instance").scorer(LABELS.things())
    nothing = Sample("a", IMAGE, (segments_of([], [], shape=(20, 30)),))
    scores = scorer.score(prediction, nothing)
    assert (scores.num_true, scores.num_found, scores.f1) == (0, 2, 0)


def test_panoptic_scores_of_things_and_stuff() -> None:
    prediction, sample = regions()
    found = dict(find_task("panoptic").scorer(LABELS).score(prediction, sample).__dict__)
    quality = found["quality"]
    assert quality.mean("pq", things=False) == 1
    assert quality.mean("pq", things=True) == 0


@pytest.mark.parametrize("task", ["instance", "panoptic"])
@pytest.mark.parametrize("option", ["boundaries", "thresholds"])
def test_what_is_of_label_maps_is_refused(task: str, option: str) -> None:
    with pytest.raises(ConfigError, match=f"--{option} is for label maps.*{task}"):
        find_task(task).scorer(LABELS.things(), Extent(**{option: True}))


def drawn(task: str, number: int) -> tuple:
    """Boxes of two classes, some found, some beside, some twice."""
    rng = np.random.default_rng(number)
    truth, found, labels, scores = [], [], [], []
    for _ in range(int(rng.integers(1, 5))):
        top, left = int(rng.integers(0, 12)), int(rng.integers(0, 20))
        truth.append(box(top, left, top + 8, left + 9))
        labels.append(int(rng.integers(0, 2)))
        shift = int(rng.integers(0, 4))
        found.append(box(top + shift, left, top + 8 + shift, left + 9))
        scores.append(rng.random())
    name = f"image {number}"
    order = np.argsort(-np.array(scores))
    segments = segments_of(truth, labels, shape=(20, 30))
    if task == "instance":
        prediction = SegmentPrediction(
            name, np.array(found)[order], np.array(labels)[order], np.array(scores, np.float32)[order]
        )
        return prediction, Sample(name, IMAGE, (segments,))
    flat = segments_of(found, labels, shape=(20, 30)).flat().astype(np.int32)
    things = LABELS.is_thing[np.array(labels)]
    prediction = PanopticPrediction(name, flat, np.array(labels), np.ones(len(labels), np.float32), things)
    return prediction, Sample(name, IMAGE, (segments_of_index(segments.flat(), labels),))


@pytest.mark.parametrize("task", ["instance", "panoptic"])
@given(shares=st.lists(st.booleans(), min_size=7, max_size=7), order=st.permutations(range(7)))
@settings(max_examples=2, deadline=None, phases=[Phase.generate])
def test_however_images_are_shared_among_workers_the_scores_are_the_same(task, shares, order) -> None:
    pytest.importorskip("pycocotools")
    whole, one, other = (find_task(task).scorer(LABELS, Extent(uncertainty=True)) for _ in range(3))
    for number in range(7):
        whole.score(*drawn(task, number))
    for number in order:
        (one if shares[number] else other).score(*drawn(task, number))
    one.merge(other)
    first, second = (scores_dict(scorer.compute(), split="val") for scorer in (whole, one))
    assert first["intervals"].keys() == second["intervals"].keys() and first["intervals"]
    for name, ends in first["intervals"].items():
        assert second["intervals"][name] == pytest.approx(ends), name
    for name, spread in first["per_image"].items():
        assert second["per_image"][name]["mean"] == pytest.approx(spread["mean"]), name
    for name, value in first.items():
        if isinstance(value, float):
            assert second[name] == pytest.approx(value), name
    assert first["matched_iou"] == second["matched_iou"]
    for row, other_row in zip(first["classes"], second["classes"], strict=True):
        assert row == pytest.approx(other_row)


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_permuting_the_classes_permutes_their_scores(task) -> None:
    pytest.importorskip("pycocotools")
    turned = LabelTable(LABELS.classes[::-1])
    scorers = find_task(task).scorer(LABELS), find_task(task).scorer(turned)
    for number in range(4):
        prediction, sample = drawn(task, number)
        scorers[0].score(prediction, sample)
        other = replace(prediction, labels=1 - prediction.labels)
        (segments,) = sample.targets
        segments = replace(segments, labels=1 - segments.labels)
        scorers[1].score(other, replace(sample, targets=(segments,)))
    one, two = (scores_dict(scorer.compute(), split="val") for scorer in scorers)
    assert one["classes"] == two["classes"][::-1]
    for name, value in one.items():
        if isinstance(value, float):
            assert two[name] == pytest.approx(value), name


def test_f1_by_iou_the_histogram_and_the_count_agree() -> None:
    pytest.importorskip("pycocotools")
    scorer = find_task("instance").scorer(LABELS)
    for number in range(6):
        scorer.score(*drawn("instance", number))
    found = scores_dict(scorer.compute(), split="val")
    assert (found["f1"], found["f1_75"]) == (found["f1_by_iou"][0]["f1"], found["f1_by_iou"][5]["f1"])
    falling = [row["f1"] for row in found["f1_by_iou"]]
    assert falling == sorted(falling, reverse=True)
    # Boxes of 8 x 9 that are moved down by 0 to 3 rows have an IoU of 1, 7/9, 6/10 and 5/11.
    assert {row["low"] for row in found["matched_iou"] if row["pairs"]} <= {0.6, 0.75, 0.95}


def test_finds_in_a_crowd_are_not_counted_as_wrong() -> None:
    pytest.importorskip("pycocotools")
    truth = segments_of([box(0, 0, 5, 5), box(8, 8, 20, 30)], [1, 1], [False, True], shape=(20, 30))
    masks = np.array([box(0, 0, 5, 5), box(10, 10, 14, 14)])
    found = SegmentPrediction("a", masks, np.ones(2, np.int64), np.array([0.9, 0.8], np.float32))
    scores = find_task("instance").scorer(LABELS).score(found, Sample("a", IMAGE, (truth,)))
    assert (scores.f1, scores.precision, scores.num_true, scores.num_found) == (1, 1, 1, 1)


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_a_picture_without_truth_has_two_panels_instead_of_four(task: str) -> None:
    labels = LABELS.things() if task == "instance" else LABELS
    prediction, sample = objects() if task == "instance" else regions()
    four = find_task(task).draw(sample.image, prediction, labels, truth=sample)
    two = find_task(task).draw(sample.image, prediction, labels)
    assert two.shape[1] < 0.6 * four.shape[1]
