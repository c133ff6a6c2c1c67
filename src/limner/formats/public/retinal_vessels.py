"""Vessels in photographs of the retina: DRIVE, STARE and CHASE_DB1, by the first observer's drawing.

If masks of the camera's field of view exist (DRIVE includes them), pixels outside are ignored.
"""

import re
from pathlib import Path, PurePosixPath

from limner.core.errors import DataError, describe
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.formats.file_tree import FileTree
from limner.formats.pairs.known_layout import Known, KnownLayout

VESSELS = LabelTable(
    (LabelClass("background", (0,), distinct_color(0)), LabelClass("vessel", (255,), distinct_color(1)))
)
_DRIVE = re.compile(r"\d\d_manual1")
_DRIVE_FIELD = re.compile(r"\d\d_(training|test)_mask")
_CHASE = re.compile(r"Image_\d\d[LR]_1stHO", re.IGNORECASE)
_STARE = re.compile(r"im\d{4}\.ah", re.IGNORECASE)


class RetinalVessels(KnownLayout):
    """DRIVE (``1st_manual/``), STARE (``labels-ah/``) and CHASE_DB1 (``Image_01L_1stHO.png``)."""

    name = "retinal-vessels"
    title = "DRIVE (1st_manual/21_manual1.gif), STARE (labels-ah/), CHASE_DB1 (Image_01L_1stHO.png)"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise each dataset by the names of the first observer's masks.

        Raises:
            DataError: It is DRIVE without them; its fields of view would be trained on instead.
        """
        if first := _first(tree, _DRIVE):
            return Known(f"DRIVE, by {first}: 255 is a vessel", VESSELS)
        if field := _first(tree, _DRIVE_FIELD):
            raise _without_drawings(root / field)
        if first := _first(tree, _CHASE):
            return Known(
                f"CHASE_DB1, by {first}: the first observer's masks are used, 255 is a vessel",
                VESSELS,
                images="**/{stem}.jpg",
                masks="**/{stem}_1stHO.*",
            )
        has_images = "stare-images" in {folder.name for folder in tree.images_in}
        first = _first(tree, _STARE) if has_images else None
        if not first:
            return None
        return Known(
            f"STARE, by {first}: the masks of Adam Hoover (ah) are used, 255 is a vessel",
            VESSELS,
            images="**/stare-images/{stem}.*",
            masks="**/{stem}.ah.*",
        )


def _without_drawings(field: Path) -> DataError:
    return DataError(
        describe(
            "These are DRIVE's photographs without the drawings of their vessels",
            where=field,
            found="the camera's field of view alone, as the test set is handed out",
            expected=f"a folder 1st_manual/ with {field.stem[:2]}_manual1.gif",
            fix="Point at the training set, or at the folder that holds both.",
        )
    )


def _first(tree: FileTree, names: re.Pattern[str]) -> PurePosixPath | None:
    matches = zip(tree.images, map(names.fullmatch, tree.stems), strict=True)
    return next((path for path, match in matches if match), None)
