"""Which members of a tar archive are one image and its labels: those of one key, as WebDataset names them.

The key of ``a/0001.mask.png`` is ``a/0001``, and the rest of the name says what it is: ``mask.png``. A plain
suffix of an image (``jpg``) is the image; one after a word such as ``mask`` is a label map; ``cls`` is the
number of a class as text. Beside a JPEG, a plain ``png`` is the label map.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from limner.images.file_names import IMAGE_SUFFIXES, VOLUME_SUFFIXES

MASK_WORDS = (
    "mask",
    "masks",
    "seg",
    "segmentation",
    "semantic",
    "label",
    "labels",
    "labelmap",
    "gt",
    "target",
)
"""Words in the name of a label map, the most usual first."""

PICTURE_WORDS = ("overlays", "comparisons", "instances", "panoptic")
"""Words in the name of a picture that `limner predict --pack tar` writes, which is no image of its own."""

CLASS_KINDS = ("cls", "cls.txt")
"""What the number of a class is called."""

_SUFFIXES = {suffix[1:] for suffix in IMAGE_SUFFIXES - VOLUME_SUFFIXES}
_PLAIN_MASKS = ("png", "bmp", "tif", "tiff")


@dataclass
class TarSample:
    """The members of one key.

    Attributes:
        key: The key, without the marks of `key_of`.
        images: Members that are images, in the order of the archive.
        masks: Members that are label maps.
        classes: Members with the number of a class.
        others: Further members, such as texts and JSON.
    """

    key: str
    images: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def image(self) -> str | None:
        """The image, or None."""
        return self.images[0] if self.images else None

    @property
    def mask(self) -> str | None:
        """The label map, or None."""
        return self.masks[0] if self.masks else None


def tar_samples(members: Iterable[str]) -> list[TarSample]:
    """Return the members of each key, in the order of the archive."""
    samples: dict[str, TarSample] = {}
    for member in members:
        folder, slash, name = member.rpartition("/")
        stem, _, kind = name.partition(".")
        kind = kind.casefold()
        words = kind.split(".")
        if name.startswith(".") or not kind:
            continue
        word = words[-2] if len(words) > 1 else ""
        if words[-1] in _SUFFIXES and word and word not in (*MASK_WORDS, *PICTURE_WORDS):
            stem, kind = name[: -len(words[-1]) - 1], words[-1]  # a name with dots, such as ``photo.v2.jpg``
        written = f"{folder}{slash}{stem}"
        sample = samples.setdefault(written, TarSample(unquote(written) if "%2" in written else written))
        if kind in CLASS_KINDS:
            sample.classes.append(member)
        elif words[-1] not in _SUFFIXES or word in PICTURE_WORDS:
            sample.others.append(member)
        else:
            (sample.images if kind in _SUFFIXES else sample.masks).append(member)
    return [_sorted_out(sample) for sample in samples.values()]


def key_of(stem: str) -> str:
    """Return the key of an image's name, in which a dot would end it."""
    return stem.replace("%", "%25").replace(".", "%2E")


def _sorted_out(sample: TarSample) -> TarSample:
    """Take a plain PNG beside a JPEG as its label map."""
    plain = [name for name in sample.images if name.casefold().endswith(_PLAIN_MASKS)]
    if len(sample.images) == 2 and len(plain) == 1 and not sample.masks:
        sample.images.remove(plain[0])
        sample.masks.append(plain[0])
    return sample
