"""Preparation of tensors for safetensors."""

from collections.abc import Mapping

import torch


def separate_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return contiguous tensors that share no memory, copied only if necessary."""
    separate: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        whole = tensor.detach().contiguous()
        address = whole.untyped_storage().data_ptr()
        separate[name] = whole.clone() if address in seen else whole
        seen.add(address)
    return separate
