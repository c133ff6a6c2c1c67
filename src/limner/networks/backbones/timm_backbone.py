"""Any timm model as a feature pyramid."""

from typing import Any

import timm
import torch
from torch import nn
from torch.nn import functional as F

from limner.core.errors import ConfigError, UnknownNameError


class TimmBackbone(nn.Module):
    """Feature maps of a timm model, the deepest of each stride.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(self, name: str, *, in_channels: int = 3, output_stride: int = 32) -> None:
        """Build the model with random weights.

        Raises:
            UnknownNameError: timm has no model of that name.
            ConfigError: The model has no feature maps, or none at that stride.
        """
        super().__init__()
        if not timm.is_model(name.split(".")[0]):
            raise UnknownNameError("backbone", name, timm.list_models())
        # Many models only have stride 32 and reject the argument.
        stride: dict[str, Any] = {} if output_stride == 32 else {"output_stride": output_stride}
        # timm's Swin Transformers check for one input size, though their windows do not need it.
        self._pads_input = name.startswith("swin")
        size: dict[str, Any] = {"strict_img_size": False} if self._pads_input else {}
        refusal = f"The timm model {name!r} has no feature maps at output stride {output_stride}"
        try:
            self.model = create_timm_model(name, features_only=True, in_chans=in_channels, **stride, **size)
        except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
            raise ConfigError(f"{refusal}: {error or 'timm rejects it'}") from error
        information: Any = self.model.feature_info
        strides = list(information.reduction())
        if stride and max(strides) > output_stride:  # some models ignore the argument
            raise ConfigError(f"{refusal}: its coarsest map has stride {max(strides)}.")
        # Models without a pyramid repeat a stride; take the deepest map of each.
        self._kept = [index for index, s in enumerate(strides) if s not in strides[index + 1 :]]
        self._channels_last = getattr(self.model, "output_fmt", "NCHW") == "NHWC"
        self.channels = tuple(information.channels()[index] for index in self._kept)
        self.strides = tuple(strides[index] for index in self._kept)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        if self._pads_input:
            patch = self.strides[0]
            images = F.pad(images, [n for size in reversed(images.shape[2:]) for n in (0, -size % patch)])
        features = self.model(images)
        kept = (features[index] for index in self._kept)
        return tuple(f.permute(0, 3, 1, 2) if self._channels_last else f for f in kept)


def create_timm_model(name: str, **options: Any) -> nn.Module:  # noqa: ANN401 - options of timm
    """Return a model of timm; without memory, if modules are being built on the meta device.

    Some versions of timm compute widths or rates of dropped paths with tensors that must have values: they
    build the model in memory first.

    Raises:
        RuntimeError: timm cannot build it.
    """
    try:
        return timm.create_model(name, **options)
    except RuntimeError:  # of which NotImplementedError is one
        if torch.empty(0).device.type != "meta":
            raise
    with torch.device("cpu"):
        return timm.create_model(name, **options).to("meta")
