"""Interface of transforms: draw random parameters, then apply them."""

from typing import Protocol, TypeVar

import numpy as np

from limner.core.sample import Sample

ParamsT = TypeVar("ParamsT")


class Transform(Protocol[ParamsT]):
    """Transform of samples in two steps, so that every augmentation can be replayed.

    `draw` is random and changes nothing; `apply` is deterministic: the same parameters on the same sample
    give identical results.
    """

    def draw(self, rng: np.random.Generator, sample: Sample) -> ParamsT:
        """Draw the parameters for `sample`."""
        ...

    def apply(self, sample: Sample, params: ParamsT) -> Sample:
        """Return the transformed sample; the input is not changed."""
        ...
