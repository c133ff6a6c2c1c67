"""Writing a network as a file of another runtime.

Shape legend: B batch, C channels, *S spatial axes.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from limner.core.errors import MissingPartError, ModelError, describe
from limner.storage.disk_problems import write_errors_for


def trace(module: nn.Module, example: Tensor, *, is_free: bool) -> ExportedProgram:
    """Trace a network.

    Args:
        module: The network; returns a tuple of tensors.
        example: (B, C, *S), with B of at least 2 if free.
        is_free: Whether the file takes any batch and image size, or that of the example only.

    Raises:
        ModelError: The network cannot be traced so.
    """
    free = {axis: Dim.DYNAMIC for axis in range(example.ndim) if axis != 1} if is_free else {}
    try:
        with _quiet():
            return torch.export.export(module, (example,), dynamic_shapes=(free,) if free else None)
    except Exception as error:  # PyTorch raises many kinds
        size = " x ".join(map(str, example.shape[2:]))
        raise ModelError(
            describe(
                "The network cannot be exported " + ("for any size" if is_free else f"for images of {size}"),
                found=str(error).strip().splitlines()[0][:300],
                fix="Choose a size that it was trained with: --size HxW." if is_free else "",
            )
        ) from error


def write_program(program: ExportedProgram, path: Path, names: Sequence[str]) -> None:
    """Write a program that `torch.export.load` reads, without limner; its outputs have no names.

    Raises:
        WriteError: The disk is full, read-only or failing.
    """
    del names
    content = BytesIO()  # on a full disk, PyTorch's own writer of files aborts the process
    torch.export.save(program, content)
    with write_errors_for(path):
        path.write_bytes(content.getbuffer())


def write_onnx(program: ExportedProgram, path: Path, names: Sequence[str]) -> None:
    """Write an ONNX file.

    Args:
        program: The traced network.
        path: The file.
        names: Names of the outputs.

    Raises:
        MissingPartError: onnxscript is not installed.
        ModelError: An operation has no equivalent in ONNX.
    """
    try:
        import onnxscript  # noqa: F401 - PyTorch's exporter needs it
    except ImportError as error:
        raise MissingPartError("onnxscript", "Export to ONNX", "pip install 'limner[export]'") from error
    try:
        with _quiet():
            torch.onnx.export(
                program,
                f=path,
                dynamo=True,
                external_data=False,
                input_names=["images"],
                output_names=list(names),
                verbose=False,
            )
    except OSError:  # of the disk
        raise
    except Exception as error:  # PyTorch raises many kinds
        raise ModelError(
            describe(
                "The network cannot be written as ONNX",
                where=path,
                found=str(error).strip().splitlines()[0][:300],
                fix="Export it with --to torch.",
            )
        ) from error


WRITERS: dict[str, Callable[[ExportedProgram, Path, Sequence[str]], None]] = {
    "onnx": write_onnx,
    "torch": write_program,
}
"""How the file of each row of `RUNTIMES` is written."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's own remarks."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
