"""Networks and tasks that do not go together are refused, and it is said which would."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from limner.core.errors import ConfigError, UnknownNameError
from limner.core.outputs import (
    CentreOffsets,
    ClassLogits,
    DenseLogits,
    PointBoxes,
    QueryBoxes,
    QueryMasks,
    TextMaps,
)
from limner.formats.words.words_source import WordsSource
from limner.networks import NETWORKS
from limner.planning import task_choice as pairing
from limner.planning.task_choice import check_options, check_pairing, check_start, default_task
from limner.tasks import TASKS


@dataclass(frozen=True)
class BoxSet:
    """An output kind that semantic segmentation does not take."""


TASKS_OF = {
    DenseLogits: ("semantic",),
    QueryMasks: ("semantic", "instance", "panoptic"),
    CentreOffsets: ("instance", "panoptic"),
    PointBoxes: ("detection",),
    TextMaps: ("text-detection",),
    QueryBoxes: ("detection",),
    ClassLogits: ("classification", "multilabel"),
}


def test_every_network_goes_with_its_tasks_and_no_others():
    found = {name: tuple(task for task in TASKS if goes_with(name, task)) for name in NETWORKS}
    assert found == {name: TASKS_OF[entry.output] for name, entry in NETWORKS.items()}


def goes_with(network, task):
    try:
        check_pairing(network, task)
    except ConfigError:
        return False
    return True


OBJECTS = ("semantic", "instance", "panoptic", "detection")


@pytest.mark.parametrize(
    ("labels", "network", "weights_of", "task", "reason"),
    [
        (OBJECTS, None, None, "semantic", "the labels are for it"),
        (WordsSource.tasks, None, None, "text-detection", "the labels are for it"),
        (WordsSource.tasks, "unet", None, "semantic", "the labels are for it, and so is unet"),
        (OBJECTS, "mask2former", None, "semantic", "the labels are for it"),
        (OBJECTS, "unet-centres", None, "instance", "the labels are for it, and so is unet-centres"),
        (OBJECTS, "fcos", None, "detection", "the labels are for it, and so is fcos"),
        (OBJECTS, None, "panoptic", "panoptic", "the task of the initial weights"),
        (("semantic",), None, "instance", "semantic", "the labels are for it"),
        (("classification",), "unet", None, "classification", "the labels are for it"),
        ((), None, None, "semantic", "the labels are for it"),
    ],
)
def test_without_a_task_labels_network_and_weights_decide(labels, network, weights_of, task, reason):
    start = None if weights_of is None else SimpleNamespace(task=weights_of)
    assert default_task(SimpleNamespace(tasks=labels), network, start) == (task, reason)


def test_an_output_that_the_task_does_not_take_is_refused(monkeypatch):
    boxes = {"detector": replace(NETWORKS["unet"], output=BoxSet), "unet": NETWORKS["unet"]}
    monkeypatch.setattr(pairing, "NETWORKS", boxes)
    with pytest.raises(ConfigError) as caught:
        check_pairing("detector", "semantic")
    assert "output BoxSet" in str(caught.value)
    assert "Choose one of: unet." in str(caught.value)


def test_unknown_names_get_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'pspnet'"):
        check_pairing("pspnett", "semantic")
    with pytest.raises(UnknownNameError, match="did you mean 'semantic'"):
        check_pairing("unet", "semantics")


def test_options_are_tried_without_memory_for_weights():
    check_options("unet", {"widths": [1024, 2048, 4096, 8192]})  # four gigabytes, were they allocated
    with pytest.raises(ConfigError, match="did you mean 'widths'"):
        check_options("unet", {"width": [4, 8]})


def test_weights_of_another_network_or_of_other_dimensions_are_refused(tiny_plan):
    plan = tiny_plan()
    check_start(plan, {"network.name": "unet"}, 2)
    with pytest.raises(ConfigError, match=r"another network: m[\s\S]*found: +unet, 2 classes[\s\S]*enet"):
        check_start(plan, {"network.name": "enet", "network.weights": "m"}, 2)
    with pytest.raises(
        ConfigError, match=r"another number of dimensions[\s\S]*found: +2[\s\S]*fix: +Choose weights"
    ):
        check_start(plan, {}, 3)
