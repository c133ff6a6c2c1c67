"""Tensors as safetensors takes them."""

from collections.abc import Mapping

import torch


def separate_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors that are contiguous and share no memory, each copied only where it must be."""
    separate: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        whole = tensor.detach().contiguous()
        address = whole.untyped_storage().data_ptr()
        separate[name] = whole.clone() if address in seen else whole
        seen.add(address)
    return separate
