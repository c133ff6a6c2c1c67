"""Inference of a Mask2Former's options from the shapes of its tensors.

Only the number of attention heads is not in them: it is in the configuration, or the usual one.
"""

import re
from collections.abc import Iterable, Mapping

import torch

from limner.core.errors import ModelError, describe
from limner.networks.mask2former import LEVELS, Mask2FormerOptions
from limner.weights.checkpoint_files import CONFIG, Checkpoint
from limner.weights.checkpoint_source import NetworkShape
from limner.weights.renaming import tensor_sizes
from limner.weights.sources.facts.backbone_shapes import input_channels, recognize_backbone


def read_shape(tensors: Mapping[str, torch.Tensor], *, heads: int, where: str) -> NetworkShape:
    """Infer the options of a Mask2Former from renamed tensors.

    Options of missing tensors are assumed to be as in the paper, so that the later comparison with the
    network's tensors can report everything that is missing.

    Args:
        tensors: Tensors of the whole network.
        heads: Number of attention heads.
        where: The checkpoint, for the error message.

    Raises:
        ModelError: The backbone is not supported, or the shapes are inconsistent.
    """
    sizes = tensor_sizes(tensors)
    backbone = recognize_backbone(sizes, where)
    queries = sizes.get("query_decoder.query_feat", (100, 256))
    offsets = sizes.get("pixel_decoder.layers.0.self_attn.sampling_offsets.bias", (2 * LEVELS * 4 * heads,))[
        0
    ]
    points = offsets // (2 * LEVELS * heads)
    if points * 2 * LEVELS * heads != offsets or queries[1] % heads:
        numbers = f"{offsets} sampling offsets, {queries[1]} channels"
        raise ModelError(
            describe(f"{heads} attention heads do not fit the tensors", where=where, found=numbers)
        )
    found = {
        "backbone": backbone,
        "backbone_norm": _backbone_norm(sizes),
        "num_queries": queries[0],
        "channels": queries[1],
        "heads": heads,
        "points": points,
        "pixel_layers": _count(sizes, r"pixel_decoder\.layers\.(\d+)\."),
        "pixel_feedforward": sizes.get("pixel_decoder.layers.0.feedforward.linear1.bias", (1024,))[0],
        "decoder_layers": _count(sizes, r"query_decoder\.layers\.(\d+)\."),
        "decoder_feedforward": sizes.get("query_decoder.layers.0.feedforward.linear1.bias", (2048,))[0],
    }
    usual = Mask2FormerOptions().model_dump()
    options = {name: value for name, value in found.items() if name == "backbone" or value != usual[name]}
    classes = sizes.get("query_decoder.head.class_embed.bias", (0,))[0] - 1
    if classes < 1:
        raise ModelError(
            describe(
                "The checkpoint has no class head, so its classes are unknown",
                where=where,
                expected="its head: class_predictor, or sem_seg_head.predictor.class_embed",
                fix="Save the whole network (Mask2FormerForUniversalSegmentation), not only its base model.",
            )
        )
    summary = f"mask2former, {backbone}, {queries[0]} queries"
    return NetworkShape("mask2former", options, classes, input_channels(sizes), summary)


def _backbone_norm(sizes: Iterable[str]) -> str:
    """Distinguish frozen batch norms, which do not count batches, from trained ones."""
    norms = [name for name in sizes if re.match(r"backbone\..*\.running_var$", name)]
    counted = any(name.endswith("num_batches_tracked") for name in sizes)
    return "frozen" if norms and not counted else "trained"


def _count(sizes: Iterable[str], pattern: str) -> int:
    return 1 + max((int(match[1]) for name in sizes if (match := re.match(pattern, name))), default=-1)


def infer_heads(checkpoint: Checkpoint) -> int:
    """Return the number of attention heads, which cannot be inferred from tensors.

    Raises:
        ModelError: The checkpoint is of another architecture, or of an unsupported variant.
    """
    config = checkpoint.config
    kind = config.get("model_type", "mask2former")
    if kind != "mask2former":
        raise ModelError(
            describe(
                "The checkpoint is of another architecture",
                where=checkpoint.path / CONFIG,
                found=f"model_type {kind!r}",
                expected="model_type 'mask2former'",
            )
        )
    fixed = {"pre_norm": False, "common_stride": 4, "activation_function": "relu"}
    other = [f"{key} {config[key]!r}" for key, value in fixed.items() if config.get(key, value) != value]
    if other:
        raise ModelError(
            describe(
                "The checkpoint is an unsupported variant of Mask2Former",
                where=checkpoint.path / CONFIG,
                found=", ".join(other),
                expected=", ".join(f"{key} {value!r}" for key, value in fixed.items()),
            )
        )
    return int(config.get("num_attention_heads", 8))
