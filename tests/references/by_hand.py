"""Layers computed from a state dict with torch's functions: the alphabet of second implementations.

A second implementation takes the weights by limner's names and follows the paper's table on its own, so that
an error in a network's wiring cannot be repeated in its reference.
"""

import torch
from torch.nn import functional as F

LEAKY = 0.01  # slope of torch.nn.LeakyReLU


class Weights:
    """The tensors of a module, by names relative to it."""

    def __init__(self, tensors):
        self.tensors = tensors

    @classmethod
    def of(cls, module):
        return cls({name: tensor.detach() for name, tensor in module.state_dict().items()})

    def at(self, prefix):
        """Return the tensors below a name."""
        start = f"{prefix}."
        inside = {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}
        assert inside, f"nothing is below {prefix}"
        return Weights(inside)

    def __getitem__(self, name):
        return self.tensors[name]

    def conv(self, x, name, **options):
        """Convolve in 2D or 3D; a kernel keeps the size of the map unless `padding` is given."""
        weight, bias = self[f"{name}.weight"], self.tensors.get(f"{name}.bias")
        dilation = options.get("dilation", 1)
        options.setdefault("padding", tuple(dilation * (side // 2) for side in weight.shape[2:]))
        return (F.conv2d if weight.ndim == 4 else F.conv3d)(x, weight, bias, **options)

    def up(self, x, name):
        """Apply a transposed convolution of stride 2."""
        weight, bias = self[f"{name}.weight"], self.tensors.get(f"{name}.bias")
        return (F.conv_transpose2d if weight.ndim == 4 else F.conv_transpose3d)(x, weight, bias, stride=2)

    def norm(self, x, name):
        """Normalise with the running statistics: scale * (x - mean) / sqrt(variance + 1e-5) + shift."""
        shape = (1, -1, *[1] * (x.ndim - 2))
        mean, variance = (self[f"{name}.running_{what}"].view(shape) for what in ("mean", "var"))
        normed = (x - mean) / torch.sqrt(variance + 1e-5)
        return normed * self[f"{name}.weight"].view(shape) + self[f"{name}.bias"].view(shape)

    def group_norm(self, x, name, groups=32):
        return F.group_norm(x, groups, self[f"{name}.weight"], self[f"{name}.bias"])

    def conv_norm(self, x, name, **options):
        """Convolve and normalise."""
        return self.norm(self.conv(x, f"{name}.conv", **options), f"{name}.norm")

    def conv_norm_relu(self, x, name, **options):
        return self.conv_norm(x, name, **options).relu()

    def linear(self, x, name):
        return x @ self[f"{name}.weight"].T + self.tensors.get(f"{name}.bias", 0)

    def layer_norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self[f"{name}.weight"], self[f"{name}.bias"])

    def attention(self, queries, keys, values, name, heads):
        """Attend with several heads, one head at a time: (B, N, C), (B, M, C), (B, M, C) -> (B, N, C)."""
        matrices = self[f"{name}.in_proj_weight"].chunk(3)
        shifts = self[f"{name}.in_proj_bias"].chunk(3)
        q, k, v = (x @ m.T + s for x, m, s in zip((queries, keys, values), matrices, shifts, strict=True))
        width = q.shape[-1] // heads
        mixed = []
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / width**0.5
            mixed.append(scores.softmax(-1) @ v[..., part])
        return self.linear(torch.cat(mixed, -1), f"{name}.out_proj")


def bilinear(x, size, *, align_corners=False):
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)


def assert_same(found, expected):
    """Compare scores that are neither constant nor equal by accident."""
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
