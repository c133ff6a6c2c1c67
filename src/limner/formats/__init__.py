"""From disk to samples and back, one file a format; `FORMATS` is the table of contents."""

from pathlib import Path

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, UnknownNameError, describe
from limner.formats.dataset_yaml import read_dataset_file
from limner.formats.file_tree import FileTree, list_files
from limner.formats.instance_masks import InstanceMasks
from limner.formats.paired_folders import PairedFolders
from limner.formats.source import Source

# The most specific first: of several formats that recognise a folder, the first is taken.
FORMATS: dict[str, type[Source]] = {source.name: source for source in (InstanceMasks, PairedFolders)}


def open_source(path: Path | str, settings: DatasetFile | None = None) -> Source:
    """Open a labelled folder through the format that recognises it.

    Args:
        path: The dataset folder.
        settings: Its settings; None reads `dataset.yaml` in the folder, if there is one.

    Raises:
        DataError: The folder is missing, empty, a file, or in no layout that limner knows.
        ConfigError: `dataset.yaml` cannot be used.
        UnknownNameError: `dataset.yaml` names a format that does not exist.
    """
    root = Path(path).expanduser()
    tree = list_files(root)
    if tree.is_empty:
        raise DataError(
            describe("The dataset folder is empty", where=root, expected="images and their masks")
        )
    settings = read_dataset_file(root) if settings is None else settings
    if settings.format is not None:
        if settings.format not in FORMATS:
            raise UnknownNameError("format", settings.format, FORMATS)
        return FORMATS[settings.format](root, settings)
    for source in FORMATS.values():
        if source.recognise(root, settings):
            return source(root, settings)
    raise _unknown_layout(root, tree)


def _unknown_layout(root: Path, tree: FileTree) -> DataError:
    counts: dict[str, int] = {}
    for file in tree.images:
        counts[str(file.parent)] = counts.get(str(file.parent), 0) + 1
    some = ", ".join(f"{count} in {folder}" for folder, count in sorted(counts.items())[:8])
    found = (
        f"{len(tree.images)} image files ({some})" if counts else f"no image files among {len(tree.others)}"
    )
    known = "\n".join(f"              {source.name}: {source.title}" for source in FORMATS.values())
    return DataError(
        describe(
            "No images with masks were found",
            where=root,
            found=found,
            expected=f"one of these layouts:\n{known}",
            mend="Say which files belong together in dataset.yaml beside them, such as "
            "`images: photos/*.jpg` and `masks: drawn/{stem}.png`.",
        )
    )
