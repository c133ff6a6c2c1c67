"""Test, from the data, whether rotations and mirrors change the meaning of images.

If orientation is meaningless, an image is as likely as its rotated copy, so the changes by a rotation cancel
over many images. What does not cancel is structure that all images share: the sky above the road, the heart
at the left. Each image is represented by two coarse grids, of label mass and of grey values.

Shape legend: N images, G cells along each axis of a grid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator

Grids = npt.NDArray[np.float64]

FEWEST_IMAGES = 8
"""Minimum number of images: with fewer, the test below could hardly reach its significance level."""

SHARED_AT_MOST = 0.20
"""Maximum fraction of shared asymmetry for which orientation is considered unimportant."""

SHARED_AT_MOST_MIRRORED = 0.50
"""The same for left-right mirrors, which harm natural scenes least (a road keeps its shape)."""

CHANCE = 0.01
"""Significance level of shared asymmetry."""

MOST_IMAGES = 2000
"""Maximum number of images used, evenly spaced; more would only take longer."""

NUM_DRAWS = 499
"""Number of random transforms in the permutation test."""


@dataclass(frozen=True)
class Asymmetry:
    """Asymmetry under one kind of transform that all images share.

    Attributes:
        shared: Fraction of the images' asymmetry that they have in common, 0 to 1, corrected for chance.
        chance: p-value: probability of at least this much if the transform did not matter.
    """

    shared: float
    chance: float

    def exceeds(self, limit: float) -> bool:
        """Return whether the images share significantly more asymmetry than `limit`."""
        return self.shared > limit and self.chance < CHANCE


@dataclass(frozen=True)
class Orientation:
    """Importance of left and right, top and bottom, and rotation in a dataset.

    Attributes:
        num_images: Number of images used.
        left_right: Under mirroring columns.
        up_down: Under mirroring rows.
        turn: Under quarter turns.
    """

    num_images: int
    left_right: Asymmetry
    up_down: Asymmetry
    turn: Asymmetry

    @property
    def is_known(self) -> bool:
        """Whether there were enough images for the test."""
        return self.num_images >= FEWEST_IMAGES

    @property
    def mirrors_left_right(self) -> bool:
        """Whether images may be mirrored left-right."""
        return not self.is_known or not self.left_right.exceeds(SHARED_AT_MOST_MIRRORED)

    @property
    def mirrors_up_down(self) -> bool:
        """Whether images may be mirrored up-down."""
        return self.is_known and not self.up_down.exceeds(SHARED_AT_MOST)

    @property
    def turns(self) -> bool:
        """Whether orientation is meaningless, so any quarter turn or mirror is allowed."""
        strict = not self.left_right.exceeds(SHARED_AT_MOST) and self.mirrors_up_down
        return strict and not self.turn.exceeds(SHARED_AT_MOST)


def measure_orientation(occupancy: Sequence[Grids], greys: Sequence[Grids]) -> Orientation:
    """Measure asymmetry that the images share, in the positions of labels and in brightness.

    Args:
        occupancy: N grids (G, G): fraction of each cell whose label is not the most common one.
        greys: N grids (G, G): mean grey of each cell, in [0, 1].
    """
    kinds = [
        np.stack(grids[:: -(-len(grids) // MOST_IMAGES)]).astype(np.float64)
        for grids in (occupancy, greys)
        if len(grids)
    ]
    found = {}
    for name, transforms in GROUPS.items():
        measured = [_asymmetry(grids, transforms, name) for grids in kinds]
        found[name] = max(measured, key=_strength, default=Asymmetry(0.0, 1.0))
    return Orientation(
        min((len(k) for k in kinds), default=0), found["left_right"], found["up_down"], found["turn"]
    )


Transform = Callable[[Grids], Grids]

GROUPS: dict[str, tuple[Transform, ...]] = {
    "left_right": (lambda g: g, lambda g: g[:, :, ::-1]),
    "up_down": (lambda g: g, lambda g: g[:, ::-1]),
    "turn": tuple(lambda g, k=k: np.rot90(g, k, axes=(1, 2)) for k in range(4)),  # type: ignore[misc]
}
"""Each kind of transform with all its powers, identity first."""


def _strength(asymmetry: Asymmetry) -> tuple[bool, float]:
    return asymmetry.chance < CHANCE, asymmetry.shared


def _asymmetry(grids: Grids, transforms: tuple[Transform, ...], purpose: str) -> Asymmetry:
    """Measure how much asymmetry N grids share, and test it with random transforms."""
    turned = np.stack([t(grids).reshape(len(grids), -1) for t in transforms])  # (T, N, G * G)
    asymmetric = turned - turned.mean(axis=0)  # what each turning changes, image by image
    whole = float((asymmetric[0] ** 2).sum(axis=1).mean())
    if len(grids) < 2 or whole < 1e-9:
        return Asymmetry(0.0, 1.0)
    common = _common(asymmetric[0])
    # By chance, the mean of independent images retains 1/N of their asymmetry.
    by_chance = 1 / len(grids)
    shared = max((common / whole - by_chance) / (1 - by_chance), 0.0)
    rng = generator(0, f"orientation {purpose}")
    drawn = rng.integers(len(transforms), size=(NUM_DRAWS, 1, len(grids)))
    is_drawn = (drawn == np.arange(len(transforms))[:, None]).astype(np.float64)  # (draws, T, N)
    # All means at once: a product of matrices takes a fraction of the time of as many sums.
    means = is_drawn.reshape(NUM_DRAWS, -1) @ asymmetric.reshape(-1, asymmetric.shape[-1]) / len(grids)
    exceeding = int(((means**2).sum(axis=1) >= common * (1 - 1e-12)).sum())
    return Asymmetry(round(shared, 4), (1 + exceeding) / (1 + NUM_DRAWS))


def _common(asymmetric: Grids) -> float:
    """Return the squared length of the mean of (N, G * G) asymmetries."""
    return float((asymmetric.mean(axis=0) ** 2).sum())
