"""Findings from pairing images with masks."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from limner.core.finding import MOST_FILES, Finding, Severity
from limner.formats.file_tree import FileTree, folder_of
from limner.formats.format_codes import format_finding
from limner.formats.pairs.pairing import Item, Pairing
from limner.images.file_names import image_suffix


def pairing_findings(images: Sequence[Item], pairing: Pairing, others: Sequence[Item]) -> list[Finding]:
    """Return findings on missing, doubtful or unused files; `others` are labels that were not paired."""
    without = [i for i in images if i not in pairing.label_of and i not in pairing.ambiguous]
    return [
        *_without_mask(without, labelled_splits={image.split for image in pairing.label_of}),
        *_without_image(pairing.unpaired),
        *_ambiguous(pairing.ambiguous),
        *_passed_over(pairing.passed_over),
        *_unused(others),
        *_shared(pairing.label_of),
    ]


def tree_findings(tree: FileTree) -> list[Finding]:
    """Return findings on what was skipped while the files were listed."""
    rows = (
        ("folder-named-like-image", tree.image_named_folders, "a folder named like an image file", "Rename"),
        ("folder-linked-twice", tree.linked_again, "a link to a folder that is listed already", "Remove"),
        ("name-garbled", tree.garbled, "a name in another encoding than UTF-8", "Rename"),
        (
            "folder-unreadable",
            tree.unreadable,
            "a folder that cannot be listed for lack of permission",
            "Give read permission to",
        ),
    )
    return [
        _finding(
            code,
            paths,
            what if len(paths) == 1 else f"{len(paths)} times {what}",
            fix=f"{verb} {'it' if len(paths) == 1 else 'them'}.",
        )
        for code, paths, what, verb in rows
        if paths
    ]


def folders_of(items: Iterable[Item]) -> str:
    """Return the folders of the files, the fullest first."""
    counts = Counter(folder_of(item.path) for item in items)
    names = ["the dataset folder" if not f else f"{f}/" for f, _ in counts.most_common(4)]
    return ", ".join(names) + (f" and {len(counts) - 4} more folders" if len(counts) > 4 else "")


def _without_mask(items: list[Item], *, labelled_splits: Collection[str | None]) -> list[Finding]:
    # Challenges publish test sets without masks; a missing mask among labelled images is a mistake.
    unlabelled = [item for item in items if item.split and item.split not in labelled_splits]
    gaps = [item for item in items if not item.split or item.split in labelled_splits]
    findings = []
    if unlabelled:
        splits = " and ".join(sorted({item.split or "" for item in unlabelled}))
        found = f"None of the {len(unlabelled)} images of {splits} has a mask: left out."
        severity = Severity.WARNING if "train" in splits else None
        findings.append(_finding("split-unlabelled", _paths(unlabelled), found, severity=severity))
    if gaps:
        findings.append(
            _finding(
                "image-without-mask",
                _paths(gaps),
                f"{_files(len(gaps), 'image')} without a mask: left out of training and scoring.",
                expected="one mask for each image, with the same name",
                fix="Add the masks, or take the images out.",
            )
        )
    return findings


def _without_image(items: Sequence[Item]) -> list[Finding]:
    if not items:
        return []
    return [
        _finding(
            "mask-without-image",
            _paths(items),
            f"{_files(len(items), 'mask')} without an image: not used.",
            expected="one image for each mask, with the same name",
            fix="Add or rename the images, or remove the masks.",
        )
    ]


def _ambiguous(ambiguous: Mapping[Item, tuple[Item, ...]]) -> list[Finding]:
    if not ambiguous:
        return []
    image, labels = next(iter(ambiguous.items()))
    some = " or ".join(str(label.path) for label in labels[:4])
    return [
        _finding(
            "ambiguous-pairing",
            _paths(ambiguous),
            f"{_files(len(ambiguous), 'image')} with several masks: left out. {image.path} has {some}.",
            expected="one mask for each image",
            fix="Unite the masks of an image into one file, or say which to take in dataset.yaml, such as "
            "`masks: masks/{stem}_mask.png`.",
        )
    ]


def _passed_over(items: Sequence[Item]) -> list[Finding]:
    if not items:
        return []
    return [
        _finding(
            "several-label-sets",
            _paths(items),
            f"{_files(len(items), 'file')} in {folders_of(items)} could be masks too; they are not used.",
            expected="one set of masks",
            fix=_take_these(items[0]),
        )
    ]


def _unused(items: Sequence[Item]) -> list[Finding]:
    if not items:
        return []
    return [
        _finding(
            "other-labels-not-used",
            _paths(items),
            f"{_files(len(items), 'label file')} in {folders_of(items)} not used: a second observer, "
            "instances, or pictures of the labels, by the names.",
            fix=_take_these(items[0]),
        )
    ]


def _shared(label_of: Mapping[Item, Item]) -> list[Finding]:
    images_of: dict[Item, list[Item]] = defaultdict(list)
    for image, label in label_of.items():
        images_of[label].append(image)
    shared = {label: images for label, images in images_of.items() if len(images) > 1}
    if not shared:
        return []
    label, images = next(iter(shared.items()))
    users = " and ".join(str(image.path) for image in images[:3])
    return [
        _finding(
            "mask-shared-by-images",
            _paths(shared),
            f"{_files(len(shared), 'mask')} serving several images; {label.path} serves {users}.",
            expected="one image for each mask",
            fix="Remove the copy of the image, or rename one of them.",
        )
    ]


def _finding(
    code: str,
    paths: Sequence[PurePosixPath],
    found: str,
    *,
    expected: str = "",
    fix: str = "",
    severity: Severity | None = None,
) -> Finding:
    files = [path.as_posix() for path in paths[:MOST_FILES]]
    return format_finding(
        code,
        files[0],
        found,
        expected=expected,
        fix=fix,
        files=files,
        count=len(paths),
        severity=severity,
    )


def _paths(items: Iterable[Item]) -> list[PurePosixPath]:
    return [item.path for item in items]


def _files(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _take_these(item: Item) -> str:
    """Return the fix that makes a file and similar ones the labels: its folders, any split, any name."""
    folders = [*item.path.parts[:-1]]
    if item.split and len(folders) > 1:
        folders[0] = "*"
    pattern = "/".join([*folders, "{stem}" + image_suffix(item.path.name)])
    return f"If they are the masks to learn from, write `masks: {pattern}` into dataset.yaml."
