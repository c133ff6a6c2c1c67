"""Words in the names of folders and files for images, labels, splits and fields of view."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Role = Literal["image", "label", "other_label", "valid_region"]

_SPLITS = {
    "train": ("train", "training", "trn", "tr"),
    "val": ("val", "valid", "validation", "validate", "dev", "vl"),
    "test": ("test", "testing", "tst", "ts", "te"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}


def vocabulary(words: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(words.split())


_IMAGE_WORDS = vocabulary(
    """
    image images img imgs im ims imagery jpegimage jpegimages pngimages tiffimages input inputs original
    originals photo photos picture pictures pic pics rgb frame frames leftimg8bit raw scan scans slices
    tissueimages x
    """
)
_LABEL_WORDS = vocabulary(
    """
    mask masks label labels lbl lbls annotation annotations annot annots anno annos ann anns gt gts truth
    truths groundtruth groundtruths seg segs segmentation segmentations segmentationclass
    segmentationclasspng segmap segmaps segmask segmasks labelmap labelmaps gtfine gtcoarse target targets
    manual labelled labeled labelids labeltrainids binarymask y
    """
)
_REGION_WORDS = vocabulary("fov roi validregion")
# Further versions of the labels: objects, outlines, or pictures of them for people to look at.
_OTHER_WORDS = vocabulary(
    """
    color colors colour colours colored coloured overlay overlays visualization visualizations viz vis
    preview previews instance instances instanceids segmentationobject segmentationobjectpng
    segmentationclassvisualization segmentationclassnpy segmentationobjectnpy bbox boxes boundary
    boundaries edge edges contour contours
    """
)
_NOISE = vocabulary(
    "dir folder data dataset set all the of and files png jpg jpeg tif tiff gif npy stage split"
)
_ORDINALS = vocabulary("st nd rd th")


@dataclass(frozen=True)
class FolderName:
    """Meaning of one folder's name.

    Attributes:
        role: Role of the files inside, or None if the name has none.
        split: ``train``, ``val`` or ``test``, or None.
        words: The other words of the name.
        is_manual: Drawn by a person, as in ``1st_manual``: then a ``mask`` beside it is the field of view.
    """

    role: Role | None
    split: str | None
    words: tuple[str, ...]
    is_manual: bool = False


@lru_cache(maxsize=10_000)
def read_folder_name(name: str) -> FolderName:
    """Parse a folder's name: ``train_masks``, ``imagesTr``, ``trainannot``, ``1st_manual``, ...

    A name with unknown words gives no role or split, apart from a leading or trailing
    one: ``Kvasir-SEG`` is a dataset's name and not a label folder.
    """
    words = _words(without_number(name))
    roles = [role for word in words if (role := _role(word))]
    splits = [_SPLIT_OF[word] for word in words if word in _SPLIT_OF]
    own = tuple(w for w in words if not _role(w) and w not in _SPLIT_OF and w not in _NOISE)
    manual = "manual" in words
    if manual:
        ordinal = next((w for w in words if w.isdigit()), "1")
        return FolderName(
            "label" if ordinal == "1" else "other_label", splits[0] if splits else None, (), is_manual=True
        )
    if any(not w.isdigit() and w not in _ORDINALS for w in own):
        return FolderName(None, None, (without_number(name).casefold(),))
    # The more specific word wins: `image_masks` holds masks, `mask_overlays` pictures of them.
    order: tuple[Role, ...] = ("other_label", "valid_region", "label", "image")
    strongest = next((r for r in order if r in roles), None)
    return FolderName(strongest, splits[0] if len(set(splits)) == 1 else None, own)


def without_number(name: str) -> str:
    """Return a name without the number or letter of a list: ``Images`` for ``1. Images`` or ``b) Images``."""
    return re.sub(r"^(?:\d{1,2}|[A-Za-z])[.)]\s*(?=[^\W\d_])", "", name)


def split_of_folder(name: str) -> str | None:
    """Return the split in a folder's name, or None."""
    return read_folder_name(name).split


def _words(name: str) -> list[str]:
    """Split at punctuation, digits and CamelCase, then split glued pairs such as `trainannot`."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+", name)
    whole = re.sub(r"[\W_]+", "", name).casefold()
    if _is_known(whole):
        return [whole]
    words: list[str] = []
    for part in (p.casefold() for p in parts):
        words += _unglue(part)
    return words


def _unglue(word: str) -> list[str]:
    if _is_known(word) or word.isdigit():
        return [word]
    for cut in range(2, len(word) - 1):
        left, right = word[:cut], word[cut:]
        # One- and two-letter words are often part of others.
        if min(len(left), len(right)) > 2 and _is_known(left) and _is_known(right):
            return [left, right]
    return [word]


def _is_known(word: str) -> bool:
    return word in _SPLIT_OF or _role(word) is not None or word in _NOISE


def _role(word: str) -> Role | None:
    if word in _OTHER_WORDS:
        return "other_label"
    if word in _REGION_WORDS:
        return "valid_region"
    if word in _LABEL_WORDS:
        return "label"
    return "image" if word in _IMAGE_WORDS else None
