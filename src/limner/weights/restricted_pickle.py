"""Unpickling of numpy arrays, plain values and plain containers only.

A pickle is a program: `pickle.load` can call any function that can be imported. Here, it can only look up the
few names below, which do nothing but build an array, a string or a mapping.
"""

import _codecs
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from limner.core.errors import ModelError, describe

_ARRAY = np.zeros(1, np.float32)


def _admitted() -> dict[tuple[str, str], Any]:
    """Return (module, name) -> allowed object, under the names of numpy 1 and numpy 2."""
    names: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("collections", "OrderedDict"): OrderedDict,
        ("_codecs", "encode"): _codecs.encode,
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = _ARRAY.__reduce__()[0]
        names[f"{core}.multiarray", "scalar"] = np.float32(0).__reduce__()[0]
        names[f"{core}.numeric", "_frombuffer"] = _ARRAY.__reduce_ex__(5)[0]
    return names


ADMITTED = _admitted()
"""All names that a pickle may look up."""


class Refused(pickle.UnpicklingError):
    """The pickle references a `name` that is not allowed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the pickle references {name}")
        self.name = name


class RestrictedUnpickler(pickle.Unpickler):
    """Looks up only what is in `ADMITTED`."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:  # noqa: ANN401 - any allowed object
        """Return the allowed object of a name.

        Raises:
            Refused: The name is not allowed.
        """
        try:
            return ADMITTED[module_name, global_name]
        except KeyError:
            raise Refused(f"{module_name}.{global_name}") from None


def read_restricted_pickle(path: Path) -> Any:  # noqa: ANN401 - any plain value
    """Read a pickle of arrays, plain values and plain containers, without running code from it.

    Raises:
        ModelError: It contains anything else, which the message names, or is damaged.
    """
    try:
        with path.open("rb") as file:
            return _load(file)
    except Refused as error:
        raise ModelError(refusal(path, error.name)) from None
    except Exception as error:  # noqa: BLE001 - a damaged pickle can raise any error
        raise ModelError(
            describe(
                "The pickle cannot be read",
                where=path,
                found=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}",
                fix="It is probably damaged: download or copy it again.",
            )
        ) from error


def refusal(path: Path, name: str) -> str:
    """Return the error message for a pickle that references `name`."""
    return describe(
        "The pickle was rejected, and none of its code was run",
        where=path,
        found=f"it references {name}",
        expected="arrays or tensors, numbers, text, lists and dicts; anything else could run code",
        fix="If you trust its author, get it as .safetensors, or save only its state dict.",
    )


def _load(file: BinaryIO) -> Any:  # noqa: ANN401
    # Some files were pickled by Python 2, whose strings are bytes.
    return RestrictedUnpickler(file, encoding="latin1").load()
