"""One binary mask for each structure, as TotalSegmentator writes them into ``segmentations/``."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.labels import LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.formats.file_tree import FileTree
from limner.formats.label_grid import on_image_grid
from limner.formats.named_classes import with_values
from limner.formats.problems import Problems
from limner.formats.volumes.cases import CaseFiles, CaseFolders
from limner.formats.volumes.dataset_json import IGNORED
from limner.images.file_names import image_stem, is_volume_name
from limner.images.masks import read_values

MASKS = "segmentations"
"""Name of the folder of masks."""


class StructureMasks(CaseFolders):
    """Structures are numbered from 1 in alphabetical order; where several overlap, the later one wins."""

    name = "structure-masks"
    title = "TotalSegmentator: one folder per case: ct.nii.gz (or mri.nii.gz), segmentations/STRUCTURE.nii.gz"
    what = "One folder per case, with a binary mask for each structure"

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        super().__init__(root, settings)
        named = (LabelClass("background", (0,), (0, 0, 0)), *self._structures)
        self.settings = with_values(settings, named, where=root, background=0)

    @classmethod
    def cases(cls, tree: FileTree) -> Mapping[str, CaseFiles]:
        """Find folders with one volume beside a folder ``segmentations``."""
        found: dict[str, CaseFiles] = {}
        for folder, masks in tree.images_in.items():
            images = [p for p in tree.images_in.get(folder.parent, ()) if is_volume_name(p.name)]
            if folder.name.casefold() == MASKS and folder.parent.name and len(images) == 1:
                found[folder.parent.as_posix()] = CaseFiles(
                    {image_stem(images[0].name): images[0]}, tuple(masks)
                )
        return found

    def read_values(self, record: Record) -> ValueMap:
        """Merge the masks of a case to one label map.

        Raises:
            DataError: A mask cannot be read, is not binary, or has another size than the others.
        """
        return on_image_grid(record, self.settings, lambda: self._merged(record))

    def reading_state(self, record: Record) -> str:
        """Return the numbers of the structures, which other cases change."""
        return repr([(one.name, one.values) for one in self._structures])

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Return the voxels that are in several structures."""
        problems = Problems()
        count: ValueMap | None = None
        for _, mask in self._masks(record):
            count = mask.astype(np.uint8) if count is None else count + mask
        shared = 0 if count is None else int((count > 1).sum())
        if shared:
            problems.add("classes-overlap", record.name, f"{shared} voxels are in several structures")
        return problems

    def declared_labels(self) -> LabelTable:
        """Return the classes of `dataset.yaml`, or background and a class for each structure."""
        background = LabelClass("background", (0,), (0, 0, 0))
        classes = [one for one in self._structures if one.name != IGNORED]
        ignored = tuple(one.values[0] for one in self._structures if one.name == IGNORED)
        return self.settings.label_table() or LabelTable((background, *classes), ignored)

    @cached_property
    def _structures(self) -> tuple[LabelClass, ...]:
        """The structures of all cases, with the values 1, 2, ..."""
        names = sorted({image_stem(path.name) for record in self.records for path in record.labels})
        return tuple(LabelClass(name, (value,), distinct_color(value)) for value, name in enumerate(names, 1))

    def _merged(self, record: Record) -> ValueMap:
        value_of = {one.name: one.values[0] for one in self._structures}
        merged: ValueMap | None = None
        for name, mask in self._masks(record):
            if merged is None:
                merged = np.zeros(mask.shape, np.uint8 if len(value_of) < 256 else np.uint16)
            merged[mask] = value_of[name]
        if merged is None:
            raise DataError(describe("The case has no masks", where=record.image))
        return merged

    def _masks(self, record: Record) -> Iterator[tuple[str, ValueMap]]:
        """Yield each structure with its (D, H, W) mask."""
        shape: tuple[int, ...] = ()
        for path in record.labels:
            values = read_values(path)
            if values.shape != (shape or values.shape) or int(values.max(initial=0)) not in (0, 1, 255):
                raise DataError(
                    describe(
                        "A mask of one structure cannot be merged with the others",
                        where=path,
                        found=f"shape {values.shape}, values up to {values.max(initial=0)}",
                        expected=f"a binary mask of the shape {shape or values.shape}",
                    )
                )
            shape = values.shape
            yield image_stem(path.name), values != 0
