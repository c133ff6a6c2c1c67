"""Models whose parameters, gradients and optimizer state are divided between processes (FSDP).

Where a replica does not fit on a device, each process keeps a part of every parameter: of its first axis, as
`torch.chunk` divides it. A block's parameters are gathered from all processes before it computes and freed
afterwards, and its gradients are averaged and divided in one exchange: ZeRO-3 (Rajbhandari et al., "ZeRO", SC
2020), here by `torch.distributed.fsdp.fully_shard`. A divided tensor is a `DTensor`; the functions of
this file accept ordinary ones, too, which are whole in every process.
"""

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed, nn

from limner.core.errors import ConfigError
from limner.layers.blocks import find_blocks

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor

Module = TypeVar("Module", bound=nn.Module)

_meshes: "list[DeviceMesh]" = []
"""The device meshes over which models of this process are divided."""


def shard(module: nn.Module, device: torch.device) -> None:
    """Divide the parameters of a module between all processes, and move it to a device, block by block.

    Args:
        module: On the CPU, with equal weights in every process.
        device: Device of this process.

    Raises:
        ConfigError: A parameter is a scalar, which cannot be divided; or this PyTorch cannot divide models on
            a CPU.
    """
    # Imported here, since only runs that need it should wait for it.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    _refuse_scalars(module)
    # Of outputs that are views: changing one in place is an error of PyTorch, and nothing here does.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module", category=UserWarning)
    for parameter in module.parameters():
        parameter.data = parameter.data.contiguous()
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    _meshes.append(mesh)
    for block in find_blocks(module):
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)
    if device.type != "cpu":
        return
    for part in module.modules():
        if isinstance(part, FSDPModule):
            _sum_only(part)


def leave_meshes() -> None:
    """Release the process group, which the device meshes in PyTorch's caches of tensor layouts hold."""
    while _meshes:
        getattr(_meshes.pop(), "_pg_registry", {}).clear()


def is_sharded(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is divided between processes."""
    return hasattr(tensor, "full_tensor")


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """Return this process's part of a tensor, in the same memory; the tensor itself if it is whole."""
    if not is_sharded(tensor):
        return tensor
    with torch.no_grad():
        return _as_dtensor(tensor).to_local()


def gather_whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return the whole tensor; if it is divided, all processes must call this together."""
    if not is_sharded(tensor):
        return tensor
    with torch.no_grad():
        return _as_dtensor(tensor).full_tensor()


def shard_like(like: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Return a whole tensor divided as another one of its shape is; itself if that is whole.

    Processes do not communicate: each takes its part of the tensor that it has.
    """
    if not is_sharded(like):
        return whole
    held = _as_dtensor(like)
    rank, parts = held.device_mesh.get_local_rank(), whole.chunk(held.device_mesh.size())
    part = parts[rank] if rank < len(parts) else whole[:0]
    return type(held).from_local(
        part.to(held.device, copy=True),
        held.device_mesh,
        held.placements,
        run_check=False,
        shape=held.shape,
        stride=held.stride(),
    )


def load_whole(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load a state dict of whole tensors into a module that may be divided."""
    held = module.state_dict()
    module.load_state_dict({n: shard_like(held[n], t) if n in held else t for n, t in tensors.items()})


def without_weights(module: Module, device: torch.device) -> Module:
    """Return a copy of a module whose parameters have no memory, in evaluation mode on a device.

    Args:
        module: Not yet divided.
        device: Device of the copy's buffers, and later of its weights.
    """
    memo: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False)
        for p in module.parameters()
    }
    copied = copy.deepcopy(module, memo).eval()
    move: Any = copied._apply  # untyped in PyTorch
    move(lambda tensor: tensor if tensor.is_meta else tensor.to(device))
    return copied


@contextmanager
def gathered_weights(module: nn.Module, *, held_by: nn.Module) -> Iterator[None]:
    """Give a module all weights of a divided one inside the block, in every process.

    Buffers of the two are the same afterwards. All processes must enter the block together.

    Args:
        module: A copy by `without_weights`.
        held_by: The divided module.
    """
    empty = dict(module.named_parameters(remove_duplicate=False))
    whole = {name: gather_whole(tensor) for name, tensor in held_by.state_dict().items()}
    module.load_state_dict(whole, assign=True)
    del whole
    try:
        yield
    finally:
        module.load_state_dict(empty, assign=True, strict=False)


def _as_dtensor(tensor: torch.Tensor) -> "DTensor":
    from torch.distributed.tensor import DTensor

    assert isinstance(tensor, DTensor)
    return tensor


def _sum_only(part: Any) -> None:  # noqa: ANN401 - PyTorch's class
    """Let a divided module sum and divide by itself, since gloo cannot average.

    Raises:
        ConfigError: This PyTorch cannot.
    """
    if not hasattr(part, "set_force_sum_reduction_for_comms"):
        raise ConfigError(
            f"train.sharding=full: PyTorch {torch.__version__} divides models on accelerators only. Update "
            "it, or use --set train.sharding=none."
        )
    part.set_force_sum_reduction_for_comms(True)  # noqa: FBT003 - PyTorch's function


def _refuse_scalars(module: nn.Module) -> None:
    scalars = [name for name, parameter in module.named_parameters() if parameter.ndim == 0]
    if scalars:
        raise ConfigError(
            "train.sharding=full cannot divide parameters that are single numbers: "
            f"{', '.join(scalars[:3])}. Use --set train.sharding=none, or another network."
        )
