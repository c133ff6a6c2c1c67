"""The one shape every transform has: draw the parameters, then apply exactly those."""

from typing import Protocol, TypeVar

import numpy as np

from limner.core.sample import Sample

ParamsT = TypeVar("ParamsT")


class Transform(Protocol[ParamsT]):
    """Sample -> Sample in two halves, so that every augmentation can be replayed.

    `draw` holds all the chance and changes nothing; `apply` holds all the pixels and no chance: the same
    parameters on the same sample give the same bytes.
    """

    def draw(self, rng: np.random.Generator, sample: Sample) -> ParamsT:
        """Draw the parameters for `sample`."""
        ...

    def apply(self, sample: Sample, params: ParamsT) -> Sample:
        """Return the changed sample; the given one stays as it is."""
        ...
