"""Findings about splits: the same picture, exactly or almost, in two of them or twice in one."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.finding import Finding

MAX_HAMMING = 6
"""Bits of 64 in which the hashes of near duplicates differ at most."""

MIN_CORRELATION = 0.99
"""Near duplicates' thumbnails correlate at least so well."""

MIN_SPREAD = 4.0
"""Grey levels (of 255) by which a thumbnail must vary to be comparable: flat and dark pictures all look alike."""

MAX_COMPARED = 40_000
"""Beyond this many pictures only exact duplicates are searched; the comparison grows with the square."""

_BITS = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)
_CHUNK = 512


def split_findings(facts: DatasetFacts) -> list[Finding]:
    """Return which pictures stand in two splits or twice in one."""
    images = [image for image in facts.images if image.content_hash]
    groups: dict[str, list[ImageFacts]] = defaultdict(list)
    for image in images:
        groups[image.content_hash].append(image)
    same = [group for group in groups.values() if len(group) > 1]
    # One picture of each group stands for all, or each copy would be reported again.
    near = near_duplicates([group[0] for group in groups.values()])
    return [*_exact(same), *_near(near)]


def near_duplicates(images: Sequence[ImageFacts]) -> list[tuple[ImageFacts, ImageFacts]]:
    """Return the pairs that look almost the same: hashes close, and confirmed pixel by pixel.

    Pictures that are nearly flat are left out, for their hashes say nothing.
    """
    rich = [i for i in images if i.thumbnail is not None and float(i.thumbnail.std()) >= MIN_SPREAD]
    if not 2 <= len(rich) <= MAX_COMPARED:
        return []
    thumbnails = np.stack([_standardised(i.thumbnail) for i in rich if i.thumbnail is not None])
    pairs = []
    for a, b in _close(np.array([i.perceptual_hash for i in rich], np.uint64)):
        correlation = float(thumbnails[a] @ thumbnails[b])
        if correlation >= MIN_CORRELATION:
            pairs.append((rich[a], rich[b]))
    return pairs


def _standardised(thumbnail: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    flat = thumbnail.ravel().astype(np.float32)
    flat -= flat.mean()
    return np.asarray(flat / np.linalg.norm(flat), np.float32)


def _close(hashes: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Yield the index pairs a < b whose hashes differ in at most `MAX_HAMMING` bits."""
    for start in range(0, len(hashes), _CHUNK):
        block = hashes[start : start + _CHUNK, None] ^ hashes[None, start:]
        differing = _BITS[block.view(np.uint8)].reshape(*block.shape, 8).sum(-1)
        for a, b in np.argwhere(differing <= MAX_HAMMING):
            if a < b:
                yield start + int(a), start + int(b)


def _exact(groups: list[list[ImageFacts]]) -> Iterator[Finding]:
    across = [group for group in groups if len({image.split for image in group}) > 1]
    if across:
        yield make(
            "same-image-in-two-splits",
            _names(across[0]),
            f"{_pictures(len(across))} in more than one split, to the last pixel",
            expected="each picture in one split only, or scores look better than they are",
            mend="Remove the copies, or name the splits under `splits` in dataset.yaml.",
            files=[image.image_file for group in across for image in group],
        )
    within = [group for group in groups if len({image.split for image in group}) == 1]
    if within:
        yield make(
            "same-image-twice",
            _names(within[0]),
            f"{_pictures(len(within))} in more than one file, to the last pixel",
            mend="Remove the copies; check whether their masks agree.",
            files=[image.image_file for group in within for image in group],
        )


def _near(pairs: list[tuple[ImageFacts, ImageFacts]]) -> Iterator[Finding]:
    across = [pair for pair in pairs if pair[0].split != pair[1].split]
    if across:
        yield make(
            "near-duplicate-in-two-splits",
            _names(across[0]),
            f"{len(across)} {'pair' if len(across) == 1 else 'pairs'} of almost equal pictures in different splits",
            expected="pictures of one scene, patient or video in one split only",
            mend="Look at the pairs; if they show the same thing, name the splits in dataset.yaml so that "
            "they stay together.",
            files=[image.image_file for pair in across for image in pair],
        )
    within = [pair for pair in pairs if pair[0].split == pair[1].split]
    if within:
        yield make(
            "near-duplicate",
            _names(within[0]),
            f"{len(within)} {'pair' if len(within) == 1 else 'pairs'} of almost equal pictures",
            mend="Look at the pairs: frames of one video should stay in one split.",
            files=[image.image_file for pair in within for image in pair],
        )


def _names(images: Sequence[ImageFacts]) -> str:
    shown = " and ".join(image.image_file for image in images[:2])
    return shown if len(images) <= 2 else f"{shown} and {len(images) - 2} more"


def _pictures(count: int) -> str:
    return "1 picture stands" if count == 1 else f"{count} pictures stand"
