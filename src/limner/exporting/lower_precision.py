"""ONNX files in float16 and in 8-bit integers.

Shape legend: C channels, *S spatial axes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.errors import MissingPartError, ModelError, describe
from limner.storage.disk_problems import disk_problem

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Precision = Literal["float32", "float16", "int8"]
"""How an exported file stores and computes; what it takes and returns is float32 in all cases."""

NORMALIZING = ("Cast", "Clip", "Max", "Min", "Sub", "Div")
"""Operations of the normalisation of images, in their order."""

QUANTIZED = (
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "Mul",
    "Relu",
    "Clip",
    "MaxPool",
    "AveragePool",
    "Concat",
    "Resize",
)
"""Operations computed in 8 bits: those that take the time, and those between them. Normalisation, softmax and
attention's products of two activations stay in float32, where 8 bits cost accuracy and save little."""


@dataclass(frozen=True)
class FileFormat:
    """How a file is written.

    Attributes:
        precision: Its precision.
        opset: Version of ONNX's operators; None for the exporter's default.
        images: (1, C, *S) images for which the ranges of all values are recorded, for ``int8``.
    """

    precision: Precision = "float32"
    opset: int | None = None
    images: Sequence[npt.NDArray[np.float32]] = ()


DEFAULT_FORMAT = FileFormat()
"""In float32, with the usual operators."""


def lower_precision(path: Path, file_format: FileFormat) -> None:
    """Change an ONNX file to another precision.

    Args:
        path: The file in float32; it is replaced.
        file_format: Its precision.

    Raises:
        MissingPartError: A library is missing.
        ModelError: The network cannot be stored so.
    """
    if file_format.precision == "float32":
        return
    try:
        import onnx  # noqa: F401
        import onnxruntime.quantization
        import onnxruntime.transformers.float16  # noqa: F401
    except ImportError as error:
        purpose = f"Export in {file_format.precision}"
        raise MissingPartError("onnx and onnxruntime", purpose, "pip install 'limner[export]'") from error
    try:
        if file_format.precision == "float16":
            _to_float16(path)
        else:
            _to_int8(path, file_format.images)
    except Exception as error:  # the libraries raise many kinds
        if disk_problem(error) is not None:
            raise
        raise ModelError(
            describe(
                f"The network cannot be stored in {file_format.precision}",
                where=path,
                found=(str(error).strip() or type(error).__name__).splitlines()[0][:300],
                fix="Omit --precision.",
            )
        ) from error


def _to_float16(path: Path) -> None:
    """Store and compute in float16 what follows normalisation: file values may exceed its range, 65504."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = onnx.load(path)
    graph = model.graph
    first = _normalization(graph)
    given = onnx.ValueInfoProto()
    given.CopyFrom(graph.input[0])
    if first:
        for node in first:
            graph.node.remove(node)
        graph.input[0].name = first[-1].output[0]
    converted = convert_float_to_float16(model, keep_io_types=True)
    if first:
        converted.graph.input[0].CopyFrom(given)
        constants = {each.name: each for each in onnx.load(path).graph.initializer}
        needed = {name for node in first for name in node.input} & constants.keys()
        for each in [each for each in converted.graph.initializer if each.name in needed]:
            converted.graph.initializer.remove(each)
        converted.graph.initializer.extend(constants[name] for name in sorted(needed))
        for number, node in enumerate(first):
            converted.graph.node.insert(number, node)
        del converted.graph.value_info[:]  # the types of values are inferred again
    OnnxModel(converted).topological_sort()  # conversions of inputs were added at the end
    onnx.checker.check_model(converted)
    onnx.save(converted, path)


def _to_int8(path: Path, images: Sequence[npt.NDArray[np.float32]]) -> None:
    """Store weights in 8 bits per channel, and compute with 8 bits in the ranges of the images.

    Weights use 7 of the 8 bits: processors without instructions for 8-bit products would overflow.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            self._left: Iterator[npt.NDArray[np.float32]] = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._left, None)
            return None if image is None else {"images": image}

    with TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        quantize_static(
            str(prepared),
            str(path),
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=[node.name for node in _normalization(graph)],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"MatMulConstBOnly": True},
        )


def _normalization(graph: "GraphProto") -> list["NodeProto"]:
    """Return the nodes from the images to the division that ends their normalisation; none if unknown."""
    found: list[NodeProto] = []
    name = graph.input[0].name
    while not (found and found[-1].op_type == "Div"):
        users = [node for node in graph.node if name in node.input]
        if len(users) != 1 or users[0].op_type not in NORMALIZING:
            return []
        found.append(users[0])
        name = found[-1].output[0]
    return found
