"""The reason of a setting is true of the plan that it is in."""

import itertools
from dataclasses import replace

import pytest

from limner.core.labels import LabelClass, LabelTable
from limner.devices.machine import Machine, Memory
from limner.planning.decisions import decide
from limner.planning.fingerprint import take_fingerprint
from limner.planning.orientation import Asymmetry, Orientation
from limner.planning.rules import RULES

GIB = 2**30
ONE_CORE = Machine("cpu", "a small CPU", Memory(2 * GIB, GIB), num_cores=1, fast_bfloat16=False)


def settle(case, **user):
    return decide(case, RULES, {key.replace("__", "."): value for key, value in user.items()})


def with_classes(case, facts, *names, val=()):
    """Return the case with these classes, valued 0, 1, 2, ..."""
    labels = LabelTable(tuple(LabelClass(name, (i,), (i, 0, 0)) for i, name in enumerate(names)))
    splits = {"train": [image.name for image in facts.images], "val": list(val)}
    return replace(case, labels=labels, fingerprint=take_fingerprint(facts, labels, splits))


def test_one_class_has_no_foreground_to_meet(make_case, make_facts):
    facts = make_facts(counts={0: 1000})
    settled, reasons = settle(with_classes(make_case(facts), facts, "cell"))
    assert settled["augment.foreground_probability"] == 0
    assert reasons["augment.foreground_probability"].startswith("all labelled pixels are cell")
    assert [term.name for term in settled["loss.terms"]] == ["cross_entropy"]
    assert "nothing to tell apart" in reasons["loss.terms"]


def test_a_named_class_without_pixels_is_no_foreground_either(make_case, make_facts):
    facts = make_facts(counts={0: 1000})
    _, reasons = settle(with_classes(make_case(facts), facts, "background", "cell"))
    assert reasons["augment.foreground_probability"].startswith("all labelled pixels are background")


@pytest.mark.parametrize(
    ("share", "shape", "probability", "words"),
    [
        (0.3, (2000, 2000), 0.0, "30 % of the pixels are not road, enough for random crops"),
        (0.02, (256, 256), 0.0, "2 % of the pixels are not road, but a crop is 100 % of an image"),
        (0.02, (2000, 2000), 0.33, "2 % of the pixels are not road, and a crop is 1.6 % of an image"),
    ],
)
def test_crops_are_centred_on_what_is_rare(make_case, make_facts, share, shape, probability, words):
    facts = make_facts(shape=shape, counts={0: round(1000 * (1 - share)), 1: round(1000 * share)})
    settled, reasons = settle(with_classes(make_case(facts, minutes=3), facts, "road", "tree"))
    assert settled["augment.foreground_probability"] == probability
    assert reasons["augment.foreground_probability"].startswith(words)


@pytest.mark.parametrize(
    ("left_right", "up_down", "turn", "axes", "words"),
    [  # up to 20 % of shared asymmetry changes nothing; up to 50 % left-right mirrors are still allowed
        (0.1, 0.1, 0.1, (0, 1), "orientation is meaningless"),
        (0.1, 0.1, 0.4, (0, 1), "mirroring changes little, quarter turns more"),
        (0.3, 0.1, 0.1, (0, 1), "mirroring changes little, but left and right differ too much for quarter"),
        (0.1, 0.6, 0.6, (1,), "top and bottom differ in the same way"),
        (0.6, 0.1, 0.6, (0,), "left and right differ in the same way"),
        (0.6, 0.6, 0.6, (), "left and right and also top and bottom differ in the same way"),
    ],
)
def test_the_sides_that_differ_are_named(make_case, left_right, up_down, turn, axes, words):
    case = make_case()
    shared = (Asymmetry(each, 0.002) for each in (left_right, up_down, turn))
    settled, reasons = settle(
        replace(case, fingerprint=replace(case.fingerprint, orientation=Orientation(20, *shared)))
    )
    assert settled["augment.flip_axes"] == axes
    assert settled["augment.quarter_turns"] == words.startswith("orientation")
    assert reasons["augment.flip_axes"].startswith(words)


def test_a_pretrained_encoder_is_only_claimed_if_it_is_certain(make_case):
    def reasons(pretrained):
        return settle(make_case(), network__name="pspnet", network__pretrained=pretrained)[1]

    assert "which the pretrained encoder expects" in reasons("yes")["input.mean"]
    assert "in case there are" in reasons("auto")["input.mean"]
    assert not any("encoder" in reason for reason in reasons("no").values())


def test_a_small_batch_has_its_cause(make_case, make_facts):
    settled, reasons = settle(make_case(make_facts(100)), task="panoptic", network__name="mask2former")
    assert settled["train.batch_size"] == 4
    assert "slow on a CPU" in reasons["train.batch_size"]
    assert "training images" not in reasons["train.batch_size"]
    _, reasons = settle(make_case(make_facts(1)))
    assert "there is 1 training image" in reasons["train.batch_size"]


def test_without_validation_images_nothing_is_validated(make_case, make_facts):
    _, reasons = settle(make_case())
    assert reasons["train.validate_every"] == "without effect: there are no validation images"
    assert reasons["train.save_every"] == "20 times in the run"
    facts = make_facts()
    _, reasons = settle(with_classes(make_case(facts), facts, "background", "cell", val=["a"]))
    assert reasons["train.validate_every"].startswith("1 validation image take")


def test_short_and_long_runs(make_case, make_facts):
    _, reasons = settle(make_case(), train__steps=5)
    assert reasons["train.ema_decay"] == "averages over all steps"
    assert reasons["schedule.warmup_steps"] == "the run is too short for a warm-up"
    _, reasons = settle(make_case(), train__steps=400_000)
    assert reasons["train.ema_decay"] == "averages over about the last 5000 steps"
    case = make_case()
    many = replace(case, fingerprint=replace(case.fingerprint, num_images={"train": 400_000, "val": 0}))
    _, reasons = settle(many)
    assert reasons["train.steps"].startswith("only 40 % of 400000 images are used")  # 20000 steps of 8


def test_no_reason_points_at_another(make_case, make_facts):
    """A reason that the user's own value replaced is no reason any more."""
    facts = make_facts(30, grids="sky")
    settled, reasons = settle(make_case(facts), augment__flip_axes=(0, 1))
    assert "shared by all images" in reasons["augment.quarter_turns"]
    _, reasons = settle(make_case(facts), augment__quarter_turns=True)
    assert "meaningless" not in reasons["augment.scale"]


def contradictions(settled, reasons, case):
    """Yield reasons that the plan beside them denies."""
    plural = {f"1 {noun}s" for noun in ("image", "training image", "core", "step", "class", "classe")}
    for key, reason in reasons.items():
        if any(f" {words} " in f" {reason} " for words in plural):
            yield key, reason, "not one"
        if "see " in reason:
            yield key, reason, "no pointer"
    said = " ".join(reasons.values())
    claims = {
        "the pretrained encoder expects": settled["network.pretrained"] == "yes",
        "too short for a warm-up": settled["schedule.warmup_steps"] == 0,
        "quarter turns keep the size": settled["augment.quarter_turns"],
        "magnification": settled["augment.quarter_turns"],
        "nothing to tell apart": case.labels.num_classes == 1,
        "volumes need a sliding window": case.spatial_dims == 3,
        "slow on a CPU": case.machine.is_cpu,
        "without effect: there are no validation": not case.fingerprint.num_images.get("val"),
        "together with validation": bool(case.fingerprint.num_images.get("val")),
    }
    yield from (
        ("plan", words, "not so") for words, is_true in claims.items() if words in said and not is_true
    )


@pytest.mark.parametrize("num_classes", [1, 2, 12])
@pytest.mark.parametrize("count", [1, 30])
def test_no_plan_contradicts_itself(make_case, make_facts, cpu, gpu, num_classes, count):
    facts = make_facts(count, counts={i: 100 for i in range(num_classes)})
    names = [f"class {i}" for i in range(num_classes)]
    whole = with_classes(make_case(facts), facts, *names)
    users = [
        {},
        {"train.steps": 3, "network.pretrained": "no"},
        {"network.name": "pspnet"},
        {"network.name": "pspnet", "network.pretrained": "yes"},
        {"network.name": "pspnet", "network.pretrained": "no"},
    ]
    for machine, minutes, num_val, user in itertools.product((cpu, gpu, ONE_CORE), (3, None), (0, 1), users):
        counts = {"train": count, "val": num_val}
        fingerprint = replace(whole.fingerprint, num_images=counts)
        case = replace(whole, machine=machine, minutes=minutes, fingerprint=fingerprint)
        assert list(contradictions(*decide(case, RULES, user), case)) == []
