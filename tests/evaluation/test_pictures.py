import cv2
import numpy as np
import pytest

from limner.core.label_map import LabelMap
from limner.core.prediction import SemanticPrediction
from limner.core.sample import Sample
from limner.evaluation.pictures import WorstAndBest
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.tasks import find_task

DRAW = find_task("semantic").draw


def offer(keeper, labels, name, right):
    """An image of 10 cell pixels of which `right` are found."""
    truth = np.ones((2, 5), np.uint8)
    predicted = (np.arange(10) < right).astype(np.uint8).reshape(2, 5)
    prediction = SemanticPrediction(name, predicted)
    scores = SemanticScorer(labels).update(prediction, truth)
    keeper.offer(scores, Sample(name, np.full((2, 5, 3), 100, np.uint8), (LabelMap(truth),)), prediction)
    return len(list(keeper.folder.iterdir()))


def test_the_worst_and_the_best_are_kept_by_rank(two_labels, tmp_path):
    keeper = WorstAndBest(tmp_path / "pictures", two_labels, draw=DRAW, rank_title="foreground Dice", count=2)
    kept = [offer(keeper, two_labels, f"b/im {right}", right) for right in (5, 1, 9, 3, 7, 2, 8)]
    assert max(kept) <= 4  # the disk holds no more than the worst and the best so far
    paths = keeper.finish()
    assert [p.name for p in paths] == [
        "worst-1_b_im_1.png",
        "worst-2_b_im_2.png",
        "best-1_b_im_9.png",
        "best-2_b_im_8.png",
    ]
    assert sorted(keeper.folder.iterdir()) == sorted(paths)
    assert all(cv2.imread(str(path)).shape[2] == 3 for path in paths)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_an_image_is_shown_once_where_there_are_few(two_labels, tmp_path, count):
    keeper = WorstAndBest(
        tmp_path / "pictures", two_labels, draw=DRAW, rank_title="foreground Dice", count=count
    )
    for right in (5, 1, 9):
        offer(keeper, two_labels, str(right), right)
    names = [path.name.partition("_")[2] for path in keeper.finish()]
    assert len(set(names)) == len(names) == min(3, 2 * count)


def test_an_image_without_a_foreground_score_is_left_out(two_labels, tmp_path):
    keeper = WorstAndBest(tmp_path / "pictures", two_labels, draw=DRAW, rank_title="foreground Dice")
    empty = np.zeros((2, 5), np.uint8)
    scores = SemanticScorer(two_labels).update(SemanticPrediction("x", empty), empty)
    keeper.offer(
        scores, Sample("x", np.zeros((2, 5, 3), np.uint8), (LabelMap(empty),)), SemanticPrediction("x", empty)
    )
    assert keeper.finish() == ()


def test_pictures_of_an_earlier_evaluation_go_and_the_users_files_stay(two_labels, tmp_path):
    for name in ("worst-9_x.png", ".3.png", "holiday.png", "best.png"):
        (tmp_path / name).touch()
    WorstAndBest(tmp_path, two_labels, draw=DRAW, rank_title="foreground Dice").finish()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.png", "holiday.png"]


def test_of_a_volume_the_slice_with_most_foreground_is_drawn(two_labels, tmp_path):
    truth = np.zeros((3, 8, 8), np.uint8)
    truth[1, :4] = truth[2, :1] = 1
    prediction = SemanticPrediction("v", truth)
    keeper = WorstAndBest(tmp_path / "pictures", two_labels, draw=DRAW, rank_title="foreground Dice")
    scores = SemanticScorer(two_labels).update(prediction, truth)
    keeper.offer(scores, Sample("v", truth[..., None].astype(np.float32), (LabelMap(truth),)), prediction)
    assert len(keeper.finish()) == 1
