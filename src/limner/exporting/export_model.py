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
from limner.core.plan import Plan
from limner.core.plan_text import plan_to_yaml
from limner.core.yaml_text import dump_yaml
from limner.exporting.agreement import Agreement, measure_agreement
from limner.exporting.exported_module import FINISHED, ExportedModule, Finish
from limner.exporting.writing import WRITERS, trace
from limner.inference.image_runs import SMALLEST_INPUT
from limner.inference.sliding_window import pad_by_reflection
from limner.storage.output_folder import refuse_dataset
from limner.storage.whole_folders import folder_written_aside
from limner.tasks import find_task
from limner.weights.card import LABELS, PLAN, file_sha256
from limner.weights.exported import EXPORT_CARD, RUNTIMES, ExportCard, Run
from limner.weights.model import Model


@dataclass(frozen=True)
class ExportRequest:
    """How to export a model.

    Attributes:
        runtime: A row of `RUNTIMES`.
        finish: What the file returns.
        size: *S that the file takes; None for any size and batch, if the network can be exported so.
        tolerance: Largest difference of any output, as a fraction of the range of its values.
        licence: Licence of the weights.
        weights_sha256: Hash of the weights.
    """

    runtime: str
    finish: Finish
    size: tuple[int, ...] | None
    tolerance: float
    licence: str | None
    weights_sha256: str


def export_model(
    model: Model,
    folder: Path,
    request: ExportRequest,
    images: Sequence[Tensor],
    *,
    images_are: str,
) -> ExportCard:
    """Write an export folder, run the file in its own runtime, and compare it with the model.

    Args:
        model: On the CPU, in evaluation mode; afterwards its weights need no gradient.
        folder: The folder to write; an existing export is replaced.
        request: How to export.
        images: (1, C, *S) images in file values, for the comparison.
        images_are: What they are, such as ``12 validation images``.

    Raises:
        ConfigError: The request does not suit the model.
        ModelError: The network cannot be exported, or the file differs from the model by more than tolerated.
        MissingPartError: A library is missing.
        WriteError: The folder cannot be written.
    """
    kind = find_task(model.plan.task).output_kind(model.plan.loss)
    _refuse_unsuitable(model.plan, kind, folder, request)
    module = ExportedModule(model, request.finish).eval().requires_grad_(False)
    names = [request.finish] if request.finish != "outputs" else _names(model, images[0])
    channels, size = model.plan.input.channels, request.size
    size = None if size is None else tuple(max(side, SMALLEST_INPUT) for side in size)
    shape = (2, channels, *model.plan.input.crop_size) if size is None else (1, channels, *size)
    program = trace(module, torch.rand(shape), is_free=size is None)
    inputs = [_of_size(image, image.shape[2:] if size is None else size) for image in images]
    with folder_written_aside(folder) as aside:
        runtime = RUNTIMES[request.runtime]
        path = aside / runtime.file
        WRITERS[request.runtime](program, path, names)
        run = runtime.load(path)
        if size is None:
            _refuse_other_sizes(module, run, shape, runtime.title)
        agreement = measure_agreement(module, run, inputs, names, images=images_are)
        _refuse_differing(agreement, request, runtime.title)
        plan = _plan_of(model.plan, size)
        (aside / PLAN).write_text(plan_to_yaml(plan), encoding="utf-8")
        (aside / LABELS).write_text(dump_yaml(model.labels.to_dict()), encoding="utf-8")
        card = ExportCard(
            limner=__version__,
            runtime=request.runtime,
            file=runtime.file,
            kind=kind.__name__ if request.finish == "outputs" else request.finish,
            inputs=_inputs(model.plan, size),
            outputs=_meanings(kind, names),
            classes=[{"name": each.name, "color": list(each.color)} for each in model.labels.classes],
            licence=request.licence,
            weights_sha256=request.weights_sha256,
            sha256={name: file_sha256(aside / name) for name in (runtime.file, PLAN, LABELS)},
            agreement=agreement.to_dict(),
        )
        (aside / EXPORT_CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return card


@torch.no_grad()
def _names(model: Model, image: Tensor) -> list[str]:
    """Return the names of the network's outputs."""
    return list(model(image).tensors())


def _of_size(image: Tensor, size: Sequence[int]) -> Tensor:
    """Cut or pad an image (1, C, *S) to a size around its middle, at least `SMALLEST_INPUT`."""
    size = [max(length, SMALLEST_INPUT) for length in size]
    image = pad_by_reflection(image, size)
    for axis, length in enumerate(size, start=2):
        image = image.narrow(axis, (image.shape[axis] - length) // 2, length)
    return image.contiguous()


def _plan_of(plan: Plan, size: tuple[int, ...] | None) -> Plan:
    """Return the plan with which limner predicts with the file: in windows, if the task can."""
    if size is None or not find_task(plan.task).allowed_with(plan.loss).windows:
        return plan
    inference = plan.inference.model_copy(update={"window": size})
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


def _refuse_unsuitable(plan: Plan, kind: OutputKind, folder: Path, request: ExportRequest) -> None:
    if request.runtime not in RUNTIMES:
        raise UnknownNameError("runtime", request.runtime, RUNTIMES)
    dims = plan.input.spatial_dims
    if request.size is not None and len(request.size) != dims:
        raise ConfigError(f"The size needs {dims} numbers, one for each axis; found {request.size}.")
    if request.finish != "outputs" and kind is not DenseLogits:
        raise ConfigError(
            f"Only label maps can be finished as {request.finish} in the file; this model is for the task "
            f"{plan.task!r}. Omit --finish."
        )
    refuse_dataset(folder)
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
                fits = all(a.shape == b.shape for a, b in zip(run(image), module(image), strict=True))
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


def _refuse_differing(agreement: Agreement, request: ExportRequest, title: str) -> None:
    if agreement.worst <= request.tolerance:
        return
    name = max(agreement.relative, key=agreement.relative.__getitem__)
    raise ModelError(
        describe(
            f"{title} computes something else than the model, so the export is not kept",
            found=f"{name} differs by {agreement.relative[name]:.2g} of its range, on {agreement.images}",
            expected=f"at most {request.tolerance:g}",
            fix="Report it to limner's developers, or export with --to torch.",
        )
    )
