"""The transformer block: self-attention, then an MLP on each token.

Papers: Attention Is All You Need (Vaswani et al., NeurIPS 2017), https://arxiv.org/abs/1706.03762; for
pre-normalisation, An Image is Worth 16x16 Words (Dosovitskiy et al., ICLR 2021),
https://arxiv.org/abs/2010.11929; for LayerScale, Going Deeper with Image Transformers (Touvron et
al., ICCV 2021), https://arxiv.org/abs/2103.17239.

Parameters are named as in timm, so its weight files load.

Shape legend: B batch, N tokens, the first Q of them can be masked, C channels.
"""

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.drop_path import DropPath
from limner.layers.dropout import Dropout


class TransformerBlock(nn.Module):
    """Pre-norm residual block: self-attention, then an MLP."""

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        hidden: int,
        epsilon: float = 1e-6,
        qkv_bias: bool = True,
        layer_scale: float | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        """Build the block.

        Args:
            width: C.
            num_heads: Number of attention heads; the width must be divisible by it.
            hidden: Hidden channels of the MLP.
            epsilon: Epsilon of the norms.
            qkv_bias: Add a bias to queries, keys and values.
            layer_scale: Initial LayerScale value; None omits it.
            dropout: Dropout rate inside and after the MLP.
            drop_path: Stochastic depth rate of each branch.
        """
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = SelfAttention(width, num_heads=num_heads, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = TokenMLP(width, hidden, dropout=dropout)
        if layer_scale is not None:
            self.ls1, self.ls2 = LayerScale(width, layer_scale), LayerScale(width, layer_scale)
        self._scales = layer_scale is not None
        self.drop_path = DropPath(drop_path)

    def forward(
        self, tokens: torch.Tensor, bias: torch.Tensor | None = None, *, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map (B, N, C) to (B, N, C); the arguments are those of `SelfAttention`."""
        branch = self.attn(self.norm1(tokens), bias, mask=mask)
        tokens = tokens + self.drop_path(self.ls1(branch) if self._scales else branch)
        branch = self.mlp(self.norm2(tokens))
        out: torch.Tensor = tokens + self.drop_path(self.ls2(branch) if self._scales else branch)
        return out


class SelfAttention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values."""

    def __init__(self, width: int, *, num_heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(
        self, tokens: torch.Tensor, bias: torch.Tensor | None = None, *, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute self-attention.

        Args:
            tokens: (B, N, C).
            bias: (heads, N, N), added to the attention logits.
            mask: (B, Q, N) bool, true for tokens that the first Q may attend to; the others attend to all.

        Returns:
            (B, N, C).
        """
        batch, length, width = tokens.shape
        parts = self.qkv(tokens).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, C / heads)
        added = None if bias is None else bias.to(query.dtype)
        if mask is None:
            mixed = F.scaled_dot_product_attention(query, key, value, added)
        else:  # only the rows that need a mask pay for it
            assert bias is None, "mask and bias cannot be combined"
            few, others = query.split([mask.shape[1], length - mask.shape[1]], dim=2)
            masked = F.scaled_dot_product_attention(few, key, value, mask.unsqueeze(1))
            mixed = torch.cat([masked, F.scaled_dot_product_attention(others, key, value)], dim=2)
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class TokenMLP(nn.Module):
    """Two linear layers with GELU between them, applied to each token."""

    def __init__(self, width: int, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map (*, C) to (*, C)."""
        out: torch.Tensor = self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(tokens)))))
        return out


class LayerScale(nn.Module):
    """A learned scale per channel of a branch."""

    def __init__(self, width: int, first: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), first))

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """Scale (B, N, C)."""
        return branch * self.gamma


def initialize_tokens(*parts: nn.Module) -> None:
    """Initialise linear layers with small weights and zero biases, as in all transformers here."""
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
