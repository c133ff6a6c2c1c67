"""How a checkpoint is read, where its tensors fit more than one way and only the caller knows which."""

from typing import Literal

from limner.core.config import Config

SECTION = "checkpoint"
"""Section of these settings in ``--set checkpoint.KEY=VALUE``; a plan does not contain it."""

ChannelOrder = Literal["rgb", "bgr"]

UnknownInput = Literal["normalisation", "channel order", "background"]

IMAGES: frozenset[UnknownInput] = frozenset(("normalisation", "channel order"))
"""What no tensor shows about the images of the training."""

IMAGES_AND_CLASSES: frozenset[UnknownInput] = IMAGES | {"background"}
"""The same for projects that also leave open whether classes are scored by a softmax or a sigmoid each."""


class HowRead(Config):
    """How a checkpoint is read."""

    channel_order: ChannelOrder | None = None
    """Order of the image's channels in the training; null is the order that the import infers."""
    background: bool = False
    """Whether the network scores each class by a sigmoid of its own, so that pixels in which none has a
    positive score are background, which becomes the first class."""
