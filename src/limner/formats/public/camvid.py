"""CamVid with 11 classes: driving scenes, ``train/`` beside ``trainannot/`` as in the SegNet tutorial.

The full release, with its 32 colours, is read as coloured masks.
"""

import re
from pathlib import Path

from limner.core.labels import LabelClass, LabelTable
from limner.formats.file_tree import FileTree
from limner.formats.pairs.known_layout import Known, KnownLayout

_FRAME = re.compile(r"(0001TP_\d{6}|0006R0_f\d{5}|0016E5_\d{5}|Seq05VD_f\d{5})")
_MASKS = "annot"
VOID = 11

# The order is that of the tutorial's masks; names and colours are those of CamVid's own list of 32 labels.
_CLASSES = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (0, 0, 192)),
    ("tree", (128, 128, 0)),
    ("sign", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
STREET = LabelTable(
    tuple(LabelClass(name, (value,), color) for value, (name, color) in enumerate(_CLASSES)), (VOID,)
)


class CamVid(KnownLayout):
    """``train/0001TP_006690.png`` and ``trainannot/0001TP_006690.png``: 0 to 10 are classes, 11 is void."""

    name = "camvid"
    title = "11 classes: train/0016E5_00390.png and trainannot/0016E5_00390.png, val/, test/"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise the layout by the names of the four drives and by its folders of masks."""
        masks = [p for f, paths in tree.images_in.items() if f.name.endswith(_MASKS) for p in paths]
        named = sum(_FRAME.fullmatch(path.stem) is not None for path in masks)
        if not masks or named < 0.9 * len(masks):
            return None
        return Known(
            f"CamVid, by names such as {masks[0].stem} in {masks[0].parent}/: 0 to 10 are its 11 classes "
            f"({STREET.names[0]} to {STREET.names[-1]}), and {VOID} is void, which is ignored",
            STREET,
        )
