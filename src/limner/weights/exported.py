"""Export folders: a network as a file of another runtime, with all that its users need to know.

    exported/
      model.onnx or model.pt2   images in file values -> outputs; normalisation is inside
      plan.yaml, labels.yaml    as in a model folder; the plan's window is the size that the file takes
      export.json               input, outputs, classes, licence, hashes, agreement with the model

Shape legend: B batch, C channels, *S spatial axes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limner.core.config import Config, parse_config
from limner.core.errors import (
    ConfigError,
    DataError,
    MissingPartError,
    ModelError,
    UnknownNameError,
    describe,
)
from limner.core.outputs import Outputs, output_kinds
from limner.devices.precision import without_autocast
from limner.weights.card import file_sha256

EXPORT_CARD = "export.json"

Run = Callable[[Tensor], tuple[Tensor, ...]]
"""Runs an exported file: images (B, C, *S) in float32 -> its outputs."""


class ExportCard(Config):
    """`export.json`: content, origin and agreement of an export."""

    limner: str
    """Version of limner that wrote it."""
    runtime: str
    """A row of `RUNTIMES`."""
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


@dataclass(frozen=True)
class Runtime:
    """One row of `RUNTIMES`: how files of a kind are run.

    Attributes:
        title: Name in a sentence.
        file: Name of the file in the folder.
        load: Opens a file.
    """

    title: str
    file: str
    load: Callable[[Path], Run]


def _load_program(path: Path) -> Run:
    module = torch.export.load(path).module()
    return lambda images: tuple(module(images))


def _load_onnx(path: Path) -> Run:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPartError("onnxruntime", "Running ONNX files", "pip install 'limner[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (name,) = [each.name for each in session.get_inputs()]
    return lambda images: tuple(map(torch.from_numpy, session.run(None, {name: images.numpy()})))


RUNTIMES = {
    "onnx": Runtime("ONNX Runtime", "model.onnx", _load_onnx),
    "torch": Runtime("PyTorch's exported programs", "model.pt2", _load_program),
}
"""Runtimes by the name of ``limner export --to``."""


class ExportedNetwork(nn.Module):
    """An exported file in place of a network; it runs on the CPU, in its own precision.

    Args:
        run: Runs the file.
        card: Its description.
    """

    def __init__(self, run: Run, card: ExportCard) -> None:
        super().__init__()
        self._run = run
        self._kind = output_kinds()[card.kind]
        self._names = tuple(card.outputs)
        self._shape = list(card.inputs["shape"])

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, C, *S) in file values to outputs."""
        wanted = self._shape[2:]
        if all(isinstance(side, int) for side in wanted) and list(images.shape[2:]) != wanted:
            raise DataError(
                describe(
                    "The exported file takes images of one size only",
                    found=" x ".join(map(str, images.shape[2:])),
                    expected=" x ".join(map(str, wanted)),
                    fix="Resize or cut the images, or export the model with --size any.",
                )
            )
        given = images.float().cpu().contiguous()
        with without_autocast(given.device):
            if self._shape[0] != 1 or len(given) == 1:
                found = self._run(given)
            else:
                each = [self._run(given[i : i + 1]) for i in range(len(given))]
                found = tuple(torch.cat(parts) for parts in zip(*each, strict=True))
        named = zip(self._names, found, strict=True)
        return self._kind(**{name: tensor.to(images.device) for name, tensor in named})


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


def load_network(folder: Path, card: ExportCard) -> ExportedNetwork:
    """Open the file of an export.

    Raises:
        ModelError: The file returns finished probabilities or labels, which limner cannot decode further, or
            cannot be opened.
        MissingPartError: Its runtime is not installed.
    """
    if card.runtime not in RUNTIMES:
        raise UnknownNameError("runtime", card.runtime, RUNTIMES)
    kinds = output_kinds()
    if card.kind not in kinds:
        raise ModelError(
            describe(
                "This export is for other programs: its outputs are finished",
                where=folder,
                found=card.kind,
                expected=f"one of {', '.join(kinds)}",
                fix="Export the model with --finish outputs to predict with limner.",
            )
        )
    try:
        run = RUNTIMES[card.runtime].load(folder / card.file)
    except MissingPartError:
        raise
    except Exception as error:  # every runtime has its own errors
        raise ModelError(
            describe("The exported file cannot be opened", where=folder / card.file, found=str(error))
        ) from error
    return ExportedNetwork(run, card)
