"""Plans and experiments on disk.

An experiment (a file in `recipes/`) is part of a plan plus the dataset folder::

    data: data/cityscapes
    network: {name: deeplabv3plus}
    train: {steps: 80000}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.config import parse_yaml
from limner.core.errors import ConfigError, describe
from limner.core.plan import Plan
from limner.core.plan_text import plan_from_yaml, plan_to_yaml, reasons_in_comments
from limner.planning.decisions import YOU_SET_IT
from limner.planning.settings import flatten, nest, read_settings
from limner.storage.user_paths import user_path
from limner.storage.whole_files import write_whole

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Experiment:
    """Contents of a recipe or plan file.

    Attributes:
        data: The dataset folder.
        settings: Nested settings, part of a plan or all of it.
        reasons: Dotted key -> reason, from the comments above the keys.
    """

    data: Path
    settings: dict[str, Any]
    reasons: dict[str, str]


def read_experiment(path: Path) -> Experiment:
    """Read a recipe, or a complete plan, from a YAML file.

    Raises:
        ConfigError: The file is missing or invalid; lists every problem.
    """
    text = _read(path)
    values = parse_yaml(text, where=str(path))
    if not isinstance(values, dict) or "data" not in values:
        raise ConfigError(
            describe(
                "The file is neither a plan nor an experiment",
                where=path,
                found="no key `data`" if isinstance(values, dict) else type(values).__name__,
                expected="`data:` with the dataset folder, and any settings of a plan",
                fix="Add the line `data: path/to/my_images`.",
            )
        )
    if isinstance(values["data"], dict) and "num_images" in values["data"]:
        plan = plan_from_yaml(text, where=str(path))
        return Experiment(Path(plan.data.path), nest(flatten(plan)), plan.reasons)
    return _experiment(path, values, reasons_in_comments(text))


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: The file is missing, or not a plan.
    """
    return plan_from_yaml(_read(path), where=str(path))


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan; an existing file is replaced atomically.

    Raises:
        WriteError: The file cannot be written.
    """
    write_whole(path, plan_to_yaml(plan))


def _experiment(path: Path, values: Mapping[str, Any], comments: Mapping[str, str]) -> Experiment:
    data = values["data"]
    if isinstance(data, dict) and set(data) == {"path"}:
        data = data["path"]
    if not isinstance(data, str):
        raise ConfigError(
            f"{path}: data: expected the path of the dataset folder, found {data!r}. "
            "Write `data: path/to/my_images`."
        )
    settings = {name: value for name, value in values.items() if name != "data"}
    known = read_settings(settings, where=str(path))
    reasons = {key: f"{YOU_SET_IT}: {comment}" for key, comment in comments.items() if key in known}
    return Experiment(_find_data(data, beside=path.parent), settings, reasons)


def _find_data(data: str, *, beside: Path) -> Path:
    """Return the folder, relative to the current folder or else to the recipe."""
    folder = user_path(data)
    return beside / folder if not folder.exists() and (beside / folder).exists() else folder


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(describe("The file cannot be read", where=path, found=str(error))) from None
    except UnicodeDecodeError:
        raise ConfigError(
            describe(
                "The file is not text",
                where=path,
                expected="YAML in UTF-8",
                fix="Name a plan or a recipe, or save the file as UTF-8.",
            )
        ) from None
