"""YAML files of other tools, read as they are written: ``yes`` and ``1e3`` stay text."""

from pathlib import Path

import yaml

from limner.core.yaml_text import BASE_LOADER, load_yaml
from limner.storage.json_files import JsonObject
from limner.storage.text_files import read_text


def read_yaml(path: Path) -> JsonObject:
    """Return the mapping that a YAML file holds, each scalar as text; an empty one for other content.

    Raises:
        ValueError: It cannot be read, is no YAML, or is beyond the limits of `load_yaml`.
    """
    try:
        return JsonObject(load_yaml(read_text(path), BASE_LOADER))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(str(error)) from None
