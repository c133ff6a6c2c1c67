"""A device of a plug-in that nobody has heard of: `stand_in`, whose tensors are the CPU's behind a wall.

PyTorch keeps one type of device for plug-ins, PrivateUse1, as which NPU, MLU and MUSA are registered. This
one is registered in Python alone. As on other devices, its tensors do not mix with those of the CPU, have no
numpy arrays, and whoever reads a value waits for it, which `forbid_waiting` makes an error.

Registering cannot be undone, so it is for a process of its own.
"""

from contextlib import contextmanager
from types import ModuleType

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

NAME, PRODUCT = "stand_in", "Stand-in 9000"

aten = torch.ops.aten

COPIES = {aten._to_copy, aten.copy_, aten.to}

WAITING = {
    aten._local_scalar_dense.default,
    aten.bincount.default,
    aten.equal.default,
    aten.masked_select.default,
    aten.nonzero.default,
    aten._unique2.default,
    aten.repeat_interleave.Tensor,
}
"""Operators whose result, or the size of it, the host needs."""

BY_MASK = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
"""Operators that look for the true elements first if an index is a mask; indices may be on the CPU."""

_is_waiting_forbidden = False
_waited: list[str] | None = None


@contextmanager
def forbid_waiting():
    """Within the block, whatever waits for the device is an error, as by `torch.cuda.set_sync_debug_mode`."""
    global _is_waiting_forbidden
    _is_waiting_forbidden = True
    try:
        yield
    finally:
        _is_waiting_forbidden = False


@contextmanager
def count_waiting():
    """Yield a list, to which the names of operators are added that wait for the device within the block."""
    global _waited
    _waited = []
    try:
        with forbid_waiting():
            yield _waited
    finally:
        _waited = None


class StandInTensor(torch.Tensor):
    """A tensor on the device; `inner` is the CPU's with its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        # Views of ordinary tensors must be ordinary ones, even in inference.
        with torch.inference_mode(False):
            return torch.Tensor._make_wrapper_subclass(
                cls,
                inner.size(),
                strides=inner.stride(),
                storage_offset=inner.storage_offset(),
                dtype=inner.dtype,
                device=torch.device(NAME, 0),
            )

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f"StandInTensor({self.inner})"

    def tolist(self):
        return self.cpu().tolist()

    def untyped_storage(self):
        return self.inner.untyped_storage()

    def __tensor_flatten__(self):
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return StandInTensor(inner["inner"])

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


class Factories(TorchDispatchMode):
    """Makes tensors on the device, of which no argument tells."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


def compute(function, args, kwargs):
    """Run an operator with the tensors inside, and wrap its results."""
    leaves = tree_flatten((args, kwargs))[0]
    ours = {id(leaf.inner): leaf for leaf in leaves if isinstance(leaf, StandInTensor)}
    others = [
        leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and not isinstance(leaf, StandInTensor)
    ]
    devices = [leaf.type for leaf in leaves if isinstance(leaf, torch.device)]
    if not ours and NAME not in devices:
        return function(*args, **kwargs)
    is_copy = function.overloadpacket in COPIES
    if not is_copy and function not in BY_MASK and any(other.ndim for other in others):
        raise RuntimeError(f"{function}: tensors on {NAME} and on cpu")
    # With its output's size, it need not look at the numbers of repetitions.
    is_sized = function is aten.repeat_interleave.Tensor and kwargs.get("output_size") is not None
    if _is_waiting_forbidden and not is_sized:
        to_cpu = devices == ["cpu"] or bool(others and ours and args[0] is others[0])
        refuse_waiting(function, args, copies_out=is_copy and to_cpu)
    inside = tree_map(_unwrapped, (args, kwargs))
    found = function(*inside[0], **inside[1])
    stays = {id(other) for other in others}

    def wrap(leaf):
        if not isinstance(leaf, torch.Tensor) or devices == ["cpu"]:
            return leaf
        if id(leaf) in ours:
            return ours[id(leaf)]
        if id(leaf) in stays:
            return StandInTensor(leaf.clone()) if NAME in devices else leaf
        return StandInTensor(leaf)

    return tree_map(wrap, found)


def refuse_waiting(function, args, *, copies_out):
    """Raise an error for an operator that waits for the device."""
    indices = args[1] if function in BY_MASK else ()
    masks = [index for index in indices if isinstance(index, torch.Tensor) and index.dtype == torch.bool]
    if function in WAITING or copies_out or masks:
        note_waiting(f"{function} waits for the device")


def note_waiting(what):
    """Raise an error, or count it."""
    if _waited is None:
        raise RuntimeError(what)
    _waited.append(what)


def _unwrapped(leaf):
    if isinstance(leaf, StandInTensor):
        return leaf.inner
    return torch.device("cpu") if isinstance(leaf, torch.device) and leaf.type == NAME else leaf


def register():
    """Make the device known to PyTorch, as its only accelerator."""
    module = ModuleType(f"torch.{NAME}")
    answers = {
        "is_available": True,
        "is_initialized": True,
        "_is_in_bad_fork": False,
        "device_count": 1,
        "current_device": 0,
        "get_device_name": PRODUCT,
        "mem_get_info": (3 * 2**30, 4 * 2**30),
        "max_memory_allocated": 5 * 10**8,
        "is_bf16_supported": False,
        "get_amp_supported_dtype": [torch.bfloat16, torch.float16],
    }
    for name, answer in answers.items():
        setattr(module, name, lambda *_, answer=answer: answer)
    for name in ("manual_seed_all", "manual_seed", "set_device", "empty_cache", "reset_peak_memory_stats"):
        setattr(module, name, lambda *_: None)
    torch.utils.backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=module)
    # Guards in Python cannot wait for a device.
    torch.accelerator.synchronize = lambda device=None: None
    KERNELS.impl("empty.memory_format", make_empty, "PrivateUse1")
    KERNELS.impl("empty_strided", make_strided, "PrivateUse1")
    KERNELS.impl("_copy_from", copy_from, "PrivateUse1")
    Factories().__enter__()


KERNELS = torch.library.Library("aten", "IMPL")
"""What `torch.tensor(..., device=...)` calls, and factories in other threads, which `Factories` misses."""


def make_empty(size, *, dtype=None, memory_format=None, **_):
    made = torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format)
    return StandInTensor(made)


def make_strided(size, stride, *, dtype=None, **_):
    return StandInTensor(torch.empty_strided(size, stride, dtype=dtype))


def copy_from(source, target, non_blocking=False):
    if _is_waiting_forbidden and not non_blocking:
        note_waiting("a copy waits for the device")
    _unwrapped(target).copy_(_unwrapped(source))
    return target
