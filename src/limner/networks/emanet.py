"""EMANet: pixels are rebuilt from a few bases that expectation-maximisation finds in each image.

Paper: Expectation-Maximization Attention Networks for Semantic Segmentation (Li et al., ICCV 2019),
https://arxiv.org/abs/1907.13426. Authors' code: https://github.com/XiaLiPKU/EMANet (GPL-3.0 licence; none of
it is here).

What differs, and why: the moving average of the bases is kept inside the network, so that any training loop
gets it; it moves once per optimizer step, by the mean over all images of the step. By default the head joins
its input and there is a side head, as in mmsegmentation (Apache-2.0), whose measured scores then apply;
neither is the authors'.

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
from limner.networks.context_network import ContextNetwork, ContextOptions, JoinedWithInput
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

Method = TypeVar("Method", bound=Callable[..., Any])


def _not_compiled(method: Method) -> Method:
    """Keep a method out of compiled graphs: the mark of torch.compiler.disable, which is slow to import."""
    method._torchdynamo_disable = True  # type: ignore[attr-defined]
    return method


class EMANetOptions(ContextOptions):
    """Options of `EMANet`."""

    bases: Width = 64
    """How many bases describe an image."""
    iterations: Width = 3
    """Rounds of expectation and maximisation."""
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the bases that an optimizer step keeps."""
    attention_channels: Width | None = None
    """Channels of the pixels and the bases; null takes a quarter of the backbone's."""
    joins_input: bool = True
    """Join the result with the backbone's map by one more convolution; false is the authors'."""


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
    """What one optimizer step has seen so far.

    Attributes:
        state: Version of the weights, and device, that tell one step from the next.
        first_bases: (1, C, J), the average when the step began.
        seen: (1, C + 1, J): the sum of the images' bases on all devices, and in the last row their number.
    """

    state: tuple[int, torch.device]
    first_bases: torch.Tensor
    seen: torch.Tensor


class EMAttention(nn.Module):
    """Rebuild every pixel from the image's bases, and add that to the pixel."""

    bases: torch.Tensor

    def __init__(self, channels: int, *, bases: int, iterations: int, momentum: float) -> None:
        """Build the module with random bases of length one."""
        super().__init__()
        self.iterations = iterations
        self.momentum = momentum
        self.register_buffer("bases", F.normalize(torch.randn(1, channels, bases), dim=1))
        # No gradient reaches this projection in the authors' code either: the rounds are not differentiated.
        self.project = nn.Conv2d(channels, channels, 1).requires_grad_(False)
        self.restore = ConvNormAct(channels, channels, 1, activation="none")
        self._step: _Step | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        rebuilt = self.restore(self._rebuild(x))
        return F.relu(x + rebuilt, inplace=True)

    @torch.no_grad()
    def _rebuild(self, x: torch.Tensor) -> torch.Tensor:
        pixels = self.project(x).flatten(2)  # (B, C, N)
        first = self._begin_step() if self.training else self.bases
        bases = first.to(pixels.dtype).expand(len(x), -1, -1)  # (B, C, J)
        for _ in range(self.iterations):
            # Section 3.3 of the paper: who belongs to which basis, then the weighted mean of each.
            belonging = (pixels.transpose(1, 2) @ bases).softmax(dim=2)  # (B, N, J)
            weights = F.normalize(belonging, p=1, dim=1).to(pixels.dtype)
            bases = F.normalize(pixels @ weights, dim=1).to(pixels.dtype)
        if self.training:
            self._move_average(bases)
        rebuilt: torch.Tensor = bases @ belonging.to(pixels.dtype).transpose(1, 2)  # (B, C, N)
        return rebuilt.view_as(x).relu_()

    @_not_compiled
    def _begin_step(self) -> torch.Tensor:
        """Return the bases as the step began, which it does where the weights changed since the last pass.

        Every optimizer changes them in place, which PyTorch counts; so several forward passes whose
        gradients are accumulated are one step, whoever runs the loop.
        """
        state = (self.restore.conv.weight._version, self.bases.device)
        if self._step is None or self._step.state != state:
            channels, bases = self.bases.shape[1:]
            self._step = _Step(state, self.bases.clone(), self.bases.new_zeros(1, channels + 1, bases))
        return self._step.first_bases

    @_not_compiled
    def _move_average(self, bases: torch.Tensor) -> None:
        """Put the average where the images of this step, seen so far on all devices, take it."""
        step = self._step
        assert step is not None, "_begin_step comes first"
        count = bases.new_full((1, 1, bases.shape[2]), len(bases), dtype=torch.float32)
        # The images' sum, and below it their number: one exchange between devices serves both.
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
    good_for="Objects and scenes at stride 8, with attention that costs hardly more than a convolution.",
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
