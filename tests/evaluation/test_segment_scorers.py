import numpy as np
import pytest

from limner.core.errors import ConfigError, DataError
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.core.sample import Sample
from limner.core.segments import segments_of, segments_of_index
from limner.drawing.predictions import compare_prediction
from limner.evaluation.files import PerImageFile, scores_dict
from limner.evaluation.pictures import WorstAndBest
from limner.evaluation.predicted_masks import PredictedMasks
from limner.evaluation.scorer import Extent, build_scorer, selection_name

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
    return found, Sample("a", IMAGE, segments=truth)


def regions() -> tuple[PanopticPrediction, Sample]:
    truth = np.where(box(10, 0, 20, 30), 1, 0)
    truth[:5, :5] = 2
    found = np.where(box(10, 0, 20, 30), 1, 0).astype(np.int32)
    labels = np.array([0], np.int64)
    prediction = PanopticPrediction("a", found, labels, np.ones(1, np.float32), np.array([False]))
    return prediction, Sample("a", IMAGE, segments=segments_of_index(truth, [0, 1]))


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_scores_files_and_pictures(task: str, tmp_path) -> None:
    pytest.importorskip("pycocotools")
    labels = LABELS.things() if task == "instance" else LABELS
    prediction, sample = objects() if task == "instance" else regions()
    scorer = build_scorer(task, labels)
    pictures = WorstAndBest(tmp_path / "pictures", labels, rank_title=scorer.rank_title)
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
    assert selection_name(task, labels) in dict(scorer.compute().items())


def test_the_f1_of_an_image_counts_the_sure_ones() -> None:
    pytest.importorskip("pycocotools")
    prediction, sample = objects()
    scores = build_scorer("instance", LABELS.things()).score(prediction, sample)
    # Two sure ones, one of them right; two true ones.
    assert (scores.rank, scores.precision, scores.recall) == (2 * 1 / 4, 0.5, 0.5)


def test_an_image_without_objects_counts_what_was_found_in_it() -> None:
    prediction, _ = objects()
    scorer = build_scorer("instance", LABELS.things())
    nothing = Sample("a", IMAGE, segments=segments_of([], [], shape=(20, 30)))
    scores = scorer.score(prediction, nothing)
    assert (scores.num_true, scores.num_found, scores.f1) == (0, 2, 0)


def test_panoptic_scores_of_things_and_stuff() -> None:
    prediction, sample = regions()
    found = dict(build_scorer("panoptic", LABELS).score(prediction, sample).__dict__)
    quality = found["quality"]
    assert quality.mean("pq", things=False) == 1
    assert quality.mean("pq", things=True) == 0


@pytest.mark.parametrize("task", ["instance", "panoptic"])
@pytest.mark.parametrize("option", ["boundaries", "thresholds"])
def test_what_is_of_label_maps_is_refused(task: str, option: str) -> None:
    with pytest.raises(ConfigError, match=f"--{option} measures the label maps.*{task}"):
        build_scorer(task, LABELS.things(), Extent(**{option: True}))


def test_files_of_objects_are_refused_by_name(tmp_path) -> None:
    folder = tmp_path / "predicted"
    (folder / "instances").mkdir(parents=True)
    (folder / "instances" / "a.png").write_bytes(b"numbers of objects")
    (folder / "instances.json").write_text("{}", "utf-8")
    for named in (folder, folder / "instances.json"):
        with pytest.raises(DataError, match="objects or panoptic segments.*instances.json"):
            PredictedMasks(named, LABELS)
    # Panoptic predictions have the classes of all pixels beside: those are label maps.
    (folder / "masks").mkdir()
    (folder / "masks" / "a.png").write_bytes(b"")
    assert PredictedMasks(folder, LABELS).folder == folder / "masks"


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_a_picture_without_truth_has_two_panels_instead_of_four(task: str) -> None:
    labels = LABELS.things() if task == "instance" else LABELS
    prediction, sample = objects() if task == "instance" else regions()
    four = compare_prediction(sample.image, prediction, labels, truth=sample)
    two = compare_prediction(sample.image, prediction, labels)
    assert two.shape[1] < 0.6 * four.shape[1]
