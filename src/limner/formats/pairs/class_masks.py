"""One mask for each class: in a folder a class, named after image and class, or in a folder an image.

``masks/disc/7.png``, ``masks/7_disc.png`` (or ``disc_7.png``) or ``masks/7/disc.png`` for ``images/7.jpg``.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelClass, LabelTable, ValueMap, alphabetical, distinct_color
from limner.core.sample import Record, size_text
from limner.core.segments import Mask, Segments
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import FolderName, read_folder_name, without_number
from limner.formats.format_codes import format_finding
from limner.formats.named_classes import BACKGROUND_NAMES, with_values
from limner.formats.pairs.affixes import bare_label_name
from limner.formats.pairs.folder_looks import MAX_FOLDERS, looks_like
from limner.formats.pairs.folder_roles import roles_of_tree
from limner.formats.pairs.instance_masks import groups_of_masks
from limner.formats.pairs.pairing import Item, pair
from limner.formats.pairs.pairing_findings import tree_findings
from limner.formats.problems import Problems
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.images.file_names import image_stem, without_suffix
from limner.images.masks import read_values
from limner.images.read_image import image_header

MAX_CLASSES = 60
"""More kinds of mask than this are objects or images rather than classes."""

WHITE = 127
"""In masks up to 255, greater values are the class; also in masks that compression changed."""

_NOT_CLASSES = re.compile(
    r"\d+|(?:fold|part|batch|set|version|v|run|sample|case|patient|img|image)s?[_\-. ]*\d*"
    r"|.*(?:observer|rater|annotator|expert|reader|grader|doctor|physician|labell?er|student|round).*",
    re.IGNORECASE,
)
"""Names of folders of masks that tell who drew them, or which images they are of."""

_OBJECT = re.compile(
    r"(?:.*[_\-. ])?(?:mask|inst|instance|obj|object|cell|nucleus)?[_\-. ]?\d+", re.IGNORECASE
)

MasksOf = dict[PurePosixPath, dict[str, PurePosixPath]]
"""Image -> class -> its mask."""


class ClassMasks(Source):
    """Masks of one class each; a pixel in no mask is background, and in several that of the smaller area."""

    name = "class-masks"
    title = (
        "one mask for each class: masks/CLASS/7.png, masks/7_CLASS.png or masks/7/CLASS.png for images/7.jpg"
    )

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        # Filled by `index`: the classes with their values from 1 on, and mask file -> class.
        self._classes: tuple[LabelClass, ...] = ()
        self._class_of: dict[Path, str] = {}
        super().__init__(root, settings)

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; looks into a few masks."""
        if settings.images or settings.masks:
            return None
        found = _masks_of(root, list_files(root))
        return f"{len(found)} images with a mask for each of {', '.join(_names(found))}" if found else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image."""
        tree = list_files(self.root)
        masks_of = _masks_of(self.root, tree)
        names = _names(masks_of)
        self._classes = tuple(
            LabelClass(name, (value,), distinct_color(value))
            for value, name in enumerate([n for n in names if n.casefold() not in BACKGROUND_NAMES], start=1)
        )
        self.settings = with_values(self.settings, self._classes, where=self.root, background=0)
        self._class_of = {
            self.root / mask: name for masks in masks_of.values() for name, mask in masks.items()
        }
        items = {item.path: item for item in roles_of_tree(tree).everything()}
        masks = {mask for masks in masks_of.values() for mask in masks.values()}
        images = [p for p in tree.images if p not in masks and (p in masks_of or _role(p) == "image")]
        records = tuple(
            Record(
                without_suffix(image).as_posix(),
                self.root / image,
                tuple(self.root / mask for mask in masks_of.get(image, {}).values()),
                items[image].split,
            )
            for image in sorted(images)
        )
        records, more = apply_split_lists(records, self.root, self.settings, lists_beside(tree, records))
        return records, (*self._findings(masks_of, images, names), *tree_findings(tree), *more)

    def _findings(
        self, masks_of: MasksOf, images: Sequence[PurePosixPath], names: Sequence[str]
    ) -> Iterator[Finding]:
        example = next((mask for masks in masks_of.values() for mask in masks.values()), PurePosixPath())
        said = f"A mask for each of {len(names)} classes, such as {example}: {', '.join(names)}."
        yield format_finding("layout", str(example.parent), said)
        partly = sorted(str(image) for image, masks in masks_of.items() if len(masks) < len(names))
        if partly:
            yield _finding(
                "class-mask-missing",
                partly,
                f"{len(partly)} of {len(masks_of)} images have no mask of some classes, such as "
                f"{partly[0]}: taken for images without these classes",
                "a mask of each class, black if the class is not in the image",
                "No action needed if the masks are missing because the images show nothing of these classes.",
            )
        homes = {mask.parent for masks in masks_of.values() for mask in masks.values()}
        known = {*images, *(mask for masks in masks_of.values() for mask in masks.values())}
        orphans = [
            str(path) for path in list_files(self.root).images if path.parent in homes and path not in known
        ]
        if orphans:
            found = f"{len(orphans)} masks without an image: not used."
            yield _finding("mask-without-image", orphans, found, "an image of its name", "Add the images.")
        without = [str(image) for image in images if image not in masks_of]
        if without:
            found = f"{len(without)} images without any mask: left out of training and scoring."
            yield _finding("image-without-mask", without, found, "masks of the same name", "Add the masks.")
        table = self.settings.label_table()
        left_out = [c.name for c in self._classes if table and not {*c.values} & table.trained_as.keys()]
        if left_out:
            found = f"masks of {', '.join(left_out)}, which dataset.yaml does not name: left out"
            yield _finding(
                "class-not-named", left_out, found, "a name under `classes`", "Name them to train."
            )

    def read_values(self, record: Record) -> ValueMap:
        """Paint the masks of all classes, smaller areas on top, on 0.

        Raises:
            DataError: A mask cannot be read, differs in size from the others, or holds several classes.
        """
        masks = self._masks(record)
        shape = next(iter(masks.values())).shape
        values = np.zeros(shape, np.uint8)
        for value, mask in sorted(masks.items(), key=lambda row: -int(row[1].sum())):
            values[mask] = value
        return values

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Return pixels that are in the masks of several classes."""
        problems = Problems()
        masks = list(self._masks(record).values())
        shared = int((np.sum(masks, axis=0) > 1).sum())
        if shared:
            where = record.image.relative_to(self.root).as_posix()
            problems.add("classes-overlap", where, f"{shared} pixels are in the masks of several classes")
        return problems

    def declared_labels(self) -> LabelTable:
        """Return the classes in `dataset.yaml`, or background and one class for each kind of mask."""
        background = LabelClass("background", (0,), (0, 0, 0), is_thing=False)
        return self.settings.label_table() or LabelTable((background, *self._classes))

    def reading_state(self, record: Record) -> str:
        """Return the numbers of the classes, which masks of other images change, and which are trained."""
        numbers = [(c.name, c.values) for c in self._classes]
        return f"{numbers} {sorted(self.declared_labels().trained_as)}"

    def _masks(self, record: Record) -> Mapping[int, Mask]:
        """Return value -> (H, W) mask of the classes that are trained."""
        if not record.labels:
            raise DataError(describe("The image has no mask", where=record.image))
        value_of = {c.name: c.values[0] for c in self._classes}
        trained = self.declared_labels().trained_as
        masks: dict[int, Mask] = {}
        shape: tuple[int, ...] = ()
        for path in record.labels:
            mask = _inside(path)
            if shape not in ((), mask.shape):
                raise DataError(
                    describe(
                        "The masks of one image differ in size",
                        where=path,
                        found=f"{size_text(mask.shape)} pixels (width x height)",
                        expected=f"{size_text(shape)} as in {record.labels[0]}",
                    )
                )
            shape = mask.shape
            value = value_of.get(self._class_of[path], 0)
            masks[value] = mask if value in trained else np.zeros_like(mask)
        return masks


def _inside(path: Path) -> Mask:
    """Return where a mask shows its class."""
    values = read_values(path)
    largest, is_lossy = int(values.max(initial=0)), image_header(path).is_lossy
    if largest <= WHITE and not is_lossy:
        if len(found := np.unique(values)) > 2:
            raise DataError(
                describe(
                    "The mask of a single class holds several values",
                    where=path,
                    found=", ".join(map(str, found[:8])),
                    expected="0 and one other value",
                    fix="If masks hold numbers of classes, name one folder of them: `masks: DIR/{stem}.png`.",
                )
            )
        return np.asarray(values > 0)
    return np.asarray(values > WHITE)


def _masks_of(root: Path, tree: FileTree) -> MasksOf:
    """Return the masks of each image by the first way that finds classes; empty if none does."""
    if "class-masks" not in tree.remembered:
        ways = (way(root, tree) for way in (_by_class_folder, _by_name, _by_image_folder))
        fitting = (m for m in ways if (_are_classes(m) or _is_one_class(m)) and _look_like_masks(root, m))
        tree.remembered["class-masks"] = next(fitting, {})
    known: MasksOf = tree.remembered["class-masks"]
    return known


def _are_classes(masks_of: MasksOf) -> bool:
    """Tell whether there are several kinds of mask, each of several images, and images with several."""
    counts = Counter(name for masks in masks_of.values() for name in masks)
    is_enough = 2 <= len(counts) <= MAX_CLASSES and max(len(masks) for masks in masks_of.values()) > 1
    return is_enough and sum(counts.values()) >= min(2, len(masks_of)) * len(counts)


def _is_one_class(masks_of: MasksOf) -> bool:
    """Tell whether all masks are in one folder inside a folder of masks, such as ``masks/lesion/``."""
    places = {mask.parent for masks in masks_of.values() for mask in masks.values()}
    roles = {read_folder_name(place.parent.name).role for place in places}
    is_folder = {without_number(place.name) for place in places} == {*_names(masks_of)}
    return len(_names(masks_of)) == 1 and is_folder and roles == {"label"} and len(masks_of) > 1


def _look_like_masks(root: Path, masks_of: MasksOf) -> bool:
    """Tell whether the first mask of each class has few colours."""
    first: dict[str, PurePosixPath] = {}
    for masks in masks_of.values():
        for name, mask in masks.items():
            first.setdefault(name, mask)
    return bool(first) and all(looks_like(root, [mask]) != "image" for mask in first.values())


def _names(masks_of: MasksOf) -> tuple[str, ...]:
    return alphabetical({name for masks in masks_of.values() for name in masks})


def _role(path: PurePosixPath) -> str | None:
    return next((r for part in reversed(path.parts[:-1]) if (r := read_folder_name(part).role)), None)


def _by_class_folder(root: Path, tree: FileTree) -> MasksOf:
    """Find folders of masks that differ from a folder of images by one part of their path, the class."""
    items = {item.path: item for item in roles_of_tree(tree).everything()}
    images: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    labels: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    few = len(tree.images_in) <= MAX_FOLDERS
    for folder, paths in tree.images_in.items():
        said = [(part, read_folder_name(part)) for part in folder.parts]
        role = _role(paths[0]) or (looks_like(root, paths) if few else None)
        place = {"image": images, "label": labels}.get(role or "")
        if place is not None:
            place[_own_parts(said)] += [items[path] for path in paths]
    found: MasksOf = defaultdict(dict)
    if labels.keys() & images.keys():
        return {}  # pairs
    for own, masks in labels.items():
        name, site = _class_of(own, images.keys())
        if name:
            own_images = [_bare(item) for item in images[site]]
            pairing = pair(own_images, [_bare(item) for item in masks])
            if own[-1] in {i.name for i in own_images} or 2 * len(pairing.label_of) < len(masks):
                continue  # a folder for each image
            for image, mask in pairing.label_of.items():
                found[image.path].setdefault(name, mask.path)
    return dict(found)


def _own_parts(said: Iterable[tuple[str, FolderName]]) -> tuple[str, ...]:
    return tuple(part for part, name in said if name.role is None and name.split is None and name.words)


def _class_of(own: tuple[str, ...], sites: Iterable[tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
    """Return the class and the images' folders, if the folders of masks have one name more."""
    known = {*sites}
    for place in reversed(range(len(own))):
        site = (*own[:place], *own[place + 1 :])
        name = without_number(own[place])
        if site in known and own not in known and not _NOT_CLASSES.fullmatch(name):
            return _class_name(name), site
    return "", ()


def _class_name(name: str) -> str:
    """Return a name without words such as mask; empty if it consists of these."""
    bare = bare_label_name(name)
    return name if bare == re.sub(r"[\s_.\-]+", "_", name.casefold()) else bare


def _bare(item: Item) -> Item:
    return replace(item, site=())


def _by_name(root: Path, tree: FileTree) -> MasksOf:
    """Find masks named after their image and their class, in their own folder or beside the image."""
    roles = roles_of_tree(tree)
    images = {(item.site, item.name): item.path for item in roles.images}
    if any((item.site, item.name) in images for item in roles.labels):
        return {}  # pairs
    found: MasksOf = defaultdict(dict)
    for item in roles.labels or roles.images:
        if said := _image_and_class(item, images):
            found[said[0]].setdefault(said[1], item.path)
    return {} if any("" in masks for masks in found.values()) else dict(found)


def _image_and_class(
    item: Item, images: Mapping[tuple[tuple[str, ...], str], PurePosixPath]
) -> tuple[PurePosixPath, str] | None:
    """Return the image of ``7_disc`` or ``disc_7``, and the class; None if the name is of neither kind."""
    for place in reversed(list(re.finditer(r"[_\-. ]+", item.name))):
        before, after = item.name[: place.start()], item.name[place.end() :]
        for own, name in ((before, after), (after, before)):
            image = images.get((item.site, own))
            if image is not None and name and not _OBJECT.fullmatch(name):
                return image, _class_name(name)
    return None


def _by_image_folder(root: Path, tree: FileTree) -> MasksOf:
    """Find masks in a folder for each image, with the same names in most of these folders."""
    groups = [(images[0], masks) for images, masks in groups_of_masks(tree).values() if len(images) == 1]
    found = {
        image: {
            image_stem(mask.name).removeprefix(image_stem(image.name)).strip("_-. "): mask for mask in masks
        }
        for image, masks in groups
        if masks
    }
    names = Counter(name for masks in found.values() for name in masks)
    if any(count < 2 or _OBJECT.fullmatch(name) or not name for name, count in names.items()):
        return {}
    return found


def _finding(code: str, names: Sequence[str], found: str, expected: str, fix: str) -> Finding:
    return format_finding(code, names[0], found, expected=expected, fix=fix, files=names)
