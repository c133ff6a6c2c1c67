"""Preparation of tensors for safetensors."""

from collections.abc import Mapping
from hashlib import blake2b

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


def tensors_hash(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return a hash of names, shapes, types and bytes."""
    digest = blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(content.numpy().data)
    return digest.hexdigest()
