"""Plan and classes in the folder of a model or of an export."""

from pathlib import Path

from limner.core.config import parse_config, parse_yaml
from limner.core.dataset_file import DatasetFile
from limner.core.errors import ConfigError, ModelError, describe
from limner.core.labels import LabelTable
from limner.core.plan import Plan
from limner.core.plan_text import plan_from_yaml
from limner.weights.card import COPY_AGAIN, LABELS, PLAN


def read_model_settings(folder: Path) -> tuple[Plan, LabelTable]:
    """Read the plan and the classes of a model folder or an export, whose files were verified.

    Raises:
        ModelError: They cannot be read.
    """
    try:
        plan = plan_from_yaml(_text(folder / PLAN), where=str(folder / PLAN))
        named = parse_yaml(_text(folder / LABELS), where=str(folder / LABELS))
        labels = parse_config(DatasetFile, named, where=str(folder / LABELS)).label_table()
    except ConfigError as error:
        raise ModelError(
            describe("The model's settings cannot be read", where=folder, found=str(error), fix=COPY_AGAIN)
        ) from error
    if labels is None:
        raise ModelError(describe("The model's labels contain no class", where=folder / LABELS))
    return plan, labels


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
