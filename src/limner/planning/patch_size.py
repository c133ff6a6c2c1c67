"""The patch of a network for volumes, by the rule of nnU-Net.

Paper: nnU-Net (Isensee et al., Nature Methods 2021), https://doi.org/10.1038/s41592-020-01008-z. A patch has
the proportions of the median volume, as far as it fits in memory, and sides that the strides of its network
divide.
"""

from collections.abc import Callable, Sequence
from math import prod

from limner.networks.nnunet_topology import Topology, plan_topology

LARGEST_PATCH = 256**3
"""Number of voxels of the first patch that is tried, before it is limited to the median volume."""

REFERENCE_ELEMENTS, REFERENCE_GIB, REFERENCE_BATCH = 560_000_000, 8, 2
"""Elements of the maps of a plain nnU-Net with which nnU-Net trains two patches in 8 GiB."""

MOST_OF_DATA = 0.05
"""Maximum part of all training voxels in one batch, as in nnU-Net, so that batches differ."""

SMALLEST_BATCH = 2

LEAST_COVERED = 0.25
"""Part of the median volume that a patch covers from which nnU-Net needs no second, coarser resolution."""

COARSENED, LEAST_REDUCED = 1.03, 2.0
"""Factor of the spacing in each step to that resolution, and the factor of voxels that it must save."""


def plan_patch(
    spacing: Sequence[float],
    median_shape: Sequence[float],
    fits: Callable[[Topology], bool],
    *,
    base_features: int = 32,
) -> Topology:
    """Return the stages of a network and its patch, the largest with about the proportions of the data.

    The side that is largest in proportion to the median volume is shortened until the patch fits.

    Args:
        spacing: Spacing at which the network sees voxels, axis by axis.
        median_shape: Median size of the volumes at that spacing.
        fits: Tells whether a batch of the smallest size fits in memory and time.
        base_features: Channels of the first stage.
    """
    inverse = [1 / step for step in spacing]
    zoom = (LARGEST_PATCH / prod(inverse)) ** (1 / len(spacing))
    wanted = (round(part * zoom) for part in inverse)
    first = [min(side, most) for side, most in zip(wanted, median_shape, strict=True)]
    topology = plan_topology(first, spacing, base_features=base_features)
    while not fits(topology):
        patch = list(topology.patch)
        shares = [side / most for side, most in zip(patch, median_shape, strict=True)]
        axis = max(range(len(patch)), key=lambda a: (shares[a], a))
        # The divisor of the shorter side, which may be smaller: otherwise sizes between would be skipped.
        patch[axis] -= topology.divisors[axis]
        if patch[axis] <= 0:
            return topology
        divisor = plan_topology(patch, spacing, base_features=base_features).divisors[axis]
        patch[axis] = topology.patch[axis] - divisor
        topology = plan_topology(patch, spacing, base_features=base_features)
    return topology


def coarser_spacing(
    spacing: Sequence[float], median_shape: Sequence[float], fits: Callable[[Topology], bool]
) -> tuple[float, ...] | None:
    """Return the spacing at which a patch covers a quarter of the median volume, as nnU-Net's `3d_lowres`.

    Args:
        spacing: As of `plan_patch`.
        median_shape: As of `plan_patch`.
        fits: As of `plan_patch`.

    Returns:
        None if the patch covers that much already, or if the volumes would hardly become smaller.
    """
    coarse, shape = list(spacing), list(map(float, median_shape))
    while prod(plan_patch(coarse, [*map(round, shape)], fits).patch) < LEAST_COVERED * prod(shape):
        finer = [max(coarse) / step > 2 for step in coarse]
        coarse = [
            step * (COARSENED if is_finer or not any(finer) else 1)
            for step, is_finer in zip(coarse, finer, strict=True)
        ]
        sides = zip(median_shape, spacing, coarse, strict=True)
        shape = [side * old / new for side, old, new in sides]
    return tuple(coarse) if prod(shape) * LEAST_REDUCED <= prod(median_shape) else None


def reference_elements(num_bytes: float) -> float:
    """Return the number of elements of the maps of a plain nnU-Net up to which a patch is enlarged.

    Args:
        num_bytes: Memory for training; more than nnU-Net's default of 8 GiB would make steps slow.
    """
    return REFERENCE_ELEMENTS * min(num_bytes / 2**30 / REFERENCE_GIB, 1.0)


def batch_of_patches(elements: float, reference: float, patch: Sequence[int], num_voxels: float) -> int:
    """Return the number of patches in a batch.

    Args:
        elements: Elements of all maps of one patch, or another measure of its memory.
        reference: The same measure for which `REFERENCE_BATCH` patches fit in memory.
        patch: Size of a patch.
        num_voxels: Number of voxels of all training volumes.
    """
    fitting = round(reference / elements * REFERENCE_BATCH)
    most = round(num_voxels * MOST_OF_DATA / prod(patch))
    return max(min(fitting, most), SMALLEST_BATCH)
