"""Does turning or mirroring an image change what it is? Asked of the data, not guessed from a name.

If orientation is meaningless, an image is as likely as its turned copy, so whatever a turn changes in
one image must cancel over many. What does not cancel is structure that all images share: the sky above
the road, the heart at the left. Each image is seen as two coarse grids, of label mass and of grey.

Shape legend: N images, G cells along each axis of a grid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator

Grids = npt.NDArray[np.float64]

FEWEST_IMAGES = 8
"""With fewer, nothing can be told: the test below could hardly reach its level."""

SHARED_AT_MOST = 0.20
"""Part of the asymmetry that the images may have in common while orientation still means little."""

SHARED_AT_MOST_MIRRORED = 0.50
"""The same for left-right mirrors, which spoil natural scenes least (a road keeps its shape)."""

CHANCE = 0.01
"""A shared asymmetry counts when less likely than this by accident."""

MOST_IMAGES = 2000
"""Of more images, as many evenly spaced ones are looked at: they tell the same, sooner."""

NUM_DRAWS = 499
"""Random turnings that the asymmetry found is compared with."""


@dataclass(frozen=True)
class Asymmetry:
    """What one kind of turn changes in all images alike.

    Attributes:
        shared: Part of the images' asymmetry that they have in common, 0 to 1, freed of what chance alone
            would give.
        chance: How likely so much would be if the turn meant nothing.
    """

    shared: float
    chance: float

    def exceeds(self, limit: float) -> bool:
        """Tell whether the images share more asymmetry than `limit`, and not by accident."""
        return self.shared > limit and self.chance < CHANCE


@dataclass(frozen=True)
class Orientation:
    """How much left and right, top and bottom, and turns mean in a dataset.

    Attributes:
        num_images: Images looked at.
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
        """There were images enough to tell."""
        return self.num_images >= FEWEST_IMAGES

    @property
    def mirrors_left_right(self) -> bool:
        """A left-right mirrored image is as good as an image."""
        return not self.is_known or not self.left_right.exceeds(SHARED_AT_MOST_MIRRORED)

    @property
    def mirrors_up_down(self) -> bool:
        """An upside-down image is as good as an image."""
        return self.is_known and not self.up_down.exceeds(SHARED_AT_MOST)

    @property
    def turns(self) -> bool:
        """Orientation is meaningless: any quarter turn or mirror is as good as the image."""
        strict = not self.left_right.exceeds(SHARED_AT_MOST) and self.mirrors_up_down
        return strict and not self.turn.exceeds(SHARED_AT_MOST)


def measure_orientation(occupancy: Sequence[Grids], greys: Sequence[Grids]) -> Orientation:
    """Look for asymmetry that the images share, in where the labels are and in where it is bright.

    Args:
        occupancy: N grids (G, G): share of each cell that is labelled other than the commonest.
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
"""Each kind of turn with all its repetitions, the first of which changes nothing."""


def _strength(asymmetry: Asymmetry) -> tuple[bool, float]:
    return asymmetry.chance < CHANCE, asymmetry.shared


def _asymmetry(grids: Grids, transforms: tuple[Transform, ...], purpose: str) -> Asymmetry:
    """Measure how much of N grids' asymmetry is common to them, and test it by random turnings."""
    turned = np.stack([t(grids).reshape(len(grids), -1) for t in transforms])  # (T, N, G * G)
    asymmetric = turned - turned.mean(axis=0)  # what each turning changes, image by image
    whole = float((asymmetric[0] ** 2).sum(axis=1).mean())
    if len(grids) < 2 or whole < 1e-9:
        return Asymmetry(0.0, 1.0)
    common = _common(asymmetric[0])
    # Independent images leave 1/N of their asymmetry in the mean by chance.
    by_chance = 1 / len(grids)
    shared = max((common / whole - by_chance) / (1 - by_chance), 0.0)
    rng = generator(0, f"orientation {purpose}")
    image = np.arange(len(grids))
    draws = [
        _common(asymmetric[rng.integers(len(transforms), size=len(grids)), image]) for _ in range(NUM_DRAWS)
    ]
    exceeding = sum(draw >= common * (1 - 1e-12) for draw in draws)
    return Asymmetry(round(shared, 4), (1 + exceeding) / (1 + NUM_DRAWS))


def _common(asymmetric: Grids) -> float:
    """Return the squared length of the mean of (N, G * G) asymmetries."""
    return float((asymmetric.mean(axis=0) ** 2).sum())
