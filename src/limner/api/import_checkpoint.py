"""`limner import`: conversion of another project's checkpoint to a model folder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from limner.api.import_readings import IMPORT, draw_readings, readings_path
from limner.core.config import parse_config, parse_yaml
from limner.core.dataset_file import DatasetFile
from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.images.read_image import read_image
from limner.storage.own_outputs import refuse_taken_file
from limner.storage.text_files import read_text
from limner.storage.user_paths import user_path
from limner.weights.bundle import refuse_taken_model, save_model
from limner.weights.checkpoint_files import read_checkpoint
from limner.weights.checkpoint_source import Asked
from limner.weights.importing import Imported, model_of_checkpoint

YAML = (".yaml", ".yml")


def import_checkpoint(
    checkpoint: Path | str,
    *,
    out: Path | str,
    task: str | None = None,
    classes: Path | str | Sequence[str] | None = None,
    licence: str | None = None,
    network: str | None = None,
    settings: Mapping[str, Any] | None = None,
    part: str | None = None,
    verify: bool = False,
    image: Path | str | None = None,
) -> Imported:
    """Convert another project's checkpoint to a model folder.

    Args:
        checkpoint: A folder with `config.json` and `model.safetensors`, or a file: .pth, .pt, .bin, .pkl or
            .safetensors. No code in a pickle is run.
        out: The model folder to write.
        task: ``semantic``, ``instance`` or ``panoptic``; None infers it from the checkpoint.
        classes: Names in trained order, or a file: text with one name per line, or YAML like dataset.yaml.
            None infers them from the checkpoint, or from a public dataset with the same number of classes.
        licence: Licence of the weights; None infers it from the checkpoint.
        network: A row of `limner networks`, for a state dict of unknown origin.
        settings: Settings of the plan that the checkpoint does not contain, nested, such as
            ``{"network": {"options": {"output_stride": 16}}}``; and in the section ``checkpoint`` how it is
            read: ``{"checkpoint": {"channel_order": "bgr", "background": True}}``.
        part: Key of the state dict in a file with several, such as ``model_ema``.
        verify: Compare the scores with those of the library that wrote the checkpoint, which has to be
            installed. The result is one of the `facts`.
        image: An image that is predicted under each of the `open_choices`, all drawn in
            ``OUT_readings.png`` beside the model folder; None draws nothing.

    Returns:
        The model, and what was inferred about it; its `open_choices` are what was assumed.

    Raises:
        ModelError: The checkpoint cannot be read or is of another network, or `out` contains other files.
        ConfigError: The task cannot be inferred, `classes` cannot be read, or the picture would replace a
            file that limner did not write.
        DataError: The image cannot be read, or does not match the model's input.
        MissingPartError: The library for `verify` is not installed.
    """
    out = user_path(out)
    refuse_taken_model(out)
    if image is not None:
        refuse_taken_file(readings_path(out), by=IMPORT)
    table = None if classes is None else _label_table(classes)
    content = read_checkpoint(user_path(checkpoint), part=part)
    imported = model_of_checkpoint(content, Asked(task, table, licence, network, settings or {}))
    if verify:
        from limner.weights.verification import verify_import

        imported = replace(imported, facts={**imported.facts, "verified": str(verify_import(imported))})
    if image is not None:
        draw_readings(imported, content, read_image(user_path(image)), readings_path(out))
    save_model(out, imported.model, origin=imported.origin, licence=imported.licence)
    return imported


def _label_table(classes: Path | str | Sequence[str]) -> LabelTable:
    if isinstance(classes, (str, Path)):
        return _read_classes(user_path(classes))
    return LabelTable(tuple(LabelClass(name, (i,), distinct_color(i)) for i, name in enumerate(classes)))


def _read_classes(path: Path) -> LabelTable:
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise ConfigError(describe("The classes cannot be read", where=path, found=str(error))) from None
    if path.suffix.lower() not in YAML:
        return _label_table([line.strip() for line in text.splitlines() if line.strip()])
    table = parse_config(DatasetFile, parse_yaml(text, where=str(path)), where=str(path)).label_table()
    if table is None:
        raise ConfigError(describe("The file has no class names", where=path, expected="`classes:`"))
    return table
