"""The error for a folder that no format recognises: what is in it, and what to do about it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.wording import first_few
from limner.formats.file_tree import FileTree
from limner.formats.pairs.paired_folders import explain_no_pairs
from limner.formats.several_datasets import datasets_below
from limner.formats.source import Source
from limner.formats.unread_images import UNREAD
from limner.storage.json_files import MAX_SNIFFED, ends

_NAMED = 3
"""Number of files that a message names."""


class _Kind(NamedTuple):
    """Files other than images: their kind, suffixes, and what can be done with them."""

    what: str
    suffixes: tuple[str, ...]
    expected: str
    fix: str


_KINDS = (
    _Kind(
        "model weights",
        (".pth", ".pt", ".ckpt", ".safetensors", ".onnx"),
        "a folder of images with labels; weights are not a dataset",
        "Name the folder of images. `limner import FILE --out MODEL` checks whether weights can be used.",
    ),
    _Kind(
        "NIfTI volumes",
        (".nii", ".nii.gz"),
        "a folder of volumes with labels",
        "Put the volumes into images/ and their labels into labels/, with the same names, and name the "
        "folder that holds both.",
    ),
    _Kind(
        "DICOM files",
        (".dcm",),
        "a folder for each series, and its labels",
        "Put each series into a folder of its own, such as images/CASE/, and its labels into "
        "labels/CASE.nii.gz (or as DICOM SEG into labels/CASE/).",
    ),
)

_NOT_MASKS = {
    ".json": "JSON files (in no layout that limner reads)",
    ".xml": "XML files (neither VOC's boxes nor CVAT's images)",
    ".csv": "CSV files (tables of neither classes, boxes nor run lengths)",
    ".ppm.gz": "images packed with gzip (unpack them first: gunzip *.gz)",
    ".zip": "ZIP archives (unpack them first)",
    **{suffix: f"{suffix} files ({kind}, not read)" for suffix, kind in UNREAD.items()},
    **{suffix: f"{kind.what} (these are not read as data)" for kind in _KINDS for suffix in kind.suffixes},
}

_OTHER_EXPORTS: tuple[tuple[str, tuple[bytes, ...], str], ...] = (
    (
        ".json",
        (b'"annotation_id"', b'"original_width"'),
        "Label Studio's JSON-MIN (export `JSON` instead)",
    ),
    (".json", (b'"vid_list"', b'"metadata"'), "a project of VIA 3 (export COCO, or use VIA 2)"),
    (".json", (b'"data_row"', b'"projects"'), "Labelbox (convert it to COCO with its SDK)"),
    (".ndjson", (b'"data_row"',), "Labelbox (convert it to COCO with its SDK)"),
    (".json", (b'"annotations"', b'"bounding_box"', b'"item"'), "V7 Darwin (export COCO instead)"),
    (".json", (b'"instances"', b'"className"'), "SuperAnnotate (export COCO instead)"),
    (".json", (b'"labels"', b'"poly2d"'), "BDD100K or Scalabel (convert it to COCO with scalabel)"),
    (".xml", (b"<annotation>", b"<polygon>", b"<pt>"), "LabelMe 3.0 of MIT (convert it to COCO)"),
    (".manifest", (b'"source-ref"',), "SageMaker Ground Truth (convert its masks to PNG of the image names)"),
)
"""Suffix, strings at the ends of the file, and the kind of export that they mean with what to do."""


def unknown_layout(
    root: Path, tree: FileTree, settings: DatasetFile, formats: Sequence[type[Source]]
) -> DataError:
    """Return the error for a folder that none of `formats` recognises."""
    if not tree.images:
        for kind in _KINDS:
            if files := [file for file in tree.others if _suffix(file) in kind.suffixes]:
                return _other_kind(root, kind, files)
    if below := datasets_below(root, tree, formats):
        return DataError(
            describe(
                "The folder contains datasets but is not one itself",
                where=root,
                found=below,
                expected="one dataset",
                fix=f"Name one of them, such as {root / below.partition('/')[0]}.",
            )
        )
    return DataError(
        describe(
            "No images with masks were found",
            where=root,
            found=explain_no_pairs(root, tree, settings) or _contents(root, tree),
            expected=_expected(formats),
            fix="Say which files belong together in a dataset.yaml beside them, such as "
            "`images: photos/*.jpg` and `masks: drawn/{stem}.png`; or `format: class-folders` if folders are "
            "the classes of whole images.",
        )
    )


def _expected(formats: Sequence[type[Source]]) -> str:
    """Describe the only format that was tried, or the most common layout and the names of all formats."""
    if len(formats) == 1:
        return f"the layout of {formats[0].name}: {formats[0].title}"
    return (
        "images/ and masks/ with files of the same names; or another format, see the documentation: "
        f"{', '.join(source.name for source in formats)}"
    )


def other_file(path: Path) -> DataError | None:
    """Return the error for a file of weights or a volume in place of a folder; None for other files."""
    for kind in _KINDS:
        if path.is_file() and _suffix(PurePosixPath(path.name)) in kind.suffixes:
            return DataError(
                describe(
                    f"The file holds {kind.what}; it is not a folder of images",
                    where=path,
                    expected=kind.expected,
                    fix=kind.fix,
                )
            )
    return None


def _other_kind(root: Path, kind: _Kind, files: Sequence[PurePosixPath]) -> DataError:
    folders = Counter(str(file.parent) for file in files)
    where = "" if folders.keys() == {"."} else f" in {first_few((f'{one}/' for one in folders), _NAMED)}"
    names = first_few((file.name for file in sorted(files)), _NAMED)
    return DataError(
        describe(
            f"The folder holds {kind.what} and no images",
            where=root,
            found=f"{len(files)} file{'' if len(files) == 1 else 's'}{where}: {names}",
            expected=kind.expected,
            fix=kind.fix,
        )
    )


def _suffix(file: PurePosixPath) -> str:
    """Return the suffix as people read it: .nii.gz as a whole, and the last one of net.v2.pth."""
    both = "".join(file.suffixes[-2:]).casefold()
    return both if both.endswith(".gz") else file.suffix.casefold()


def _contents(root: Path, tree: FileTree) -> str:
    counts = Counter(file.parent for file in tree.images)
    some = ", ".join(f"{count} in {folder}" for folder, count in counts.most_common(6))
    found = f"{len(tree.images)} image files ({some})" if counts else "no image files"
    kinds = Counter(map(_suffix, tree.others))
    hints = [f"{kinds[suffix]} {name}" for suffix, name in _NOT_MASKS.items() if kinds[suffix]]
    hints += [*_texts_of_images(tree), *_other_exports(root, tree)]
    hints += [f"the folder {folder}/, named like an image file" for folder in tree.image_named_folders[:3]]
    return found + (f"; and {', '.join(hints)}" if hints else "")


def _texts_of_images(tree: FileTree) -> list[str]:
    """Name the text files that seem to be labels, in a form that no format reads."""
    stems = {*tree.stems}
    found = [path for path in tree.others if path.suffix.lower() == ".txt" and path.stem in stems]
    if not found:
        return []
    return [f"{len(found)} text files named after images, such as {found[0]} (not of YOLO, DOTA or ICDAR)"]


def _other_exports(root: Path, tree: FileTree) -> list[str]:
    """Name a tool's export that limner does not read, if it reads another one of that tool."""
    found = []
    for suffix, marks, said in _OTHER_EXPORTS:
        files = [path for path in tree.others if path.suffix.lower() == suffix][:MAX_SNIFFED]
        path = next((p for p in files if all(mark in ends(root / p) for mark in marks)), None)
        found += [f"{path}, {said}"] if path else []
    return found
