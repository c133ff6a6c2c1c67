"""EMANet: pixels are reconstructed from a few bases that expectation-maximisation finds in each image.

Paper: Expectation-Maximization Attention Networks for Semantic Segmentation (Li et al., ICCV 2019),
https://arxiv.org/abs/1907.13426. Authors' code: https://github.com/XiaLiPKU/EMANet (GPL-3.0 licence; not
used here).

What differs, and why: the network itself maintains the moving average of the bases, so any training loop
updates it: once per optimizer step, with the mean over all images of the step. By default the head
concatenates its input and there is an auxiliary head, as in mmsegmentation (Apache-2.0), so its published
scores apply; the authors have neither.

Shape legend: B batch, C channels, h and w the map's height and width, N = h * w pixels, J bases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import torch
from pydantic import Field
from torch import distributed, nn
from torch.nn import functional as F

from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.networks.backbones import Pretrained
from limner.networks.context_network import AlignedOptions, ContextNetwork, JoinedWithInput
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

Method = TypeVar("Method", bound=Callable[..., Any])


def _not_compiled(method: Method) -> Method:
    """Exclude a method from compiled graphs, like torch.compiler.disable, which is slow to import."""
    method._torchdynamo_disable = True  # type: ignore[attr-defined]
    return method


class EMANetOptions(AlignedOptions):
    """Options of `EMANet`."""

    bases: Width = 64
    """Number of bases per image."""
    iterations: Width = 3
    """Number of EM iterations."""
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Momentum of the moving average of the bases, per optimizer step."""
    attention_channels: Width | None = None
    """Channels of the pixels and the bases; defaults to a quarter of the backbone's."""
    joins_input: bool = True
    """Fuse the result with the backbone's map by another convolution; false in the authors' code."""


class EMANet(ContextNetwork):
    """Dilated backbone, expectation-maximisation attention, classifier."""

    share = 8

    def __init__(
        self,
        options: EMANetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__(options, num_classes=num_classes, in_channels=in_channels, pretrained=pretrained)
        width = options.attention_channels or self.deep // 4
        attention = EMAttention(
            width, bases=options.bases, iterations=options.iterations, momentum=options.momentum
        )
        head = nn.Sequential(ConvNormAct(self.deep, width), attention, ConvNormAct(width, self.channels))
        self.context = JoinedWithInput(head, self.deep, self.channels) if options.joins_input else head
        initialize(self.context)


@dataclass
class _Step:
    """State of the current optimizer step.

    Attributes:
        state: Version of the weights and device, which identify the step.
        first_bases: (1, C, J), the average at the beginning of the step.
        seen: (1, C + 1, J): the sum of the images' bases on all devices, and in the last row the number of
            images.
    """

    state: tuple[int, torch.device]
    first_bases: torch.Tensor
    seen: torch.Tensor


class EMAttention(nn.Module):
    """Reconstruct every pixel from the image's bases and add the result to the pixel."""

    bases: torch.Tensor

    def __init__(self, channels: int, *, bases: int, iterations: int, momentum: float) -> None:
        """Build the module with random bases of unit length."""
        super().__init__()
        self.iterations = iterations
        self.momentum = momentum
        self.register_buffer("bases", F.normalize(torch.randn(1, channels, bases), dim=1))
        # As in the authors' code, no gradient reaches this projection: the EM iterations are not
        # differentiated.
        self.project = nn.Conv2d(channels, channels, 1).requires_grad_(False)
        self.restore = ConvNormAct(channels, channels, 1, activation="none")
        self._step: _Step | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        rebuilt = self.restore(self._reconstruct(x))
        return F.relu(x + rebuilt, inplace=True)

    @torch.no_grad()
    def _reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        pixels = self.project(x).flatten(2)  # (B, C, N)
        first = self._begin_step() if self.training else self.bases
        bases = first.to(pixels.dtype).expand(len(x), -1, -1)  # (B, C, J)
        for _ in range(self.iterations):
            # Section 3.3 of the paper: responsibilities of the bases, then the weighted mean of each.
            belonging = (pixels.transpose(1, 2) @ bases).softmax(dim=2)  # (B, N, J)
            weights = F.normalize(belonging, p=1, dim=1).to(pixels.dtype)
            bases = F.normalize(pixels @ weights, dim=1).to(pixels.dtype)
        if self.training:
            self._move_average(bases)
        rebuilt: torch.Tensor = bases @ belonging.to(pixels.dtype).transpose(1, 2)  # (B, C, N)
        return rebuilt.view_as(x).relu_()

    @_not_compiled
    def _begin_step(self) -> torch.Tensor:
        """Return the bases at the beginning of the step; a new step begins when the weights have changed.

        Optimizers change weights in place, which increments their version. So several forward passes with
        accumulated gradients count as one step in any training loop.
        """
        state = (self.restore.conv.weight._version, self.bases.device)
        if self._step is None or self._step.state != state:
            channels, bases = self.bases.shape[1:]
            self._step = _Step(state, self.bases.clone(), self.bases.new_zeros(1, channels + 1, bases))
        return self._step.first_bases

    @_not_compiled
    def _move_average(self, bases: torch.Tensor) -> None:
        """Update the average with the images of this step so far, on all devices."""
        step = self._step
        assert step is not None, "_begin_step comes first"
        count = bases.new_full((1, 1, bases.shape[2]), len(bases), dtype=torch.float32)
        # Sum and count in one tensor, so that one all-reduce is enough.
        seen = torch.cat((bases.float().sum(dim=0, keepdim=True), count), dim=1)  # (1, C + 1, J)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(seen)
        step.seen += seen
        mean = step.seen[:, :-1] / step.seen[:, -1:]
        self.bases.copy_(torch.lerp(mean, step.first_bases, self.momentum))


ENTRY = NetworkEntry(
    build=EMANet,
    options=EMANetOptions,
    title="EMANet",
    paper="Expectation-Maximization Attention Networks for Semantic Segmentation",
    year=2019,
    family="context",
    url="https://arxiv.org/abs/1907.13426",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/XiaLiPKU/EMANet",
    licence="GPL-3.0",
    good_for="Objects and scenes at stride 8, with attention that costs little more than a convolution.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet50s, as in the paper": {
            "backbone": "resnet50s",
            "multi_grid": (1, 2, 4),
            "joins_input": False,
            "auxiliary": False,
        },
    },
)
