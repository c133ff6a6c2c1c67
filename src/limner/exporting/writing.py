"""Writing a network as a file of another runtime.

Shape legend: B batch, C channels, *S spatial axes.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import config as tracing

from limner.core.errors import ConfigError, MissingPartError, ModelError, describe
from limner.exporting.lower_precision import DEFAULT_FORMAT, FileFormat, lower_precision
from limner.storage.disk_problems import disk_problem
from limner.storage.whole_files import write_whole


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
        with _quiet(), _without_stack_traces():
            return torch.export.export(module, (example,), dynamic_shapes=(free,) if free else None)
    except Exception as error:  # PyTorch raises many kinds
        size = " x ".join(map(str, example.shape[2:]))
        raise ModelError(
            describe(
                "The network cannot be exported " + ("for any size" if is_free else f"for images of {size}"),
                found=str(error).strip().splitlines()[0][:300],
                fix="Choose a size that it was trained with: --size HxW."
                if is_free
                else "Choose another size, such as that of the crops in training: omit --size.",
            )
        ) from error


def write_program(
    program: ExportedProgram, path: Path, names: Sequence[str], file_format: FileFormat = DEFAULT_FORMAT
) -> None:
    """Write a program that `torch.export.load` reads, without limner; its outputs have no names.

    Raises:
        WriteError: The disk is full, read-only or failing.
    """
    assert file_format.precision == "float32", "`export_model` refuses others"
    del names
    packed = BytesIO()  # PyTorch's own writing ends with a crash of its writer where the disk is full
    torch.export.save(program, packed)
    write_whole(path, packed.getvalue())


def write_onnx(
    program: ExportedProgram, path: Path, names: Sequence[str], file_format: FileFormat = DEFAULT_FORMAT
) -> None:
    """Write an ONNX file.

    Args:
        program: The traced network.
        path: The file.
        names: Names of the outputs.
        file_format: Its precision and version of operators.

    Raises:
        MissingPartError: onnxscript is not installed.
        ConfigError: The version of operators does not exist, or is too old.
        ModelError: An operation has no equivalent in ONNX.
    """
    try:
        import onnxscript  # noqa: F401 - PyTorch's exporter needs it
    except ImportError as error:
        raise MissingPartError("onnxscript", "Export to ONNX", "pip install 'limner[export]'") from error
    opset = file_format.opset
    _refuse_new_opset(opset)
    try:
        with _quiet():
            torch.onnx.export(
                program,
                f=path,
                dynamo=True,
                external_data=False,
                opset_version=opset,
                input_names=["images"],
                output_names=list(names),
                verbose=False,
            )
    except Exception as error:  # PyTorch raises many kinds
        if disk_problem(error) is not None:
            raise
        raise ModelError(
            describe(
                "The network cannot be written as ONNX",
                where=path,
                found=str(error).strip().splitlines()[0][:300],
                fix="Export it with --to torch.",
            )
        ) from error
    _refuse_other_opset(path, opset)
    with _quiet():
        lower_precision(path, file_format)


def _refuse_new_opset(opset: int | None) -> None:
    """Refuse a version of operators that the installed ONNX does not have.

    Raises:
        ConfigError: The installed ONNX does not have it.
    """
    import onnx

    newest: int = onnx.defs.onnx_opset_version()
    if opset is not None and not 1 <= opset <= newest:
        raise ConfigError(
            describe(
                "There is no such version of ONNX's operators",
                found=f"--opset {opset}",
                expected=f"at most {newest}, of the installed ONNX {onnx.__version__}",
                fix="Omit --opset.",
            )
        )


def _refuse_other_opset(path: Path, opset: int | None) -> None:
    """Refuse a file whose version of operators is not the wanted one: PyTorch keeps its own if it must.

    Raises:
        ConfigError: The file has another version.
    """
    if opset is None:
        return
    import onnx

    written = next(each.version for each in onnx.load(path).opset_import if not each.domain)
    if written != opset:
        raise ConfigError(
            describe(
                "The network cannot be written with such an old version of ONNX's operators",
                found=f"--opset {opset}",
                expected=f"{written} or newer",
                fix="Omit --opset, and use a runtime that has these operators.",
            )
        )


def write_openvino(
    program: ExportedProgram, path: Path, names: Sequence[str], file_format: FileFormat = DEFAULT_FORMAT
) -> None:
    """Write the two files of OpenVINO, by way of ONNX; for the arguments and errors, see `write_onnx`.

    In float16, the weights are stored so, and OpenVINO chooses how to compute with them.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingPartError("openvino", "Export to OpenVINO", "pip install 'limner[openvino]'") from error
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        is_half = file_format.precision == "float16"
        write_onnx(
            program, file, names, replace(file_format, precision="float32") if is_half else file_format
        )
        try:
            with _quiet():
                made = Path(folder) / path.name
                openvino.save_model(openvino.convert_model(file), made, compress_to_fp16=is_half)
        except Exception as error:  # its errors have no common kind
            if disk_problem(error) is not None:
                raise
            raise ModelError(
                describe(
                    "The network cannot be written for OpenVINO",
                    where=path,
                    found=str(error).strip().splitlines()[0][:300],
                    fix="Free space in the folder for temporary files, or export it with --to onnx.",
                )
            ) from error
        # OpenVINO does not report a full disk, so its files are written elsewhere and copied.
        for suffix in (".xml", ".bin"):
            shutil.copyfile(made.with_suffix(suffix), path.with_suffix(suffix))


def write_executorch(
    program: ExportedProgram, path: Path, names: Sequence[str], file_format: FileFormat = DEFAULT_FORMAT
) -> None:
    """Write a program of ExecuTorch, for phones and boards; XNNPACK runs the layers that it has.

    Raises:
        MissingPartError: executorch is not installed.
        ModelError: An operation has no equivalent in ExecuTorch.
        WriteError: The disk is full, read-only or failing.
    """
    assert file_format.precision == "float32", "`export_model` refuses others"
    del names
    try:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
    except ImportError as error:
        fix = "pip install 'limner[executorch]'"
        raise MissingPartError("executorch", "Export to ExecuTorch", fix) from error
    try:
        with _quiet():
            # ExecuTorch refuses weights that are channels-last in memory, as models on a CPU have them.
            module = program.module().to(memory_format=torch.contiguous_format)
            arguments, _ = program.example_inputs
            lowered = to_edge_transform_and_lower(
                torch.export.export(module, arguments), partitioner=[XnnpackPartitioner()]
            )
            content = bytes(lowered.to_executorch().buffer)
    except Exception as error:  # its errors have no common kind
        raise ModelError(
            describe(
                "The network cannot be written for ExecuTorch",
                where=path,
                found=(str(error).strip() or type(error).__name__).splitlines()[0][:300],
                fix="Export it with --to torch or --to onnx.",
            )
        ) from error
    write_whole(path, content)


WRITERS: dict[str, Callable[[ExportedProgram, Path, Sequence[str], FileFormat], None]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "torch": write_program,
    "executorch": write_executorch,
}
"""How the file of each row of `RUNTIMES` is written."""


@contextmanager
def _without_stack_traces() -> Iterator[None]:
    """Trace without the lines of code behind each operation, which would be in the file, with local paths."""
    before = getattr(tracing, "do_not_emit_stack_traces", False)  # older versions of PyTorch ignore it
    tracing.do_not_emit_stack_traces = True
    try:
        yield
    finally:
        tracing.do_not_emit_stack_traces = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's own messages."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
