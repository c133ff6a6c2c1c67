import os
import pickle
import subprocess
from collections import OrderedDict

import numpy as np
import pytest
import torch

from limner.core.errors import ModelError
from limner.weights.checkpoint_files import read_checkpoint
from limner.weights.restricted_pickle import ADMITTED, read_restricted_pickle

VALUES = {
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "half": np.float16([1, 2]),
    "number": np.float64(0.5),
    "plain": [1, 2.5, "text", None, True, (b"bytes", {3})],
    "ordered": OrderedDict(a=1),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_values_are_read(tmp_path, protocol):
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps({key: v for key, v in VALUES.items() if key != "plain"}, protocol=protocol))
    found = read_restricted_pickle(path)
    for key in ("array", "fortran", "half", "number"):
        np.testing.assert_array_equal(found[key], VALUES[key])
        assert found[key].dtype == VALUES[key].dtype
    assert found["ordered"] == VALUES["ordered"]


def test_plain_containers_are_read(tmp_path):
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(VALUES["plain"], protocol=4))
    assert read_restricted_pickle(path) == VALUES["plain"]


class Bomb:
    """Runs a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def bombs(witness):
    """What would leave a file behind, by as many roads."""
    command = f"touch {witness}"
    return {
        "posix.system": Bomb(os.system, command),
        "subprocess.Popen": Bomb(subprocess.Popen, ["touch", str(witness)]),
        "builtins.eval": Bomb(eval, f"open({str(witness)!r}, 'w')"),
        "builtins.exec": Bomb(exec, f"open({str(witness)!r}, 'w')"),
        "builtins.getattr": Bomb(getattr, "text", "upper"),
        "io.open": Bomb(open, str(witness), "w"),
    }


@pytest.mark.parametrize("name", bombs("x"))
@pytest.mark.parametrize("form", [".pkl", ".pth", "old.pth"])
def test_a_bomb_is_named_and_nothing_is_run(tmp_path, name, form):
    witness = tmp_path / "witness"
    content = {"model": {"weight": np.ones(3)}, "extra": [bombs(witness)[name]]}
    path = tmp_path / f"bomb{form}"
    if form == ".pkl":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == ".pth")
    with pytest.raises(ModelError, match=f"it references .*{name.split('.')[1]}"):
        read_checkpoint(path)
    assert not witness.exists()
    # It would have gone off.
    if name == "posix.system" and form == ".pkl":
        pickle.loads(path.read_bytes())
        assert witness.exists()


def test_an_admitted_function_cannot_be_a_way_in(tmp_path):
    # Code that loads a pickle inside a pickle, or numpy's own loader, is not admitted either.
    inner = pickle.dumps(Bomb(os.system, f"touch {tmp_path / 'witness'}"))
    for call in (Bomb(pickle.loads, inner), Bomb(np.load, str(tmp_path)), Bomb(torch.load, str(tmp_path))):
        path = tmp_path / "nested.pkl"
        path.write_bytes(pickle.dumps(call))
        with pytest.raises(ModelError, match="it references"):
            read_restricted_pickle(path)
    assert not (tmp_path / "witness").exists()


def test_an_array_of_objects_brings_nothing_else_in(tmp_path):
    path = tmp_path / "objects.pkl"
    path.write_bytes(pickle.dumps({"model": {"weight": np.array([Bomb(os.system, "true")], object)}}))
    with pytest.raises(ModelError, match=r"references posix\.system"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"model": {"weight": np.array(["a", None], object)}}))
    with pytest.raises(ModelError, match="non-numeric array"):
        read_checkpoint(path)


def test_nothing_that_is_admitted_is_written_in_python():
    # Functions written in Python have attributes that a pickle could set.
    own = {name: thing for name, thing in ADMITTED.items() if hasattr(thing, "__code__")}
    assert set(own) <= {("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer")}


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x80\x04\x95", b"hello", b"\x80\x05."])
def test_damage_is_said(tmp_path, content):
    path = tmp_path / "cut.pkl"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot be read: .*cut\.pkl"):
        read_restricted_pickle(path)
