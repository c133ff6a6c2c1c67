"""YAML files of other tools, read as they are written: ``yes`` and ``1e3`` stay text."""

from pathlib import Path

import yaml

from limner.storage.json_files import JsonObject


def read_yaml(path: Path) -> JsonObject:
    """Return the mapping that a YAML file holds, each scalar as text; an empty one for other content.

    Raises:
        ValueError: It cannot be read, or is no YAML.
    """
    try:
        return JsonObject(yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader))
    except RecursionError:
        raise ValueError("lists or mappings are nested too deeply") from None
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(str(error)) from None
