"""Read and write `dataset.yaml`, the one file that limner may put beside a user's images."""

from pathlib import Path
from typing import Any

import yaml

from limner.core.config import merge, parse_config, parse_yaml
from limner.core.dataset_file import FILE_NAME, DatasetFile
from limner.core.errors import DataError, describe
from limner.formats.whole_files import write_whole


def read_dataset_file(root: Path) -> DatasetFile:
    """Return the settings in `root`'s `dataset.yaml`, or the defaults where there is none.

    Raises:
        ConfigError: The file is not YAML, or holds settings that limner does not know.
        DataError: The file cannot be read.
    """
    path = root / FILE_NAME
    return parse_config(DatasetFile, _read(path), where=str(path))


def write_dataset_file(root: Path, settings: dict[str, Any]) -> Path:
    """Lay settings over what the user wrote, and write `dataset.yaml`; the images are not touched.

    Args:
        root: The dataset folder.
        settings: Plain values in the shape of `DatasetFile`; mappings are merged, lists replaced.

    Returns:
        The file.

    Raises:
        ConfigError: The result would not be valid; nothing is written then.
        DataError: The file cannot be written.
    """
    path = root / FILE_NAME
    merged = merge(_read(path) or {}, settings)
    parse_config(DatasetFile, merged, where=str(path))
    text = yaml.safe_dump(merged, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    try:
        write_whole(path, text.encode(), flush=True)
    except OSError as error:
        raise DataError(
            describe("dataset.yaml cannot be written", where=path, found=error.strerror or str(error))
        ) from None
    return path


def _read(path: Path) -> Any:  # noqa: ANN401 - YAML may hold anything
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(describe("dataset.yaml cannot be read", where=path, found=str(error))) from None
    return parse_yaml(text, where=str(path))
