"""Export folders: a network as a file of another runtime, with all that its users need to know.

    exported/
      model.onnx, .pt2 or .pte  images in file values -> outputs; normalisation is inside. Of OpenVINO,
                                model.xml and model.bin
      plan.yaml, labels.yaml    as in a model folder; the plan's window is the size that the file takes
      export.json               input, outputs, classes, licence, hashes, agreement with the model

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.config import Config, parse_config
from limner.core.errors import (
    ConfigError,
    DataError,
    MissingPartError,
    ModelError,
    UnknownNameError,
    describe,
)
from limner.devices.host import num_cores
from limner.weights.card import file_sha256

EXPORT_CARD = "export.json"

FINISHED = {
    "probabilities": "(B, K, *S) float32: probability of each class at each pixel of the image",
    "labels": "(B, *S) int64: index of the class of each pixel of the image",
}
"""Kinds of outputs that need no further step, and so cannot be decoded by limner; and their meaning."""

Array = npt.NDArray[Any]

Run = Callable[[Array], tuple[Array, ...]]
"""Runs an exported file: images (B, C, *S) in float32 -> its outputs, new arrays."""


class ExportCard(Config):
    """`export.json`: content, origin and agreement of an export."""

    limner: str
    """Version of limner that wrote it."""
    runtime: str
    """A row of `RUNTIMES`."""
    precision: str = "float32"
    """How the file stores weights and computes: ``float32``, ``float16`` or ``int8``."""
    file: str
    """Name of the network's file."""
    kind: str
    """Kind of the outputs, such as ``DenseLogits``; with a finish, ``probabilities`` or ``labels``."""
    inputs: dict[str, Any]
    """Name, shape and type of the input, and the values that it takes."""
    outputs: dict[str, Any]
    """Name of each output -> its meaning."""
    classes: list[dict[str, Any]]
    """Name and colour of each class, in the order of the outputs."""
    licence: str | None = None
    """Licence of the weights, if stated."""
    weights_sha256: str
    """SHA-256 of the weights of the model."""
    sha256: dict[str, str]
    """File name -> SHA-256 of its bytes."""
    agreement: dict[str, Any]
    """How the file's outputs differ from the model's, on which images, and how fast both are."""
    scores: dict[str, Any] | None = None
    """In lower precision: the scores of the model and of the file on the same labelled images."""


@dataclass(frozen=True)
class Runtime:
    """One row of `RUNTIMES`: how files of a kind are run.

    Attributes:
        title: Name in a sentence.
        file: Name of the file in the folder.
        load: Opens a file.
        beside: Names of further files of the network, which the runtime finds beside it.
        needs_torch: Whether PyTorch runs the file.
        is_float32: Whether its files are written in float32 only.
        has_one_size: Whether its files take images of one size only.
        has_opset: Whether its files have a version of operators.
    """

    title: str
    file: str
    load: Callable[[Path], Run]
    beside: tuple[str, ...] = ()
    needs_torch: bool = False
    is_float32: bool = False
    has_one_size: bool = False
    has_opset: bool = False


def _load_program(path: Path) -> Run:
    try:
        import torch
    except ImportError as error:
        raise MissingPartError("torch", "Running programs of torch.export", "pip install torch") from error
    module = torch.export.load(path).module()

    def run(images: Array) -> tuple[Array, ...]:
        with torch.no_grad():
            return tuple(each.numpy() for each in module(torch.from_numpy(images)))

    return run


def _load_onnx(path: Path) -> Run:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPartError("onnxruntime", "Running ONNX files", "pip install 'limner[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (name,) = [each.name for each in session.get_inputs()]
    return lambda images: tuple(session.run(None, {name: images}))


def _load_openvino(path: Path) -> Run:
    try:
        import openvino
    except ImportError as error:
        fix = "pip install 'limner[openvino]'"
        raise MissingPartError("openvino", "Running OpenVINO files", fix) from error
    # By default, processors with 16-bit arithmetic compute float32 files in it.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": num_threads()}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    outputs = list(compiled.outputs)

    def run(images: Array) -> tuple[Array, ...]:
        found = compiled([images])
        return tuple(np.array(found[each]) for each in outputs)  # copies: the next run fills the same memory

    return run


def _load_executorch(path: Path) -> Run:
    try:
        import torch
        from executorch.runtime import Runtime as Runner
    except ImportError as error:
        fix = "pip install 'limner[executorch]'"
        raise MissingPartError("executorch", "Running ExecuTorch files", fix) from error
    program = Runner.get().load_program(path)
    method = program.load_method("forward")

    def run(images: Array, _kept: object = program) -> tuple[Array, ...]:
        found = method.execute([torch.from_numpy(images)])
        return tuple(each.numpy().copy() for each in found)  # the next run fills the same memory

    return run


def num_threads() -> int:
    """Return the number of threads to compute with: OMP_NUM_THREADS if set, else one for each core."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    return int(chosen) if chosen.isdecimal() and int(chosen) > 0 else num_cores()


RUNTIMES = {
    "onnx": Runtime("ONNX Runtime", "model.onnx", _load_onnx, has_opset=True),
    "openvino": Runtime("OpenVINO", "model.xml", _load_openvino, ("model.bin",)),
    "torch": Runtime(
        "PyTorch's exported programs", "model.pt2", _load_program, needs_torch=True, is_float32=True
    ),
    "executorch": Runtime(
        "ExecuTorch", "model.pte", _load_executorch, needs_torch=True, is_float32=True, has_one_size=True
    ),
}
"""Runtimes by the name of ``limner export --to``."""


def read_export_card(folder: Path) -> ExportCard:
    """Read and verify an export folder.

    Raises:
        ModelError: It is damaged, or was changed.
    """
    path = folder / EXPORT_CARD
    try:
        card = parse_config(ExportCard, json.loads(path.read_text(encoding="utf-8")), where=str(path))
        for name, written in card.sha256.items():
            if file_sha256(folder / name) != written:
                raise ModelError(
                    describe(
                        "A file of the export was changed or damaged after it was written",
                        where=folder / name,
                        expected=f"SHA-256 {written[:16]}..., according to {EXPORT_CARD}",
                        fix="Export the model again.",
                    )
                )
    except (OSError, ValueError, ConfigError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            describe("The export cannot be read", where=path, found=str(error), fix="Export the model again.")
        ) from error
    return card


def export_folder(path: Path) -> Path | None:
    """Return the folder of an export, given it or the network's file in it; None if it is none."""
    if (path / EXPORT_CARD).is_file():
        return path
    is_file = path.suffix in {Path(row.file).suffix for row in RUNTIMES.values()} and path.is_file()
    return path.parent if is_file and (path.parent / EXPORT_CARD).is_file() else None


def refuse_finished(folder: Path, card: ExportCard) -> None:
    """Refuse an export with `FINISHED` outputs.

    Raises:
        ModelError: The outputs are finished.
    """
    if card.kind in FINISHED:
        raise ModelError(
            describe(
                "This export is for other programs: its outputs are finished",
                where=folder,
                found=card.kind,
                expected="the network's own outputs",
                fix="Export the model with --finish outputs to predict with limner.",
            )
        )


def open_file(runtime: Runtime, path: Path) -> Run:
    """Open a file in its runtime.

    Raises:
        ModelError: The runtime refuses it.
        MissingPartError: The runtime is not installed.
    """
    try:
        return runtime.load(path)
    except MissingPartError:
        raise
    except Exception as error:  # every runtime has its own errors
        raise ModelError(
            describe(f"{runtime.title} cannot open the exported file", where=path, found=str(error))
        ) from error


def open_export(folder: Path, card: ExportCard) -> Run:
    """Open the file of an export; what it returns refuses images of other sizes than it takes.

    Args:
        folder: The folder.
        card: Its description, from `read_export_card`.

    Raises:
        ModelError: The file cannot be opened.
        MissingPartError: Its runtime is not installed.
    """
    if card.runtime not in RUNTIMES:
        raise UnknownNameError("runtime", card.runtime, RUNTIMES)
    run = open_file(RUNTIMES[card.runtime], folder / card.file)
    batch, _, *wanted = card.inputs["shape"]

    def run_checked(images: Array) -> tuple[Array, ...]:
        _refuse_other_size(images, wanted)
        if batch != 1 or len(images) == 1:
            return run(images)
        each = [run(images[i : i + 1]) for i in range(len(images))]
        return tuple(np.concatenate(parts) for parts in zip(*each, strict=True))

    return run_checked


def _refuse_other_size(images: Array, wanted: list[int | str]) -> None:
    """Refuse images (B, C, *S) of another size than the numbers in `wanted`."""
    if all(isinstance(side, int) for side in wanted) and list(images.shape[2:]) != wanted:
        raise DataError(
            describe(
                "The exported file takes images of one size only",
                found=" x ".join(map(str, images.shape[2:])),
                expected=" x ".join(map(str, wanted)),
                fix="Resize or cut the images, or export the model with --size any.",
            )
        )
