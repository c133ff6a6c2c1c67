"""Endoscopic polyps: Kvasir-SEG (JPEG masks) and CVC-ClinicDB (Original/ beside Ground Truth/)."""

import re
from pathlib import Path, PurePosixPath

from limner.core.labels import LabelClass, LabelTable, MaskEncoding, distinct_color
from limner.formats.file_tree import FileTree
from limner.formats.pairs.known_layout import Known, KnownLayout, images_below
from limner.images.file_names import is_jpeg_name

_KVASIR_NAME = re.compile(r"c[a-z0-9]{24}")

GREY_LEVELS = LabelTable(
    (LabelClass("background", (0,), distinct_color(0)), LabelClass("polyp", (255,), distinct_color(1)))
)
THRESHOLD = LabelTable(
    (LabelClass("background", (0,), distinct_color(0)), LabelClass("polyp", (1,), distinct_color(1))),
    encoding=MaskEncoding("threshold", 127),
)


class Polyps(KnownLayout):
    """Kvasir-SEG's ``images/`` and ``masks/``, or CVC-ClinicDB's ``Original/`` and ``Ground Truth/``."""

    name = "polyps"
    title = "Kvasir-SEG (images/, masks/, names such as cju0qkwl35piu0993l0dewei2) or CVC-ClinicDB"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise Kvasir-SEG by its names and CVC-ClinicDB by its folders and numbers."""
        return _kvasir(tree) or _clinic(tree)


def _kvasir(tree: FileTree) -> Known | None:
    masks = [p for f, paths in tree.images_in.items() if f.name.casefold() == "masks" for p in paths]
    if not masks:
        return None
    names = [path.stem for path in (*images_below(tree, "images"), *masks)]
    matching = sum(map(bool, map(_KVASIR_NAME.fullmatch, names)))
    if matching < 0.9 * len(names):
        return None
    labels, said = _labels(masks)
    return Known(f"Kvasir-SEG, by names such as {masks[0].stem}: {said}", labels)


def _clinic(tree: FileTree) -> Known | None:
    folders = tree.images_in
    places = sorted(
        {f.parent for f in folders if f.name == "Original" and f.parent / "Ground Truth" in folders}
    )
    if not places:
        return None
    # The download holds everything twice, as TIFF and as PNG.
    place = next((p for p in places if p.name.upper() == "PNG"), places[0])
    masks = list(tree.images_in[place / "Ground Truth"])
    if not all(path.stem.isdigit() for path in masks):
        return None
    labels, said = _labels(masks)
    return Known(
        f"CVC-ClinicDB, by Original/ beside Ground Truth/{_at(place)}: {said}",
        labels,
        images=str(place / "Original" / "{stem}.*"),
        masks=str(place / "Ground Truth" / "{stem}.*"),
    )


def _labels(masks: list[PurePosixPath]) -> tuple[LabelTable, str]:
    if any(is_jpeg_name(path.name) for path in masks):
        return THRESHOLD, "its JPEG masks show a polyp where they are brighter than 127"
    return GREY_LEVELS, "255 is a polyp"


def _at(place: PurePosixPath) -> str:
    return f" in {place}/" if place.parts else ""
