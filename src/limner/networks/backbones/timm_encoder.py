"""Any timm model as an encoder of whole images: its classifier's input.

Shape legend: B batch, C channels, H and W height and width, F features.
"""

import inspect
from typing import Any

import timm
import torch
from torch import nn
from torch.nn import functional as F

from limner.core.errors import ConfigError, UnknownNameError
from limner.networks.backbones.timm_backbone import create_timm_model

ANY_SIZE: dict[str, Any] = {"dynamic_img_size": True, "dynamic_img_pad": True}
"""Arguments with which timm's transformers accept images of any size."""


class TimmEncoder(nn.Module):
    """A timm model with its own pooling and without its classifier.

    Attributes:
        width: F.
    """

    def __init__(self, name: str, *, in_channels: int = 3) -> None:
        """Build the model with random weights.

        Raises:
            UnknownNameError: timm has no model of that name.
            ConfigError: The model has no classifier to leave out.
        """
        super().__init__()
        architecture = name.split(".")[0]
        if not timm.is_model(architecture):
            raise UnknownNameError("backbone", name, timm.list_models())
        # timm's Swin Transformers check for one input size, though their windows do not need it.
        self._pads_input = architecture.startswith("swin")
        self.model = _created(name, in_channels, strict=not self._pads_input)
        # Of several widths, such as before and after a last convolution, the classifier's input counts.
        self.width = int(getattr(self.model, "head_hidden_size", None) or self.model.num_features)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, F)."""
        if self._pads_input:
            images = F.pad(images, [n for size in reversed(images.shape[2:]) for n in (0, -size % 4)])
        features: torch.Tensor = self.model(images)
        return features


def _created(name: str, in_channels: int, *, strict: bool) -> Any:  # noqa: ANN401 - timm has no types
    """Create the model, for images of any size if it can."""
    entry = timm.model_entrypoint(name)
    is_transformer = "vision_transformer" in (inspect.getmodule(entry) or inspect).__name__.rpartition(".")[2]
    size: dict[str, Any] = ANY_SIZE if is_transformer else {} if strict else {"strict_img_size": False}
    try:
        return create_timm_model(name, num_classes=0, in_chans=in_channels, **size)
    except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
        raise ConfigError(
            f"The timm model {name!r} cannot classify images: {error or 'timm rejects it'}"
        ) from error
