"""Rules for volumes: spacing, normalisation, mirrors, augmentation, and slices where 3D makes no sense."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from limner.checks.facts import DatasetFacts, ImageFacts, Intensity
from limner.checks.volume_facts import QUANTILES, VolumeFacts
from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import Geometry
from limner.core.plan import LossTerm
from limner.planning.cost import Cost
from limner.planning.decisions import decide
from limner.planning.fingerprint import take_fingerprint
from limner.planning.measurer import Measurer
from limner.planning.rules import RULES
from limner.planning.rules.augmentation import choose_geometry
from limner.planning.rules.input import choose_normalization
from limner.planning.rules.volumes import choose_normalized_voxels, choose_spacing, choose_volumes
from limner.planning.settings import default_values
from limner.planning.slicing import choose_slicing


def make_volumes(*cases: tuple[tuple[int, ...], tuple[float, ...] | None], low: float = 0.0) -> DatasetFacts:
    images = []
    for number, (shape, spacing) in enumerate(cases):
        affine = None if spacing is None else np.diag([*spacing[::-1], 1.0])[:, [2, 1, 0, 3]]
        values = tuple(float(v) for v in np.linspace(0, 100 * (number + 1), QUANTILES))
        volume = replace(VolumeFacts.of(Geometry(spacing, affine)), foreground=(values,))
        images.append(
            ImageFacts(
                f"image{number}",
                shape=shape,
                label_shape=shape,
                channels=1,
                dtype="float32",
                value_counts={0: 90, 1: 10},
                intensities=(Intensity(low, 9, 4, 1, low, 8),),
                volume=volume,
            )
        )
    return DatasetFacts(tuple(images))


def settle(case, *rules, **user):
    given = {key.replace("__", "."): value for key, value in user.items()}
    return decide(case, rules, given)


def test_volumes_are_resampled_to_their_usual_spacing(make_case) -> None:
    case = make_case(
        make_volumes(((10, 20, 30), (1, 1, 1)), ((5, 20, 30), (2, 1, 1)), ((10, 20, 30), (1, 1, 1)))
    )
    settled, reasons = settle(case, choose_volumes, choose_spacing)
    assert (settled["input.spacing_mm"], settled["input.resample"]) == ((1, 1, 1), True)
    assert "33 % of them have another spacing" in reasons["input.resample"]
    assert case.seen(settled).median == case.seen(settled).smallest == (10, 20, 30)
    finer, _ = settle(case, choose_volumes, choose_spacing, input__spacing_mm=(0.5, 1.0, 2.0))
    assert case.seen(finer).median == (20, 20, 15)


def test_volumes_without_spacing_stay_as_they_are(make_case) -> None:
    case = make_case(make_volumes(((10, 20, 30), (1, 1, 1)), ((5, 20, 30), None)))
    settled, reasons = settle(case, choose_volumes, choose_spacing)
    assert settled["input.resample"] is False
    assert "1 of 2 training volumes do not state" in reasons["input.resample"]
    assert case.seen(settled).largest == (10, 20, 30)


def test_ct_is_normalised_by_what_is_labelled(make_case) -> None:
    case = make_case(make_volumes(((10, 20, 30), (1, 1, 1)), ((10, 20, 30), (1, 1, 1)), low=-1000.0))
    rules = (choose_volumes, choose_spacing, choose_normalization)
    settled, reasons = settle(case, *rules, input__channels=1, network__pretrained="no")
    # Half of the values are even in 0..100, half in 0..200: mean 75; the 99.5 percentile is at 198.
    assert settled["input.normalize_each"] is False
    assert settled["input.mean"] == (75,)
    assert settled["input.std"][0] == pytest.approx(
        (50**2 / 3 + 100**2 / 3 + 25**2 * 2) ** 0.5 / 2**0.5, rel=0.01
    )
    low, high = settled["input.clip"][0]
    assert (low, high) == (pytest.approx(0.7, abs=0.4), pytest.approx(198, abs=1))
    mr = make_case(make_volumes(((10, 20, 30), (1, 1, 1))))
    settled, _ = settle(mr, *rules, input__channels=1, network__pretrained="no")
    assert (settled["input.normalize_each"], settled["input.mean"], settled["input.clip"]) == (
        True,
        (0,),
        None,
    )


@pytest.mark.parametrize(
    ("shares", "over"),
    [((0.9, 0.7, 0.5), "nonzero"), ((0.9, 0.75, 0.5), None)],
)
def test_mostly_empty_volumes_are_normalised_by_what_is_not_zero(make_case, shares, over) -> None:
    # nnU-Net's rule: the median part that is left after cropping to what is not 0 is below 3/4.
    facts = make_volumes(*[((10, 20, 30), (1, 1, 1))] * 3)
    images = tuple(
        replace(image, volume=replace(image.volume, nonzero_share=share))
        for image, share in zip(facts.images, shares, strict=True)
    )
    case = make_case(DatasetFacts(images))
    settled, reasons = settle(case, choose_volumes, choose_normalized_voxels)
    assert settled["input.normalize_over"] == over
    assert f"{100 * shares[1]:.0f} % of the median volume" in reasons["input.normalize_over"]
    ct, reasons = settle(case, choose_volumes, choose_normalized_voxels, input__normalize_each=False)
    assert ct["input.normalize_over"] is None
    assert "input.normalize_over" not in reasons


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (("background", "organ"), (0, 1, 2)),
        (("background", "left lung", "right lung"), (0, 1)),  # array axes: z, y, x
        (("background", "anterior", "posterior"), (0, 2)),
        (("background", "L1", "L2", "L3"), (1, 2)),
        (("class 0", "class 1", "class 2"), ()),
    ],
)
def test_mirrors_swap_no_classes(make_case, names, axes) -> None:
    case = make_case(make_volumes(((10, 20, 30), (1, 1, 1))))
    table = LabelTable(tuple(LabelClass(name, (i,), (i, i, i)) for i, name in enumerate(names)))
    settled, reasons = settle(replace(case, labels=table), choose_geometry)
    assert settled["augment.flip_axes"] == axes
    assert reasons["augment.flip_axes"]


def test_an_accelerator_gets_the_plan_of_nnunet(make_case, gpu) -> None:
    # nnU-Net's published plan of the prostate data of the Decathlon: 20 x 320 x 256, 7 stages, batch of 2.
    facts = make_volumes(*[((20, 320, 320), (3.6, 0.62, 0.62))] * 30)
    settled, reasons = settle(make_case(facts, machine=gpu), *RULES)
    options = settled["network.options"]
    assert (settled["network.name"], settled["input.crop_size"]) == ("nnunet", (20, 320, 256))
    assert (len(options["features"]), options["kernels"][0], options["strides"][1]) == (
        7,
        (1, 3, 3),
        (1, 2, 2),
    )
    assert settled["train.batch_size"] == 2
    assert (settled["augment.thick_axis"], settled["augment.foreground_probability"]) == (0, 0.33)
    assert settled["inference.window"] == (20, 320, 256)
    assert "a patch has its proportions" in reasons["input.crop_size"]


def test_a_short_run_on_a_cpu_gets_patches_that_leave_steps(make_case) -> None:
    # 1 us a voxel, 3 minutes: 0.94 * 180 s / 300 steps / 2 patches = 0.282 s, so 282,000 voxels, but at most
    # 64 x 64 x 64; with 10 us a voxel 28,200.
    facts = make_volumes(*[((100, 100, 100), (1, 1, 1))] * 9)
    settled, _ = settle(make_case(facts, minutes=3), *RULES)
    assert settled["input.crop_size"] == (64, 64, 64)
    slow = Cost(1_000_000, 0.0, 1000.0, 0.0, 1e-5, 300.0)
    settled, reasons = settle(make_case(facts, minutes=3, cost=slow), *RULES)
    assert prod(settled["input.crop_size"]) <= 28_200 < 2 * prod(settled["input.crop_size"])
    assert "fewer than 300 steps" in reasons["input.crop_size"]


def test_slices_where_three_dimensions_are_too_many() -> None:
    few = choose_slicing(make_volumes(((6, 99, 99), (1, 1, 1))), {})
    assert (few.axis, few.neighbours) == (0, 1)
    assert "6 slices" in few.why
    thick = make_volumes(((20, 99, 99), (4, 1, 1)))
    assert choose_slicing(thick, {}) is None
    assert choose_slicing(thick, {}, is_cpu=True).neighbours == 1
    assert choose_slicing(thick, {"input.spatial_dims": 3}, is_cpu=True) is None
    assert choose_slicing(thick, {"input.spatial_dims": 2}, is_cpu=True).neighbours == 0
    cubes = make_volumes(((20, 99, 99), (1, 1, 1)))
    assert choose_slicing(cubes, {}, is_cpu=True) is None
    flat = choose_slicing(cubes, {}, network_dims=(2,))
    assert (flat.neighbours, flat.why) == (0, "the network is for images in two dimensions")
    assert choose_slicing(make_volumes(((6, 99, 99), (1, 1, 1))), {}, network_dims=(3,)) is None


@pytest.mark.parametrize("minutes", [0.05, 0.5, 10])
def test_no_time_is_too_short_for_a_patch_that_shows_something(make_case, minutes) -> None:
    """A slow machine has been given patches of one voxel."""
    facts = make_volumes(*[((36, 50, 35), (1, 1, 1))] * 4)
    settled, _ = decide(make_case(facts, minutes=minutes), RULES, {})
    patch = settled["input.crop_size"]
    assert np.prod(patch) >= 16**3 and min(patch) >= 16


LARGE = [((300, 300, 300), (1, 1, 1))] * 4
"""Volumes of which a patch on a CPU, of 64 x 64 x 64, covers 1 %."""


@pytest.mark.parametrize(
    ("minutes", "given", "said"),
    [
        (None, {}, ""),
        (60, {}, "33 % of the time"),
        # 0.94 * 3 * 60 s / 3 for steps of 2 patches, at 1 us a voxel.
        (3, {}, "but 3 min leave about 108 steps for a first stage, fewer than 300"),
        (None, {"input.crop_size": (32, 32, 32)}, "but you set the patch"),
        (None, {"train.unlabelled": "/images"}, "but a cascade learns neither from a teacher"),
    ],
)
def test_a_cascade_where_a_patch_shows_little_and_time_is_enough(make_case, minutes, given, said) -> None:
    case = replace(make_case(make_volumes(*LARGE), minutes=minutes), given=frozenset(given))
    settled, reasons = decide(case, RULES, given)
    reason, coarse = reasons["input.cascade_mm"], settled["input.cascade_mm"]
    assert reason.startswith("a patch covers 0.97 % of the median volume, less than 25 %") and said in reason
    assert (coarse is None) == ("; but " in reason)
    if coarse is not None:
        # A quarter: 300^3 / (4 * 64^3) = 25.7 times fewer voxels, 2.95 along each axis, in steps of 3 %.
        assert all(2.95 <= step < 2.95 * 1.03 for step in coarse)


def test_no_cascade_without_a_need_or_where_only_one_network_is_trained(make_case) -> None:
    _, reasons = decide(make_case(make_volumes(((100, 100, 100), (1, 1, 1)))), RULES, {})
    assert "input.cascade_mm" not in reasons
    assert "10 % of the voxels" in reasons["loss.terms"]
    assert "enough slices along each axis" in reasons["input.spatial_dims"]
    folds = replace(make_case(make_volumes(*LARGE)), allows_cascade=False)
    settled, reasons = decide(folds, RULES, {})
    assert settled["input.cascade_mm"] is None
    assert "trained by `limner train` alone" in reasons["input.cascade_mm"]


def test_the_further_channels_of_a_cascade_are_measured(make_labels, monkeypatch) -> None:
    measured = []
    monkeypatch.setattr(
        "limner.planning.measurer.measure_cost",
        lambda network, step, *, channels, **_: measured.append(
            (channels, next(network.parameters()).shape[1])
        ),
    )
    settled = {
        **{"task": "semantic", "network.name": "unet", "network.options": {"widths": (2, 3)}},
        **{"network.norm": None, "input.channels": 2, "input.spatial_dims": 3},
        **{"loss.terms": (LossTerm(name="dice"),), "train.precision": "float32"},
    }
    measure = Measurer(make_labels(4), device="cpu")
    for cascade in (None, (2.0, 2.0, 2.0)):
        measure(settled | {"input.cascade_mm": cascade})
    # Two channels of the image, and one for each of three classes that are not the background.
    assert measured == [(2, 2), (5, 5)]


def sliced(case, facts: DatasetFacts, **given: object):
    """Return the case of slices of its volumes."""
    slicing = choose_slicing(facts, {"input.spatial_dims": 2} | given)
    names = {"train": [image.name for image in facts.images], "val": []}
    return replace(case, fingerprint=take_fingerprint(facts, case.labels, names, slicing=slicing))


VARIED = [f"augment.{name}" for name in ("rotation", "affine_probability", *["gamma", "noise", "blur"])]


def test_slices_are_varied_as_patches_are(make_case) -> None:
    facts = make_volumes(*[((20, 99, 99), (3, 1, 1))] * 3)
    patches, _ = settle(make_case(facts), *RULES)
    slices, reasons = settle(sliced(make_case(facts), facts), *RULES)
    for key in (*VARIED, "augment.low_resolution"):
        assert slices[key] == patches[key], key
        assert reasons[key]
    assert (slices["augment.rotation"], slices["augment.affine_probability"]) == (30, 0.2)
    assert (slices["augment.gamma"], slices["augment.noise"], slices["augment.blur"]) == ((0.7, 1.5), 0.1, 1)
    # Noise in 10 %; gamma, inverted in 10 % and plain in 30 %, in 1 - 0.9 * 0.7 = 37 %.
    assert "10 to 37 % of the slices" in reasons["augment.gamma"]
    kept, _ = settle(sliced(make_case(facts), facts), *RULES, augment__rotation=0.0, augment__gamma=None)
    assert (kept["augment.rotation"], kept["augment.gamma"]) == (0, None)


def test_rows_of_long_pixels_are_not_mixed(make_case) -> None:
    facts = make_volumes(*[((20, 99, 99), (4, 1, 1))] * 3)
    across = sliced(make_case(facts), facts, **{"input.slice_axis": 2})
    for resample in (True, False):
        settled, reasons = settle(across, *RULES, input__slice_axis=2, input__resample=resample)
        assert (settled["augment.rotation"], settled["augment.noise"]) == (0, 0.1)
        assert "4 times as long as wide" in reasons["augment.rotation"]


def test_photographs_keep_their_values(make_case) -> None:
    settled, reasons = settle(make_case(), *RULES)
    usual = default_values()
    for key in (*VARIED, "augment.low_resolution", "augment.jpeg"):
        assert settled[key] == usual[key] and key not in reasons
    assert usual["augment.jpeg"] is None and usual["augment.affine_probability"] == 1


def test_slices_are_counted_as_slices(make_case) -> None:
    facts = make_volumes(*[((20, 99, 99), (3, 1, 1))] * 3)
    case = sliced(make_case(facts), facts)
    _, reasons = settle(case, *RULES, train__epochs=5.0)
    empty = "counting those without foreground, which are at most 25 % of those used"
    assert reasons["train.steps"] == f"5 passes over 60 training slices, {empty}"
    few = make_volumes(((1, 99, 99), (3, 1, 1)))
    _, reasons = settle(sliced(make_case(few), few), *RULES)
    assert "there is 1 training slice" in reasons["train.batch_size"]


def test_slices_are_not_mirrored_from_left_to_right_where_sides_are_named(make_case) -> None:
    facts = make_volumes(*[((20, 99, 99), (3, 1, 1))] * 3)
    names = ("background", "left lung", "right lung")
    table = LabelTable(tuple(LabelClass(name, (i,), (i, i, i)) for i, name in enumerate(names)))
    settled, reasons = settle(replace(sliced(make_case(facts), facts), labels=table), *RULES)
    assert settled["augment.flip_axes"] == (0,)  # rows, from front to back
    assert "left lung" in reasons["augment.flip_axes"]
