"""Spacing, patch and batch of volumes: arithmetic by hand, and nnU-Net's published plans."""

from math import prod

import pytest

from limner.planning.patch_size import batch_of_patches, coarser_spacing, plan_patch, reference_elements
from limner.planning.rules.volumes import target_spacing
from limner.planning.volume_fingerprint import VolumeFingerprint

GIB = 2**30


def volumes(*pairs: tuple[tuple[float, ...], tuple[int, ...]]) -> VolumeFingerprint:
    spacings, shapes = zip(*pairs, strict=True)
    return VolumeFingerprint(shapes, spacings)


def test_the_spacing_is_the_median_of_each_axis() -> None:
    found = target_spacing(volumes(((1, 2, 3), (9, 9, 9)), ((2, 2, 1), (9, 9, 9)), ((3, 5, 2), (9, 9, 9))))
    assert found == ((2, 2, 2), None)


def test_thick_slices_keep_their_number() -> None:
    # Median (10, 1, 1) with 10 slices of 100 x 100; 10th percentile of 4, 10, 10, 10, 10: 4 + 0.4 * 6 = 6.4.
    many = [((10, 1, 1), (10, 100, 100))] * 4 + [((4, 1, 1), (25, 100, 100))]
    spacing, axis = target_spacing(volumes(*many))
    assert (spacing, axis) == ((pytest.approx(6.4), 1, 1), 0)
    # As many slices as pixels: no reason to keep them all.
    assert target_spacing(volumes(*[(spacing, (100, 100, 100)) for spacing, _ in many]))[0] == (10, 1, 1)
    # Never finer than the other axes.
    mixed = [((10, 1, 1), (10, 100, 100))] * 5 + [((0.1, 1, 1), (900, 100, 100))] * 2
    assert target_spacing(volumes(*mixed))[0] == (pytest.approx(1.00001), 1, 1)


def test_sizes_after_resampling() -> None:
    found = volumes(((1, 2, 1), (10, 20, 30)), ((2, 2, 1), (10, 21, 30))).shapes_at((2, 1, 1))
    assert found == ((5, 40, 30), (10, 42, 30))


@pytest.mark.parametrize(
    ("spacing", "median", "cases", "patch", "batch"),
    [
        # nnU-Net v2's plans of the Medical Segmentation Decathlon, as its users publish them.
        ((1, 1, 1), (36, 50, 35), 260, (40, 56, 40), 9),
        ((1, 1, 1), (138, 170, 138), 484, (128, 128, 128), 2),
    ],
)
def test_plans_that_nnunet_publishes(spacing, median, cases, patch, batch) -> None:
    most = reference_elements(8 * GIB)

    def elements(topology) -> float:
        return topology.map_elements(num_classes=3)

    topology = plan_patch(spacing, median, lambda one: elements(one) <= most)
    assert topology.patch == patch
    assert batch_of_patches(elements(topology), most, patch, prod(median) * cases) == batch


def test_the_coarser_spacing_of_a_cascade() -> None:
    # Liver of the Decathlon: 128 x 128 x 128 of 482 x 512 x 512 voxels. A quarter is reached at
    # 4 * 128^3 = 8.39 million voxels, 15.06 times fewer: 2.47 along each axis, after 31 steps of 3 %.
    most = reference_elements(8 * GIB)
    spacing, median = (1, 0.767578125, 0.767578125), (482, 512, 512)
    found = coarser_spacing(spacing, median, lambda one: one.map_elements(num_classes=3) <= most)
    assert found == pytest.approx([step * 1.03**31 for step in spacing])
    # Axes of less than half the largest spacing alone, until they are half of it.
    thick = coarser_spacing((4, 1, 1), (60, 1024, 1024), lambda one: prod(one.patch) <= 2**20)
    assert thick[0] > 4 and 4 / thick[1] < 2.0 * 1.03
    # Hardly smaller, or seen whole.
    assert coarser_spacing((1, 1, 1), (90, 90, 90), lambda one: prod(one.patch) <= 64**3 // 2) is None
    assert coarser_spacing((1, 1, 1), (64, 64, 64), lambda one: True) is None


def test_patches_have_the_proportions_of_the_data_and_fit() -> None:
    topology = plan_patch((1, 1, 1), (400, 200, 100), lambda one: prod(one.patch) <= 64_000)
    depth, height, width = topology.patch
    assert prod(topology.patch) <= 64_000 < 4 * prod(topology.patch)
    assert depth > height > width
    assert all(side % divisor == 0 for side, divisor in zip(topology.patch, topology.divisors, strict=True))
    # Nothing fits: the smallest patch, rather than an endless loop.
    assert prod(plan_patch((1, 1, 1), (64, 64, 64), lambda one: False).patch) < 1000


def test_batches_show_a_part_of_the_data() -> None:
    assert batch_of_patches(10, 100, (10, 10, 10), 1e9) == 20
    assert batch_of_patches(10, 100, (10, 10, 10), 1e5) == 5  # 5 % of 100,000 voxels
    assert batch_of_patches(100, 10, (10, 10, 10), 1e9) == 2
    assert reference_elements(4 * GIB) * 2 == reference_elements(8 * GIB) == reference_elements(80 * GIB)
