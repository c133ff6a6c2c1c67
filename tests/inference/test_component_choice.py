"""Whether only the largest part of a class is kept: by hand on cases of known Dice."""

from types import SimpleNamespace

import numpy as np

from limner.core.label_map import LabelMap
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.core.sample import Sample
from limner.inference.component_choice import choose_components

TABLE = LabelTable(
    tuple(LabelClass(name, (n,), (n, n, n)) for n, name in enumerate(("background", "liver", "lung")))
)


def choose(pairs):
    """Choose by (truth, prediction) of each case."""
    found = {f"case {n}": predicted for n, (_, predicted) in enumerate(pairs)}
    cases = [
        Sample(f"case {n}", np.zeros((*truth.shape, 1), np.float32), (LabelMap(truth),))
        for n, (truth, _) in enumerate(pairs)
    ]
    predictor = SimpleNamespace(
        labels=TABLE, predict_sample=lambda case: SemanticPrediction(case.name, found[case.name])
    )
    return choose_components(predictor, cases)


def case(*, specks, lungs):
    """A liver of 4 x 4 x 4, predicted with specks elsewhere; lungs of 2 parts, predicted right."""
    truth = np.zeros((10, 12, 20), np.uint8)
    truth[2:6, 2:6, 2:6] = 1
    if lungs:
        truth[2:6, 8:11, 10:12] = truth[2:6, 8:11, 16:18] = 2
    predicted = truth.copy()
    predicted.reshape(-1)[[18 + 40 * n for n in range(specks)]] = 1
    return truth, predicted


def test_it_helps_one_class_and_would_hurt_another():
    decision = choose([case(specks=8, lungs=True), case(specks=0, lungs=True)])
    assert decision.value == ("liver",)
    # Of the liver, 64 voxels are right and 8 too many: Dice 128 / 136 in one case, 1 in the other.
    assert f"liver {(128 / 136 + 1) / 2:.3f} to 1.000" in decision.reason
    assert "2 validation cases" in decision.reason


def test_it_helps_no_class():
    decision = choose([case(specks=0, lungs=True)])
    assert decision.value == ()
    assert "raises the mean Dice of no class" in decision.reason


def test_a_class_that_is_nowhere_does_not_count():
    decision = choose([case(specks=3, lungs=False)])
    assert decision.value == ("liver",)


def test_a_gain_in_one_case_does_not_outweigh_losses_in_others():
    """The largest part is the wrong one in two of three cases."""
    truth = np.zeros((6, 8, 8), np.uint8)
    truth[1:3, 1:3, 1:3] = 1
    wrong = truth.copy()
    wrong[4:6, 4:8, 4:8] = 1
    right = truth.copy()
    right[5, 7, 7] = 1
    assert choose([(truth, wrong), (truth, wrong), (truth, right)]).value == ()
