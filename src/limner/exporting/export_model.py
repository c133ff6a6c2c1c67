"""Exporting a model to a folder, and checking it there.

Shape legend: B batch, C channels, *S spatial axes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limner import __version__
from limner.core.errors import ConfigError, ModelError, UnknownNameError, describe
from limner.core.outputs import DenseLogits, OutputKind
from limner.core.plan import Plan, ResizePlan
from limner.core.plan_text import plan_to_yaml
from limner.core.score_names import SCORES
from limner.core.yaml_text import dump_yaml
from limner.exporting.agreement import Agreement, measure_agreement
from limner.exporting.exported_module import ExportedModule, Finish
from limner.exporting.lower_precision import FileFormat
from limner.exporting.score_drop import LabelledImages, ScoreDrop, score_drop
from limner.exporting.writing import WRITERS, trace
from limner.inference.predictor import Predictor
from limner.inference.sliding_window import pad_by_reflection
from limner.inference.view_rules import SMALLEST_INPUT
from limner.storage.output_folder import refuse_dataset, refuse_unwritable
from limner.storage.whole_folders import folder_written_aside
from limner.tasks import find_task
from limner.weights.card import LABELS, PLAN, file_sha256
from limner.weights.exported import EXPORT_CARD, FINISHED, RUNTIMES, ExportCard, Run, open_file
from limner.weights.model import Model

MOST_OTHER_LABELS = 0.05
"""Maximum fraction of pixels or queries with another class in a file in int8 that cannot be scored."""


@dataclass(frozen=True)
class ExportRequest:
    """How to export a model.

    Attributes:
        runtime: A row of `RUNTIMES`.
        finish: What the file returns.
        size: *S that the file takes; None for any size and batch, if the network can be exported so.
        file_format: Precision of the file.
        tolerance: Largest difference of any output, as a fraction of the range of its values; None accepts
            any, for int8.
        max_loss: Largest loss of the main score in lower precision.
        licence: Licence of the weights.
        weights_sha256: Hash of the weights.
    """

    runtime: str
    finish: Finish
    size: tuple[int, ...] | None
    file_format: FileFormat
    tolerance: float | None
    max_loss: float
    licence: str | None
    weights_sha256: str


def export_model(
    predictor: Predictor,
    folder: Path,
    request: ExportRequest,
    images: Sequence[Tensor],
    *,
    images_are: str,
    labelled: LabelledImages | None = None,
) -> ExportCard:
    """Write an export folder, run the file in its own runtime, and compare it with the model.

    Args:
        predictor: The model on the CPU in float32; afterwards its weights need no gradient.
        folder: The folder to write; an existing export is replaced.
        request: How to export.
        images: (1, C, *S) images in file values, for the comparison.
        images_are: What they are, such as ``12 validation images``.
        labelled: Images on which a file in lower precision is scored beside the model.

    Raises:
        ConfigError: The request does not suit the model.
        ModelError: The network cannot be exported, or the file differs from the model by more than tolerated.
        MissingPartError: A library is missing.
        WriteError: The folder cannot be written.
    """
    model = predictor.model
    kind = find_task(model.plan.task).output_kind(model.plan.loss)
    _refuse_unsuitable(model.plan, kind, request)
    _refuse_taken(folder)
    module = ExportedModule(model, request.finish).eval().requires_grad_(False)
    names = [request.finish] if request.finish != "outputs" else _names(model, images[0])
    channels, size = model.plan.input.channels, request.size
    size = None if size is None else tuple(max(side, SMALLEST_INPUT) for side in size)
    shape = (2, channels, *model.plan.input.crop_size) if size is None else (1, channels, *size)
    program = trace(module, torch.rand(shape), is_free=size is None)
    inputs = [of_size(image, image.shape[2:] if size is None else size) for image in images]
    with folder_written_aside(folder) as aside:
        runtime = RUNTIMES[request.runtime]
        path = aside / runtime.file
        WRITERS[request.runtime](program, path, names, request.file_format)
        run = open_file(runtime, path)
        if size is None:
            _refuse_other_sizes(module, run, shape, runtime.title)
        agreement = measure_agreement(module, run, inputs, names, images=images_are)
        _refuse_differing(agreement, request, runtime.title)
        _write_settings(aside, model, size)
        card = _card_of(aside, model, request, names, size, agreement)
        _write_card(aside, card)
        if labelled is None:
            _refuse_other_labels(agreement, request)
        else:
            drop = score_drop(predictor, aside, labelled)
            _refuse_drop(drop, request)
            card = card.model_copy(update={"scores": drop.to_dict()})
            _write_card(aside, card)
    return card


def _write_settings(folder: Path, model: Model, size: tuple[int, ...] | None) -> None:
    (folder / PLAN).write_text(plan_to_yaml(_plan_of(model.plan, size)), encoding="utf-8")
    (folder / LABELS).write_text(dump_yaml(model.labels.to_dict()), encoding="utf-8")


def _card_of(
    folder: Path,
    model: Model,
    request: ExportRequest,
    names: Sequence[str],
    size: tuple[int, ...] | None,
    agreement: Agreement,
) -> ExportCard:
    """Return the description of an export whose other files are written."""
    runtime = RUNTIMES[request.runtime]
    kind = find_task(model.plan.task).output_kind(model.plan.loss)
    files = (runtime.file, *runtime.beside, PLAN, LABELS)
    return ExportCard(
        limner=__version__,
        runtime=request.runtime,
        precision=request.file_format.precision,
        file=runtime.file,
        kind=kind.__name__ if request.finish == "outputs" else request.finish,
        inputs=_inputs(model.plan, size),
        outputs=_meanings(kind, names),
        classes=[{"name": each.name, "color": list(each.color)} for each in model.labels.classes],
        licence=request.licence,
        weights_sha256=request.weights_sha256,
        sha256={name: file_sha256(folder / name) for name in files},
        agreement=agreement.to_dict(),
    )


def _write_card(folder: Path, card: ExportCard) -> None:
    (folder / EXPORT_CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def _names(model: Model, image: Tensor) -> list[str]:
    """Return the names of the network's outputs."""
    return list(model(image).tensors())


def of_size(image: Tensor, size: Sequence[int]) -> Tensor:
    """Cut or pad an image (1, C, *S) to a size around its middle, at least `SMALLEST_INPUT`."""
    size = [max(length, SMALLEST_INPUT) for length in size]
    image = pad_by_reflection(image, size)
    for axis, length in enumerate(size, start=2):
        image = image.narrow(axis, (image.shape[axis] - length) // 2, length)
    return image.contiguous()


def _plan_of(plan: Plan, size: tuple[int, ...] | None) -> Plan:
    """Return the plan with which limner predicts with the file: in windows if the task can, else resized."""
    if size is None:
        return plan
    has_windows = find_task(plan.task).allowed_with(plan.loss).windows
    change = {"window": size} if has_windows else {"resize": ResizePlan(size=size)}
    inference = plan.inference.model_copy(update=change)
    return plan.model_copy(update={"inference": inference})


def _inputs(plan: Plan, size: tuple[int, ...] | None) -> dict[str, Any]:
    axes = ["height", "width"] if plan.input.spatial_dims == 2 else ["depth", "height", "width"]
    return {
        "name": "images",
        "shape": ["batch" if size is None else 1, plan.input.channels, *(axes if size is None else size)],
        "type": "float32",
        "values": "as in the image files, channels in the order RGB; they are normalised in the file",
        "mean": list(plan.input.mean),
        "std": list(plan.input.std),
    }


def _meanings(kind: OutputKind, names: Sequence[str]) -> dict[str, str]:
    """Return the meaning of each output, from the docstring of its kind."""
    said = " ".join((kind.__doc__ or "").split())
    found = {}
    for name in names:
        after = said.partition(f" {name}: ")[2]
        found[name] = FINISHED.get(name) or after.split(". ")[0].split("; ")[0].rstrip(".")
    return found


def _refuse_unsuitable(plan: Plan, kind: OutputKind, request: ExportRequest) -> None:
    if request.runtime not in RUNTIMES:
        raise UnknownNameError("runtime", request.runtime, RUNTIMES)
    dims = plan.input.spatial_dims
    if request.size is not None and len(request.size) != dims:
        raise ConfigError(f"The size needs {dims} numbers, one for each axis; found {request.size}.")
    if plan.input.cascade_mm is not None:
        raise ConfigError(
            "A cascade has two networks, and an exported file has one. Predict with the model folder itself, "
            "or export the low_resolution folder in it alone. With `--set input.cascade_mm=null`, `limner "
            "train` trains one network."
        )
    precision, runtime = request.file_format.precision, RUNTIMES[request.runtime]
    if precision != "float32" and runtime.is_float32:
        raise ConfigError(
            f"Files of {runtime.title} are written in float32; found --precision {precision}. Export with "
            "--to onnx or --to openvino, or omit --precision."
        )
    if request.size is None and runtime.has_one_size:
        raise ConfigError(
            f"Files of {runtime.title} take images of one size; found --size any. Omit --size: limner then "
            "predicts images of any size in windows."
        )
    if request.file_format.opset is not None and not runtime.has_opset:
        raise ConfigError(f"--opset is for --to onnx; found --to {request.runtime}. Omit --opset.")
    if request.finish != "outputs" and kind is not DenseLogits:
        raise ConfigError(
            f"Only label maps can be finished as {request.finish} in the file; this model is for the task "
            f"{plan.task!r}. Omit --finish."
        )


def _refuse_taken(folder: Path) -> None:
    """Refuse a folder that is no export, or cannot be written.

    Raises:
        ConfigError: It exists and is not an export.
        DataError: It is a dataset, or cannot be written.
    """
    refuse_dataset(folder)
    refuse_unwritable(folder)
    is_free = not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir()))
    if not is_free and not (folder / EXPORT_CARD).is_file():
        raise ConfigError(
            describe(
                "This exists and is not an export, so it is not replaced",
                where=folder,
                fix="Choose a folder that does not exist yet.",
            )
        )


def _refuse_other_sizes(module: ExportedModule, run: Run, shape: Sequence[int], title: str) -> None:
    """Run a file of any size for sizes of other remainders: tracing may have fixed a padding.

    Raises:
        ModelError: The file does not take one of them.
    """
    for more in (1, 2, 3, 17):
        image = torch.rand(1, shape[1], *(side + more * (axis + 1) for axis, side in enumerate(shape[2:])))
        try:
            with torch.no_grad():
                fits = all(
                    a.shape == tuple(b.shape) for a, b in zip(run(image.numpy()), module(image), strict=True)
                )
        except Exception:  # every runtime has its own errors
            fits = False
        if not fits:
            raise ModelError(
                describe(
                    f"The network cannot be exported for any size: {title} does not take some of them",
                    found=" x ".join(map(str, image.shape[2:])),
                    fix="Omit --size any: the file then takes one size, and limner predicts in windows.",
                )
            )


def _refuse_drop(loss: ScoreDrop, request: ExportRequest) -> None:
    """Refuse a file whose main score is too low.

    Raises:
        ModelError: It lost more than `max_loss`.
    """
    if loss.lost <= request.max_loss:
        return
    precision = request.file_format.precision
    better = "Calibrate with more images (--calibrate FOLDER), use --precision float16"
    raise ModelError(
        describe(
            f"The model loses too much in {precision}, so the export is not kept",
            found=f"{SCORES[loss.main].words} {loss.export[loss.main]:.4f}, of the model "
            f"{loss.model[loss.main]:.4f}, on {loss.images}",
            expected=f"a loss of at most {request.max_loss:g}",
            fix=f"{better if precision == 'int8' else 'Omit --precision'}, or accept it with --max-loss.",
        )
    )


def _refuse_other_labels(agreement: Agreement, request: ExportRequest) -> None:
    """Refuse a file in int8 that finds other classes, where there are no labels to score it.

    Raises:
        ModelError: Too many differ.
    """
    share = agreement.labels_differ
    if request.file_format.precision != "int8" or share is None or share <= MOST_OTHER_LABELS:
        return
    raise ModelError(
        describe(
            "Too many classes differ in int8, so the export is not kept",
            found=f"{100 * share:.2f} % of the classes differ, on {agreement.images}",
            expected=f"at most {100 * MOST_OTHER_LABELS:g} %, as there are no labelled images to score it",
            fix="Calibrate with more images (--calibrate FOLDER), or use --precision float16.",
        )
    )


def _refuse_differing(agreement: Agreement, request: ExportRequest, title: str) -> None:
    if request.tolerance is None or agreement.worst <= request.tolerance:
        return
    name = max(agreement.relative, key=agreement.relative.__getitem__)
    raise ModelError(
        describe(
            f"{title} does not compute the same as the model, so the export is not kept",
            found=f"{name} differs by {agreement.relative[name]:.2g} of its range, on {agreement.images}",
            expected=f"at most {request.tolerance:g}",
            fix="Report it to limner's developers, or export with --to torch.",
        )
    )
