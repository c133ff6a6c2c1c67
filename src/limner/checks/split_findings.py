"""Findings about splits: identical or nearly identical pictures in two splits, or twice in one."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.finding import Finding
from limner.formats.name_groups import series_in

MAX_HAMMING = 6
"""Maximum number of the 64 bits in which the hashes of near duplicates differ."""

MIN_CORRELATION = 0.93
"""Minimum correlation of the details of near duplicates.

Measured on retinas, polyps and nuclei: recompressed, resized and brightened copies reach 0.95 and
most copies cut by 1 % reach 0.93, while different pictures stay below 0.86."""

MIN_FOR_MEAN = 10
"""Minimum number of pictures for a mean that shows what all of them share."""

MIN_CORRELATION_OF_FEW = 0.97
"""Minimum correlation if the mean of all pictures could not be subtracted."""

MIN_SPREAD = 4.0
"""Minimum standard deviation of a thumbnail (of 255) to be compared, since dark pictures all look alike."""

MAX_COMPARED = 40_000
"""Maximum number of pictures to compare, as the cost is quadratic; beyond it only exact copies are found."""

_BITS = np.array([bin(byte).count("1") for byte in range(65536)], np.uint8)
_CHUNK = 512

_KEEP = "keep them together with `limner split DATA --group` and an expression for their names"
_MOVE = "move them into one split: change the lists or folders that give the splits"


def split_findings(facts: DatasetFacts, *, drawn: bool = False) -> list[Finding]:
    """Return findings on pictures in two splits, or twice in one.

    Args:
        facts: The facts, with the splits.
        drawn: Whether limner drew the splits.
    """
    # Unlabelled copies are not used.
    images = [image for image in facts.images if image.content_hash and image.is_labelled]
    groups: dict[str, list[ImageFacts]] = defaultdict(list)
    for image in images:
        groups[image.content_hash].append(image)
    same = [group for group in groups.values() if len(group) > 1 and not _are_blank_slices(group)]
    # One picture represents each group, or each copy would be reported again.
    near = near_duplicates([group[0] for group in groups.values()])
    return [*_exact(same, drawn), *_near(near, drawn)]


def near_duplicates(images: Sequence[ImageFacts]) -> list[tuple[ImageFacts, ImageFacts]]:
    """Return the pairs that look nearly the same: similar hashes, confirmed pixel by pixel.

    Nearly flat pictures are left out, since their hashes are meaningless.
    """
    rich = [i for i in images if i.thumbnail is not None and not _is_flat(i)]
    if not 2 <= len(rich) <= MAX_COMPARED:
        return []
    details = _details(np.stack([i.thumbnail for i in rich if i.thumbnail is not None]))
    bar = MIN_CORRELATION if len(rich) >= MIN_FOR_MEAN else MIN_CORRELATION_OF_FEW
    close = _close(np.array([i.perceptual_hash for i in rich], np.uint64))
    return [(rich[a], rich[b]) for a, b in close if float(details[a] @ details[b]) >= bar]


def _details(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the individual details of each picture, (N, pixels) of length 1.

    Coarse shading and the mean of all pictures (such as the bright disc of a retina) are taken
    out: they make different pictures of one kind look alike.
    """
    pixels = thumbnails.astype(np.float32)
    pixels -= pixels.mean((1, 2), keepdims=True)
    pixels /= pixels.std((1, 2), keepdims=True)
    sigma = thumbnails.shape[1] / 16
    fine = np.stack([picture - cv2.GaussianBlur(picture, (0, 0), sigma) for picture in pixels])
    if len(fine) >= MIN_FOR_MEAN:
        fine -= fine.mean(0)
    flat = fine.reshape(len(fine), -1)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), np.float32)


def _close(hashes: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Yield the index pairs a < b whose hashes differ in at most `MAX_HAMMING` bits."""
    for start in range(0, len(hashes), _CHUNK):
        block = hashes[start : start + _CHUNK, None] ^ hashes[None, start:]
        differing = _count_bits(block)
        for a, b in np.argwhere(differing <= MAX_HAMMING):
            if a < b:
                yield start + int(a), start + int(b)


def _count_bits(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    if hasattr(np, "bitwise_count"):  # numpy 2, several times faster
        return np.asarray(np.bitwise_count(words), np.uint8)
    return np.asarray(_BITS[words.view(np.uint16)].reshape(*words.shape, 4).sum(-1), np.uint8)


def _exact(groups: list[list[ImageFacts]], drawn: bool) -> Iterator[Finding]:
    across = [group for group in groups if len({image.split for image in group}) > 1]
    if across:
        yield make(
            "same-image-in-two-splits",
            _names(across[0]),
            f"{_pictures(len(across))} in more than one split, identical to the last pixel",
            expected="each picture in one split only, or scores look better than they are",
            fix=f"Remove the copies, or {_KEEP if drawn else _MOVE}.",
            files=[image.image_file for group in across for image in group],
        )
    within = [group for group in groups if len({image.split for image in group}) == 1]
    if within:
        yield make(
            "same-image-twice",
            _names(within[0]),
            f"{_pictures(len(within))} in more than one file, identical to the last pixel",
            fix="Remove the copies; check whether their labels agree.",
            files=[image.image_file for group in within for image in group],
        )


def _near(pairs: list[tuple[ImageFacts, ImageFacts]], drawn: bool) -> Iterator[Finding]:
    across = [pair for pair in pairs if pair[0].split != pair[1].split]
    if across:
        yield make(
            "near-duplicate-in-two-splits",
            _names(across[0]),
            f"{_pairs(len(across))} of nearly identical pictures in different splits",
            expected="pictures of one scene, patient or video in one split only",
            fix=f"Look at the pairs; if they show the same thing, {_KEEP if drawn else _MOVE}.",
            files=[image.image_file for pair in across for image in pair],
        )
    within = [pair for pair in pairs if pair[0].split == pair[1].split and not _is_series(pair)]
    if within:
        yield make(
            "near-duplicate",
            _names(within[0]),
            f"{_pairs(len(within))} of nearly identical pictures",
            fix="Look at the pairs: frames of one video should stay in one split.",
            files=[image.image_file for pair in within for image in pair],
        )


def _are_blank_slices(images: Sequence[ImageFacts]) -> bool:
    """Tell whether images show nothing and are slices of volumes, by their names, as beyond the body."""
    return _is_flat(images[0]) and all(series_in(image.image_file) for image in images)


def _is_flat(image: ImageFacts) -> bool:
    return image.thumbnail is not None and float(image.thumbnail.std()) < MIN_SPREAD


def _is_series(images: Sequence[ImageFacts]) -> bool:
    """Tell whether images are slices of one volume or frames of one video, by their names."""
    series = {series_in(image.image_file) for image in images}
    return len(series) == 1 and None not in series


def _names(images: Sequence[ImageFacts]) -> str:
    shown = " and ".join(image.image_file for image in images[:2])
    return shown if len(images) <= 2 else f"{shown} and {len(images) - 2} more"


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count} pairs"
