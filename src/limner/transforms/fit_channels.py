"""Conversion of an image to the network's number of channels, if it is lossless."""

from dataclasses import dataclass, replace

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.picture import Image
from limner.core.plan import InputPlan
from limner.core.sample import Sample


@dataclass(frozen=True)
class FitChannels:
    """Deterministic transform that applies `fit_channels` to samples.

    Attributes:
        plan: The network's input.
    """

    plan: InputPlan

    def draw(self, rng: np.random.Generator, sample: Sample) -> None:
        """Draw nothing."""

    def apply(self, sample: Sample, params: None) -> Sample:
        """Return the sample with the plan's number of channels.

        Raises:
            DataError: As `fit_channels`.
        """
        return replace(sample, image=fit_channels(sample.image, self.plan, where=sample.name))


def fit_channels(image: Image, plan: InputPlan, *, where: str) -> Image:
    """Return the image with the model's number of channels.

    Only lossless conversions are made: grey is repeated for a colour model, an alpha channel is dropped, and
    a grey image stored as RGB is reduced to one channel. Colour images are not converted to grey, since
    one-channel models are usually trained on intensities (fluorescence, X-ray, MR), which colour images do
    not have; the error message says how to convert them.

    Args:
        image: (*spatial, C), or (*spatial) for one channel.
        plan: The model's input.
        where: The file, for the error message.

    Returns:
        (*spatial, `plan.channels`), a view if possible.

    Raises:
        DataError: The image has other dimensions or channels, no pixels, or values that are not finite.
    """
    dims, wanted = plan.spatial_dims, plan.channels
    if image.ndim == dims:
        image = image[..., None]
    if image.ndim != dims + 1 or image.size == 0:
        raise DataError(
            describe(
                "The image does not have the dimensions that the model expects",
                where=where,
                found=f"shape {image.shape}",
                expected=f"{dims} spatial axes, then {wanted} channel{'s' * (wanted > 1)}",
            )
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        bad = int(image.size - np.isfinite(image).sum())
        raise DataError(
            describe(
                "The image contains values that are not finite",
                where=where,
                found=f"{bad} NaN or infinite values",
                fix="Replace them before prediction.",
            )
        )
    return _fit(image, wanted, where)


def _fit(image: Image, wanted: int, where: str) -> Image:
    found = image.shape[-1]
    if found == wanted:
        return image
    if wanted == 3 and found in (1, 2):  # grey, or grey with alpha
        return np.broadcast_to(image[..., :1], (*image.shape[:-1], 3))
    if (wanted, found) in {(3, 4), (1, 2)}:
        return image[..., :wanted]
    if wanted == 1 and found in (3, 4):
        grey = image[..., :1]
        if (image[..., 1:3] == grey).all():
            return grey
        fix = "Convert the image to grey first, if the model was trained on grey images."
    else:
        fix = "Use images with the same channels, in the same order, as the training images."
    raise DataError(
        describe(
            "The image does not have the channels that the network expects",
            where=where,
            found=f"{found} channel{'s' * (found > 1)}",
            expected=f"{wanted} channel{'s' * (wanted > 1)}",
            fix=fix,
        )
    )
