"""Two folders (or one) of images and masks that are paired by name: the layout most people have."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding, Severity
from limner.core.labels import ValueMap
from limner.core.sample import Image, Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_roles import Roles, assign_roles
from limner.formats.images import read_image
from limner.formats.masks import read_values
from limner.formats.pairing import Item, Pairing, pair
from limner.formats.patterns import roles_by_pattern
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists

MOST_NAMED = 20
"""A finding names at most so many files."""


class PairedFolders(Source):
    """Images and index masks paired by name, whatever the folders and affixes are called."""

    name = "paired-folders"
    title = "a folder of images and a folder of masks (or one folder of both), paired by name"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        layout = _Layout.read(list_files(root), settings)
        return layout.evidence if layout.pairing.num_paired else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image."""
        tree = list_files(self.root)
        layout = _Layout.read(tree, self.settings)
        records = layout.records(self.root)
        records, split_findings = apply_split_lists(records, self.root, tree, self.settings)
        return records, (*layout.findings(), *_tree_findings(tree), *split_findings)

    def read_image(self, record: Record) -> Image:
        """Read the image upright, alpha dropped."""
        return read_image(record.image)

    def read_values(self, record: Record) -> ValueMap:
        """Read the mask by the encoding that `dataset.yaml` says."""
        if not record.labels:
            raise DataError(describe("The image has no mask", where=record.image))
        return read_values(record.labels[0], self.settings.encoding)


@dataclass(frozen=True)
class _Layout:
    """What was read out of the names."""

    roles: Roles
    pairing: Pairing
    chosen: dict[Item, Item]
    regions: dict[Item, Item]
    ambiguous: dict[Item, tuple[Item, ...]]
    folder: str

    @classmethod
    def read(cls, tree: FileTree, settings: DatasetFile) -> "_Layout":
        roles = assign_roles(tree.images)
        if settings.images or settings.masks or settings.valid_region:
            roles = roles_by_pattern(tree.images, settings, roles)
        pairing = pair(roles.images, roles.labels)
        regions = pair(roles.images, roles.valid_regions)
        # Where two folders could both be the labels, the one that serves more images is taken.
        votes = Counter(label.folder for labels in pairing.labels_of.values() for label in labels)
        folder = max(votes, key=lambda f: (votes[f], f)) if votes else ""
        chosen, ambiguous = {}, {}
        for image, labels in pairing.labels_of.items():
            best = [label for label in labels if label.folder == folder] or list(labels)
            if len(best) == 1:
                chosen[image] = best[0]
            elif best:
                ambiguous[image] = tuple(best)
        return cls(
            roles,
            pairing,
            chosen,
            {image: found[0] for image, found in regions.labels_of.items() if found},
            ambiguous,
            folder,
        )

    @property
    def evidence(self) -> str:
        images = _folders_of(self.chosen)
        labels = _folders_of(self.chosen.values())
        sentence = (
            f"{len(self.chosen)} of {len(self.pairing.labels_of)} images in {images} have a mask in {labels}, "
            f"paired {self.pairing.way}"
        )
        if self.regions:
            sentence += f"; {_folders_of(self.regions.values())} taken as the field of view"
        return sentence

    def records(self, root: Path) -> tuple[Record, ...]:
        names = _unique_names(list(self.pairing.labels_of))
        records = []
        for image, name in names.items():
            label, region = self.chosen.get(image), self.regions.get(image)
            split = image.split or (label.split if label else None)
            records.append(
                Record(
                    name,
                    root / image.path,
                    (root / label.path,) if label else (),
                    split,
                    root / region.path if region else None,
                )
            )
        return tuple(sorted(records, key=lambda r: r.name))

    def findings(self) -> list[Finding]:
        used = set(self.chosen.values())
        others = [*self.roles.other_labels]
        for labels in self.pairing.labels_of.values():
            others += [label for label in labels if label not in used and label.folder != self.folder]
        without = [i for i in self.pairing.labels_of if i not in self.chosen and i not in self.ambiguous]
        findings = []
        if self.chosen:
            findings.append(
                Finding("layout", Severity.NOTE, _folders_of(self.chosen), f"{self.evidence}.", count=1)
            )
        if without and self.chosen:
            findings.append(_image_without_mask(without))
        if self.pairing.unpaired:
            findings.append(_mask_without_image(list(self.pairing.unpaired)))
        if self.ambiguous:
            findings.append(_ambiguous(self.ambiguous))
        if others:
            findings.append(_unused(others))
        return [*findings, *_shared(self.chosen)]


def _image_without_mask(items: list[Item]) -> Finding:
    return Finding(
        "image-without-mask",
        Severity.WARNING,
        str(items[0].path),
        f"{len(items)} images have no mask; they are left out of training and scoring.",
        "one mask for each image, with the same name",
        "Add the masks, or take the images out if they were meant to have one.",
        files=_names(items),
        count=len(items),
    )


def _mask_without_image(items: list[Item]) -> Finding:
    return Finding(
        "mask-without-image",
        Severity.WARNING,
        str(items[0].path),
        f"{len(items)} masks have no image; they are not used.",
        "one image for each mask, with the same name",
        "Add or rename the images, or remove the masks.",
        files=_names(items),
        count=len(items),
    )


def _ambiguous(ambiguous: dict[Item, tuple[Item, ...]]) -> Finding:
    image, labels = next(iter(ambiguous.items()))
    some = ", ".join(str(label.path) for label in labels[:4])
    return Finding(
        "ambiguous-pairing",
        Severity.WARNING,
        str(image.path),
        f"{len(ambiguous)} images could belong to several masks and are left out; {image.path} to {some}.",
        "one mask for each image",
        "Keep one, or say which in dataset.yaml, such as `masks: masks/{stem}.png`.",
        files=_names(ambiguous),
        count=len(ambiguous),
    )


def _unused(items: list[Item]) -> Finding:
    folders = _folders_of(items)
    return Finding(
        "other-labels-not-used",
        Severity.NOTE,
        folders,
        f"{len(items)} more label files in {folders} were not taken as labels.",
        "",
        "If they are the labels, say so in dataset.yaml, such as `masks: FOLDER/{stem}.png`.",
        files=_names(items),
        count=len(items),
    )


def _shared(chosen: dict[Item, Item]) -> list[Finding]:
    images_of: dict[Item, list[Item]] = defaultdict(list)
    for image, label in chosen.items():
        images_of[label].append(image)
    shared = {label: images for label, images in images_of.items() if len(images) > 1}
    if not shared:
        return []
    label, images = next(iter(shared.items()))
    return [
        Finding(
            "mask-shared-by-images",
            Severity.WARNING,
            str(label.path),
            f"{len(shared)} masks serve several images each; {label.path} serves "
            f"{' and '.join(str(i.path) for i in images[:3])}.",
            "one image for each mask",
            "Remove the copy of the image, or rename one of them.",
            files=_names(shared),
            count=len(shared),
        )
    ]


def _tree_findings(tree: FileTree) -> list[Finding]:
    rows = (
        ("folder-named-like-image", tree.image_named_folders, "folders are named like image files", "Rename"),
        ("folder-linked-twice", tree.linked_again, "links lead to a folder that is listed already", "Remove"),
        ("folder-unreadable", tree.unreadable, "folders may not be listed", "Give read permission to"),
    )
    return [
        Finding(
            code,
            Severity.WARNING,
            str(paths[0]),
            f"{len(paths)} {what}; they were passed over.",
            "",
            f"{verb} them.",
            files=tuple(str(p) for p in paths[:MOST_NAMED]),
            count=len(paths),
        )
        for code, paths, what, verb in rows
        if paths
    ]


def _names(items: "list[Item] | dict[Item, tuple[Item, ...]] | dict[Item, list[Item]]") -> tuple[str, ...]:
    return tuple(str(item.path) for item in list(items)[:MOST_NAMED])


def _folders_of(items: object) -> str:
    counts = Counter(_folder(item.path) for item in items)  # type: ignore[attr-defined]
    names = [name for name, _ in counts.most_common(4)]
    return ", ".join(names) + (f" and {len(counts) - 4} more folders" if len(counts) > 4 else "")


def _folder(path: PurePosixPath) -> str:
    return f"{path.parent}/" if path.parent != PurePosixPath() else "the folder itself"


def _unique_names(images: list[Item]) -> dict[Item, str]:
    """Name each image by site and stem; where that is not unique, by its whole path."""
    short = {image: "/".join((*image.site, image.stem)) for image in images}
    if len(set(short.values())) < len(short):
        short = {image: image.path.with_suffix("").as_posix() for image in images}
    if len(set(short.values())) < len(short):
        short = {image: image.path.as_posix() for image in images}
    return short
