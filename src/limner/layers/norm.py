"""Normalisation by name, and variants that PyTorch lacks.

Shape legend: B batch, C channels, *S spatial axes.
"""

from math import gcd
from typing import Any, Literal

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from limner.core.errors import ConfigError

NormName = Literal["none", "batch", "instance", "group"]


GROUPS = 8
"""Preferred number of groups of group normalisation."""

NormChoice = Literal["batch", "group", "instance", "sync", "frozen"]
"""Setting of the batch normalisations of a network: see `replace_norms`."""


class _Tolerant:
    """Batch normalisation that uses its running statistics if a batch has only one value per channel.

    The pooling branch of PSPNet and DeepLab normalises a 1x1 map. With one image in the batch there is
    a single value per channel, which has no variance, and PyTorch raises an error. The usual workarounds
    are worse: a batch of two does not always fit in memory, and omitting the normalisation changes the
    network. Here such a batch is normalised with the running mean and variance, as in evaluation, and
    does not update them; every other batch is handled exactly as in PyTorch.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`: (B, C, *S) -> (B, C, *S)."""
        assert isinstance(self, (nn.BatchNorm2d, nn.BatchNorm3d))  # PyTorch 2.6 cannot export a union here
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(x)  # type: ignore[misc, no-any-return]


class TolerantBatchNorm2d(_Tolerant, nn.BatchNorm2d):
    """`_Tolerant` for images."""


class TolerantBatchNorm3d(_Tolerant, nn.BatchNorm3d):
    """`_Tolerant` for volumes."""


def build_norm(
    name: NormName, channels: int, *, spatial_dims: int = 2, affine: bool = True, groups: int = GROUPS
) -> nn.Module:
    """Build a normalisation layer by name.

    Args:
        name: Name of the layer; ``none`` is the identity.
        channels: Number of channels.
        spatial_dims: 2 or 3.
        affine: Whether it learns a scale and a shift.
        groups: Preferred number of groups of ``group``; fewer if the channels are not divisible by it.
    """
    if name == "batch":
        kind = TolerantBatchNorm2d if spatial_dims == 2 else TolerantBatchNorm3d
        return kind(channels, affine=affine)
    if name == "instance":
        instance = TolerantInstanceNorm2d if spatial_dims == 2 else TolerantInstanceNorm3d
        return instance(channels, affine=affine)
    if name == "group":
        return TolerantGroupNorm(gcd(groups, channels), channels, affine=affine)
    return nn.Identity()


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation with fixed statistics, scale and shift.

    With few images per batch, batch statistics are worse than those from pretraining. All four are buffers,
    so optimizers do not update them.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        """Copy statistics, scale and shift from `norm`.

        A frozen scale of zero, the initial value in the last norm of a residual block, would disable the
        block forever: if all scales are zero they are set to one.
        """
        super().__init__()
        self.eps = norm.eps
        assert norm.running_mean is not None and norm.running_var is not None, "needs running statistics"
        scale = norm.weight.detach()
        self.register_buffer("weight", torch.ones_like(scale) if _is_all_zero(scale) else scale.clone())
        self.register_buffer("bias", norm.bias.detach().clone())
        self.register_buffer("running_mean", norm.running_mean.clone())
        self.register_buffer("running_var", norm.running_var.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`: (B, C, H, W) -> (B, C, H, W)."""
        constants = (self.running_mean, self.running_var, self.weight, self.bias)
        if torch.is_grad_enabled() and x.requires_grad and not torch.compiler.is_compiling():
            result: torch.Tensor = _FixedNorm.apply(x, *constants, self.eps)
            return result
        return F.batch_norm(x, *constants, eps=self.eps)


class _FixedNorm(torch.autograd.Function):
    """Normalisation by constants, which keeps no input: the gradient is only multiplied by a constant."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        eps: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(variance, weight)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        variance, weight = ctx.saved_tensors
        nothing = torch.zeros_like(variance)
        of_x = F.batch_norm(gradient, nothing, variance, weight, nothing, eps=ctx.eps)
        return of_x, None, None, None, None, None


def freeze_batch_norms(module: nn.Module) -> None:
    """Replace every batch normalisation inside `module` with a `FrozenBatchNorm2d`."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child))
        else:
            freeze_batch_norms(child)


class _TolerantInstance:
    """Instance normalisation that leaves maps of a single pixel, which have no variance, as they are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`: (B, C, *S) -> (B, C, *S)."""
        assert isinstance(self, (nn.InstanceNorm2d, nn.InstanceNorm3d))
        if x.shape[2:].numel() > 1:
            return super().forward(x)  # type: ignore[misc, no-any-return]
        if not self.affine:
            return x
        shape = (1, -1, *[1] * (x.ndim - 2))
        return x * self.weight.view(shape) + self.bias.view(shape)


class TolerantInstanceNorm2d(_TolerantInstance, nn.InstanceNorm2d):
    """`_TolerantInstance` for images."""


class TolerantInstanceNorm3d(_TolerantInstance, nn.InstanceNorm3d):
    """`_TolerantInstance` for volumes."""


class TolerantGroupNorm(nn.GroupNorm):
    """Group normalisation that also accepts one image whose groups have one value each.

    That value less its own mean is 0, in batches of several images too; but of one image PyTorch refuses it.
    Coarse levels of a narrow pyramid are such maps if the image is small.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`: (B, C, *S) -> (B, C, *S)."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def replace_norms(network: nn.Module, choice: NormChoice | None) -> None:
    """Apply a choice to every batch normalisation of a network.

    ``group`` and ``instance`` replace it and keep scale and shift; the statistics of a pretrained encoder are
    lost. ``batch`` and ``sync`` keep it, with statistics of one device or of all of them. ``frozen`` keeps it
    for training with fixed statistics, scale and shift; a scale of zero, the initial value in the last norm
    of a residual block, would disable the block forever and becomes one.

    Raises:
        ConfigError: The network has no batch normalisation.
    """
    if choice is None:
        return
    places = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, (nn.BatchNorm2d, nn.BatchNorm3d))
    ]
    if not places:
        raise ConfigError(
            f"network.norm={choice} changes batch normalisations, and this network has none. Omit it; some "
            "networks have an option of their own, such as network.options.norm."
        )
    for parent, name, child in places:
        if choice in ("group", "instance"):
            setattr(parent, name, _like(child, choice))
        elif choice == "frozen" and child.affine and _is_all_zero(child.weight):
            nn.init.ones_(child.weight)


def _like(norm: nn.BatchNorm2d | nn.BatchNorm3d, choice: NormChoice) -> nn.Module:
    """Return a group or instance normalisation with the scale and shift of a batch normalisation."""
    channels = norm.num_features
    if choice == "group":
        made: nn.Module = TolerantGroupNorm(gcd(GROUPS, channels), channels, eps=norm.eps)
    else:
        kind = TolerantInstanceNorm2d if isinstance(norm, nn.BatchNorm2d) else TolerantInstanceNorm3d
        made = kind(channels, eps=norm.eps, affine=True)
    made = made.to(norm.running_mean.device) if norm.running_mean is not None else made
    if norm.affine and not norm.weight.is_meta:
        made.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    return made


def _is_all_zero(scale: torch.Tensor) -> bool:
    return not scale.is_meta and not scale.any()


class PixelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B, C, H, W)."""
        normed = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)
