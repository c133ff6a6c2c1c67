"""Supported checkpoints of other projects; `SOURCES` lists them."""

from collections.abc import Mapping

from limner.weights.checkpoint_source import CheckpointSource
from limner.weights.sources.mask2former_checkpoints import MASK2FORMER_DETECTRON2, MASK2FORMER_HUGGING_FACE

SOURCES: Mapping[str, CheckpointSource] = {
    "mask2former-hugging-face": MASK2FORMER_HUGGING_FACE,
    "mask2former-detectron2": MASK2FORMER_DETECTRON2,
}
"""All supported kinds of checkpoints."""
