"""Decoding of JPEGs at a part of their size, where images are resized to much less."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.planning.decisions import Case
from limner.transforms.reduced_size import OVERSAMPLING

LEAST_SHARE = 0.5
"""Minimum fraction of the training images that are JPEGs; others are always decoded at full size."""

LEAST_SHRINKAGE = 2 * OVERSAMPLING
"""Minimum shrinkage of the median image: less leaves nothing between a half and what resizing needs."""


def choose_decoding(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Decode JPEGs at a part of their size if that is still enough for every crop."""
    fingerprint, resize = case.fingerprint, settled["input.resize"]
    if resize is None or fingerprint.are_volumes or fingerprint.jpeg_share < LEAST_SHARE:
        return
    by_pixels = (settled["input.normalize_each"], settled["input.clip"], settled["augment.crop_area"])
    is_enlarged = settled["augment.scale_of"] == "fit" or settled["augment.scale"][1] > OVERSAMPLING
    if any(by_pixels) or is_enlarged:
        return
    pairs = zip(fingerprint.median, case.seen(settled).median, strict=True)
    shrinkage = min(old / new for old, new in pairs)
    if shrinkage >= LEAST_SHRINKAGE:
        reason = (
            f"resizing shrinks the median image {shrinkage:.1f} times; JPEGs are decoded at a part of their "
            f"size, at least {OVERSAMPLING} times that of the resized image, which takes less time and memory"
        )
        yield Decision("input.reduced_decoding", True, reason)
