"""Import of other projects' checkpoints as models; `SOURCES` lists the supported ones.

Weights are not converted; `tests/weights/` compares the outputs with the original ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from limner.core.config import merge, parse_config
from limner.core.errors import ModelError, describe
from limner.core.labels import LabelTable
from limner.core.plan import Plan, ResizePlan
from limner.networks.weightless import uninitialized
from limner.storage.user_paths import user_path
from limner.weights.card import IMPORTED_FROM
from limner.weights.channel_order import FACT, inferred_order, reverse_input, with_reversed
from limner.weights.checkpoint_files import CLASSIFIER_HEADS, Checkpoint, read_checkpoint
from limner.weights.checkpoint_source import (
    SET_BY_USER,
    Asked,
    CheckpointSource,
    Conclusions,
    Inferred,
    NetworkShape,
    Normalization,
    PredictionWindow,
    ReadNetwork,
)
from limner.weights.fitting import Fitted, fit_tensors
from limner.weights.how_read import SECTION
from limner.weights.imported_plan import plan_of, summarize
from limner.weights.model import Model
from limner.weights.open_choices import OpenChoice, OtherReading, open_choices
from limner.weights.sources import SOURCES
from limner.weights.sources.by_name import source_by_name
from limner.weights.sources.classes.classifiers import CLASSIFIERS
from limner.weights.tensor_table import TensorTable

SHOWN = 3
"""Number of example names in a message."""


@dataclass(frozen=True)
class Imported:
    """A model imported from a checkpoint, and what was inferred.

    Attributes:
        model: In evaluation mode on the CPU.
        source: The project that wrote the checkpoint.
        path: The checkpoint.
        licence: Licence of the weights, or None if not stated.
        facts: Topic -> conclusion and its source, in words.
        tensors: What became of every tensor.
        network: The network.
        conclusions: What else was inferred.
        asked: What the caller has set.
        part: Key of the state dict, or the fold, that the caller has named.
    """

    model: Model
    source: str
    path: Path
    licence: str | None
    facts: Mapping[str, str]
    tensors: TensorTable
    network: NetworkShape
    conclusions: Conclusions
    asked: Asked
    part: str | None

    @property
    def origin(self) -> dict[str, Any]:
        """The model's origin, for its card."""
        said = {IMPORTED_FROM: str(self.path), "written_by": self.source, **self.facts}
        return {**said, "tensors": self.tensors.to_dict()}

    @cached_property
    def open_choices(self) -> tuple[OpenChoice, ...]:
        """What was assumed, since neither the checkpoint nor its project says it, and the other readings."""
        is_named = self.asked.network is not None
        return open_choices(self.model, self.conclusions, self.network, self.asked, is_named=is_named)

    def reread(self, reading: OtherReading, checkpoint: Checkpoint) -> "Imported":
        """Import the checkpoint in another way, which is one of `open_choices`.

        Args:
            reading: The other reading.
            checkpoint: Content of the same checkpoint.
        """
        settings = merge(dict(self.asked.settings), dict(reading.settings))
        return model_of_checkpoint(checkpoint, replace(self.asked, settings=settings))


def import_checkpoint(
    path: Path | str,
    *,
    task: str | None = None,
    classes: LabelTable | None = None,
    licence: str | None = None,
    network: str | None = None,
    settings: Mapping[str, Any] | None = None,
    part: str | None = None,
) -> Imported:
    """Read a checkpoint of one of `SOURCES`, or of a network of limner's that you name.

    Args:
        path: A folder (`config.json`, `model.safetensors`), or a file: .pth, .pt, .bin, .pkl or .safetensors.
        task: A row of `TASKS`, if the checkpoint does not contain it.
        classes: The classes in trained order, if the checkpoint does not contain them.
        licence: Licence of the weights, if the checkpoint does not contain it.
        network: A row of `NETWORKS`, for a state dict that no source recognises.
        settings: Settings of the plan that the checkpoint does not contain, such as
            ``{"network": {"options": {"output_stride": 16}}}`` or ``{"input": {"mean": [...]}}``.
        part: Key of the state dict in a file with several; None takes the moving average, if there is one.

    Raises:
        ModelError: There is no checkpoint, it is damaged or of another architecture, it has missing or
            unexpected tensors, or it is a pickle that could run code.
        ConfigError: The task is unknown.
    """
    asked = Asked(task, classes, licence, network, settings or {})
    return model_of_checkpoint(read_checkpoint(user_path(path), part=part), asked)


def model_of_checkpoint(checkpoint: Checkpoint, asked: Asked) -> Imported:
    """Import a checkpoint that is read already, which stays as it is.

    Raises:
        ModelError: As in `import_checkpoint`.
        ConfigError: The task is unknown.
    """
    found = _interpret(checkpoint, asked)
    with uninitialized():
        model = Model.from_plan(found.plan)
    model.network.load_state_dict(found.fitted.state)
    model.eval()
    parameters = sum(p.numel() for p in model.network.parameters())
    conclusions, table = found.reading.conclusions, found.fitted.table
    facts = summarize(conclusions, found.fitted.network, parameters) | dict(checkpoint.notes)
    order = asked.how_read.channel_order
    if order is not None:
        if order != inferred_order(facts):
            changed = reverse_input(model.network, checkpoint.path)
            table = with_reversed(table, [found.reading.tensors.theirs[name] for name in changed], order)
        facts[FACT] = f"{order.upper()} ({SET_BY_USER})"
    return Imported(
        model,
        found.source.title,
        checkpoint.path,
        conclusions.licence.value,
        facts,
        table,
        found.fitted.network,
        conclusions,
        asked,
        checkpoint.part,
    )


def plan_of_checkpoint(checkpoint: Checkpoint, asked: Asked) -> Plan:
    """Return the plan of the model that `model_of_checkpoint` makes, without building the model.

    Raises:
        ModelError: As in `import_checkpoint`.
        ConfigError: The task is unknown.
    """
    return _interpret(checkpoint, asked).plan


@dataclass(frozen=True)
class _Interpreted:
    """What was inferred from a checkpoint, and its tensors as limner's."""

    source: CheckpointSource
    reading: ReadNetwork
    fitted: Fitted
    plan: Plan


def _interpret(checkpoint: Checkpoint, asked: Asked) -> _Interpreted:
    source = source_by_name(asked.network) if asked.network else _source_of(checkpoint)
    reading = source.read(checkpoint, asked)
    fitted = fit_tensors(reading, checkpoint, background=asked.how_read.background)
    plan = _with_settings(plan_of(checkpoint, source, fitted.network, reading.conclusions), asked)
    conclusions = _as_set(reading.conclusions, plan, asked)
    return _Interpreted(source, replace(reading, conclusions=conclusions), fitted, plan)


def _as_set(conclusions: Conclusions, plan: Plan, asked: Asked) -> Conclusions:
    """Return the conclusions with the values that the caller has set, as they are shown."""
    settings = dict(conclusions.settings)
    for key in settings:
        section, name = key.split(".")
        if name in asked.settings.get(section, {}):
            settings[key] = Inferred(getattr(getattr(plan, section), name), SET_BY_USER)
    normalization = conclusions.normalization
    if {"mean", "std"} & asked.settings.get("input", {}).keys():
        normalization = Inferred(Normalization(plan.input.mean, plan.input.std), SET_BY_USER)
    resize, window = conclusions.resize, conclusions.window
    given, inference = asked.settings.get("inference", {}), plan.inference
    if "resize" in given:
        resize = Inferred(inference.resize or ResizePlan(), SET_BY_USER)
    if given.keys() & {"window", "overlap"} and plan.input.spatial_dims == 2:
        size = inference.window
        window = None
        if size is not None:
            window = Inferred(PredictionWindow((size[0], size[1]), inference.overlap), SET_BY_USER)
    return replace(conclusions, settings=settings, normalization=normalization, resize=resize, window=window)


def _with_settings(plan: Plan, asked: Asked) -> Plan:
    """Return the plan with the caller's settings, apart from the network's, which the source has used."""
    own = ("network", SECTION)  # of the source, and of this import
    given = {section: value for section, value in asked.settings.items() if section not in own}
    if not given:
        return plan
    values = merge(plan.model_dump(), given)
    reasons = {
        f"{section}.{key}": SET_BY_USER
        for section, inside in given.items()
        if isinstance(inside, Mapping)
        for key in inside
    }
    return parse_config(Plan, merge(values, {"reasons": reasons}), where="The import")


def _source_of(checkpoint: Checkpoint) -> CheckpointSource:
    """Recognise the project that wrote a checkpoint."""
    for source in SOURCES.values():
        if source.recognises(checkpoint):
            return source
    names = sorted(checkpoint.tensors)
    if any(name.startswith(CLASSIFIER_HEADS) for name in names):
        raise ModelError(
            describe(
                "The checkpoint is of a classifier of images that limner does not recognise",
                where=checkpoint.path,
                found=f"{len(names)} tensors, such as {', '.join(names[:SHOWN])}",
                expected=", ".join(f"{one.architecture} of {one.title}" for one in CLASSIFIERS.values()),
                fix="If timm has this encoder, train a network on it: limner train DATA --weights "
                f"{checkpoint.path} --set network.options.backbone=NAME",
            )
        )
    for source in SOURCES.values():
        source.refuse_others(checkpoint)  # has a better message if config.json has another architecture
    examples = {source.title: source.example for source in SOURCES.values()}
    raise ModelError(
        describe(
            "The checkpoint is of another architecture",
            where=checkpoint.path,
            found=f"{len(names)} tensors, such as {', '.join(names[:SHOWN])}",
            expected="; ".join(f"{name}: {given}" for name, given in examples.items()),
            fix="If it is of a network that limner has, name it: --network NAME --set "
            "network.options.OPTION=VALUE (`limner networks` lists them).",
        )
    )
