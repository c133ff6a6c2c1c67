"""Scores of volumes whose slices are images: the Dice of a case is that of all of its slices together."""

import numpy as np
import pytest

from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.evaluation.write_scores import write_scores

NAMES = ("background", "organ", "vessel")
TABLE = LabelTable(tuple(LabelClass(name, (i,), (i, i, i)) for i, name in enumerate(NAMES)))
CASES = {f"{case}_{i}": case for case in "ab" for i in range(3)}


def scored(names, seed: int = 0) -> tuple[SemanticScorer, dict[str, list[np.ndarray]]]:
    """Score random slices; the case b has no vessel, in the truth."""
    rng, volumes = np.random.default_rng(seed), {"a": [], "b": []}
    scorer = SemanticScorer(TABLE, case_of=CASES)
    for name in names:
        truth = rng.integers(0, 3 if name[0] == "a" else 2, (5, 6)).astype(np.uint8)
        found = np.where(rng.random((5, 6)) < 0.7, truth, rng.integers(0, 3, (5, 6))).astype(np.uint8)
        scorer.update(SemanticPrediction(name, found), truth)
        volumes[name[0]].append(np.stack([truth, found]))
    return scorer, volumes


def test_the_dice_of_a_case_is_of_its_whole_volume() -> None:
    scorer, volumes = scored(CASES)
    found = scorer.compute().to_dict()
    by_hand = {}
    for case, slices in volumes.items():
        truth, predicted = np.stack(slices, axis=1)
        for k in (1, 2):
            both = ((truth == k) & (predicted == k)).sum()
            by_hand[case, k] = 2 * both / ((truth == k).sum() + (predicted == k).sum())
    assert by_hand["b", 2] == 0
    rows = {row["name"]: row for row in found["classes"]}
    for k, name in enumerate(NAMES[1:], start=1):
        expected = (by_hand["a", k] + by_hand["b", k]) / 2
        assert rows[name]["case_dice"] == pytest.approx(expected)
    assert found["mean_case_dice"] == pytest.approx(np.mean([*by_hand.values()]))
    assert [rows["vessel"][key] for key in ("cases", "missed_cases", "false_cases")] == [2, 0, 1]
    assert [rows["organ"][key] for key in ("cases", "missed_cases", "false_cases")] == [2, 0, 0]
    assert np.isnan(rows["background"]["case_dice"])
    assert rows["background"]["cases"] is rows["background"]["missed_cases"] is None
    assert any("slices of 2 volumes" in note for note in found["notes"])


def test_each_case_has_a_row_in_a_file(tmp_path) -> None:
    together, _ = scored(CASES)
    write_scores(tmp_path, together.compute(), split="val")
    lines = (tmp_path / "per_case.csv").read_text().splitlines()
    assert lines[0].startswith("case,slices,mean_iou,iou/background")
    assert [line.split(",")[:2] for line in lines[1:]] == [["a", "3"], ["b", "3"]]
    plain = SemanticScorer(TABLE)
    truth = np.zeros((2, 2), np.uint8)
    plain.update(SemanticPrediction("a_0", truth), truth)
    write_scores(tmp_path, plain.compute(), split="val")
    assert not (tmp_path / "per_case.csv").exists()
    assert "mean_case_dice" not in plain.compute().to_dict()


def test_halves_are_merged() -> None:
    first, second = SemanticScorer(TABLE, case_of=CASES), SemanticScorer(TABLE, case_of=CASES)
    whole, rng = SemanticScorer(TABLE, case_of=CASES), np.random.default_rng(1)
    for number, name in enumerate(CASES):
        truth, found = rng.integers(0, 3, (2, 5, 6)).astype(np.uint8)
        prediction = SemanticPrediction(name, found)
        whole.update(prediction, truth)
        (first if number % 2 else second).update(prediction, truth)
    first.merge(second)
    one, other = first.compute().to_dict(), whole.compute().to_dict()
    assert one["mean_case_dice"] == other["mean_case_dice"]
    assert str(one["classes"]) == str(other["classes"])
