"""Stages of a U-Net for a patch and a spacing, by the rule of nnU-Net.

Paper: nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation (Isensee et
al., Nature Methods 2021), https://doi.org/10.1038/s41592-020-01008-z. Reference:
https://github.com/MIC-DKFZ/nnUNet (Apache-2.0 licence), version 2.8.1.

An axis is halved while it has enough voxels and its voxels are less than twice as long as the shortest ones
that can still be halved. Kernels are 1 along an axis whose voxels are at least twice as long as the shortest,
and 3 from the stage on where they are not: across thick slices there is nothing to see that close.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

BASE_FEATURES = 32
MAX_FEATURES = {2: 512, 3: 320}
SMALLEST_MAP = 4
"""Fewest voxels along an axis at the coarsest stage."""

FAR = 2
"""Ratio of spacings from which an axis counts as coarse."""


@dataclass(frozen=True)
class Topology:
    """Stages of an encoder, finest first.

    Attributes:
        patch: The patch, enlarged so that the strides divide it.
        strides: Stride of each stage for each axis; the first is 1.
        kernels: Kernel size of each stage for each axis.
        features: Channels of each stage.
    """

    patch: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    features: tuple[int, ...]

    @property
    def divisors(self) -> tuple[int, ...]:
        """Number of voxels by which each axis of a patch must be divisible."""
        return tuple(prod(steps) for steps in zip(*self.strides, strict=True))

    def options(self) -> dict[str, object]:
        """Return the options of the networks `nnunet` and `nnunet-resenc`."""
        return {"features": self.features, "kernels": self.kernels, "strides": self.strides}

    def map_elements(
        self, *, num_classes: int, convs: Sequence[int] | None = None, decoder_convs: int = 2
    ) -> int:
        """Return the number of elements of all maps of a plain nnU-Net, by which it estimates memory.

        Args:
            num_classes: Number of classes, with the background.
            convs: Convolutions of each stage of the encoder; defaults to 2.
            decoder_convs: Convolutions of each stage of the decoder.
        """
        sizes = []
        size = self.patch
        for stride in self.strides:
            size = tuple(length // step for length, step in zip(size, stride, strict=True))
            sizes.append(prod(size))
        counts = convs or [2] * len(self.features)
        encoder = sum(
            count * width * voxels for count, width, voxels in zip(counts, self.features, sizes, strict=True)
        )
        decoder = sum(
            (1 + decoder_convs) * width * voxels
            for width, voxels in zip(self.features[:-1], sizes[:-1], strict=True)
        )
        return encoder + decoder + num_classes * sizes[0]


def plan_topology(
    patch: Sequence[int],
    spacing: Sequence[float],
    *,
    base_features: int = BASE_FEATURES,
    max_features: int | None = None,
) -> Topology:
    """Return the stages for a patch.

    Args:
        patch: Number of voxels of each axis.
        spacing: Distance of voxels along each axis, in any unit, in the same order.
        base_features: Channels of the first stage; each further stage doubles them.
        max_features: Maximum number of channels; defaults to 320 in 3D and 512 in 2D.
    """
    dims = len(patch)
    size, distance = list(patch), list(spacing)
    kernel = [1] * dims
    strides, kernels = [(1,) * dims], []
    while axes := _axes_to_halve(size, distance):
        shortest = min(distance)
        kernel = [
            3 if side == 3 or far / shortest < FAR else 1 for side, far in zip(kernel, distance, strict=True)
        ]
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in axes else 1 for axis in range(dims)))
        for axis in axes:
            size[axis] = ceil(size[axis] / 2)
            distance[axis] *= 2
    kernels.append((3,) * dims)  # the coarsest stage sees all axes
    limit = max_features or MAX_FEATURES[dims]
    divisors = [prod(steps) for steps in zip(*strides, strict=True)]
    return Topology(
        tuple(ceil(length / each) * each for length, each in zip(patch, divisors, strict=True)),
        tuple(strides),
        tuple(kernels),
        tuple(min(limit, base_features * 2**stage) for stage in range(len(strides))),
    )


def _axes_to_halve(size: Sequence[int], distance: Sequence[float]) -> list[int]:
    """Return the axes that the next stage halves; none if the network ends here."""
    axes = [axis for axis, length in enumerate(size) if length >= 2 * SMALLEST_MAP]
    if not axes:
        return []
    shortest = min(distance[axis] for axis in axes)
    axes = [axis for axis in axes if distance[axis] / shortest < FAR]
    return [] if len(axes) == 1 and size[axes[0]] < 3 * SMALLEST_MAP else axes
