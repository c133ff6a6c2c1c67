"""The transformer's block: every token looks at every other, then each is worked on by itself.

Papers: Attention Is All You Need (Vaswani et al., NeurIPS 2017), https://arxiv.org/abs/1706.03762; for the
norms before the layers, An Image is Worth 16x16 Words (Dosovitskiy et al., ICLR 2021),
https://arxiv.org/abs/2010.11929; for the scaled branches, Going Deeper with Image Transformers (Touvron et
al., ICCV 2021), https://arxiv.org/abs/2103.17239.

Parameters are named as in timm, whose weight files then load.

Shape legend: B batch, N tokens, the first Q of them special, C channels.
"""

import torch
from torch import nn
from torch.nn import functional as F

from limner.layers.drop_path import DropPath


class TransformerBlock(nn.Module):
    """Self-attention, then a small network for each token, each behind a norm and beside a shortcut."""

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        hidden: int,
        epsilon: float = 1e-6,
        layer_scale: float | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        """Build the block.

        Args:
            width: C.
            num_heads: Heads of the attention; they divide the width.
            hidden: Channels between the two layers of the small network.
            epsilon: What the norms add to the variance.
            layer_scale: First value of a learned scale on each branch; None leaves it out.
            dropout: Part of the channels dropped inside and after the small network.
            drop_path: Probability that a branch is left out in training.
        """
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = SelfAttention(width, num_heads=num_heads)
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = TokenMLP(width, hidden, dropout=dropout)
        if layer_scale is not None:
            self.ls1, self.ls2 = LayerScale(width, layer_scale), LayerScale(width, layer_scale)
        self._scales = layer_scale is not None
        self.drop_path = DropPath(drop_path)

    def forward(
        self, tokens: torch.Tensor, scores: torch.Tensor | None = None, *, seen: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map (B, N, C) to (B, N, C); the arguments are those of `SelfAttention`."""
        branch = self.attn(self.norm1(tokens), scores, seen=seen)
        tokens = tokens + self.drop_path(self.ls1(branch) if self._scales else branch)
        branch = self.mlp(self.norm2(tokens))
        out: torch.Tensor = tokens + self.drop_path(self.ls2(branch) if self._scales else branch)
        return out


class SelfAttention(nn.Module):
    """Attention of several heads, its queries, keys and values drawn by one layer."""

    def __init__(self, width: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, tokens: torch.Tensor, scores: torch.Tensor | None = None, *, seen: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Let every token look at every other.

        Args:
            tokens: (B, N, C).
            scores: (heads, N, N), added to the scores of pairs of tokens.
            seen: (B, Q, N) bool, which tokens the first Q see; all others see all.

        Returns:
            (B, N, C).
        """
        batch, length, width = tokens.shape
        parts = self.qkv(tokens).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, C / heads)
        added = None if scores is None else scores.to(query.dtype)
        if seen is None:
            mixed = F.scaled_dot_product_attention(query, key, value, added)
        else:  # only the rows that need a mask bear its cost
            assert scores is None, "a mask and scores have not been needed together"
            few, others = query.split([seen.shape[1], length - seen.shape[1]], dim=2)
            masked = F.scaled_dot_product_attention(few, key, value, seen.unsqueeze(1))
            mixed = torch.cat([masked, F.scaled_dot_product_attention(others, key, value)], dim=2)
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class TokenMLP(nn.Module):
    """Two linear layers with GELU between, the same for every token."""

    def __init__(self, width: int, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map (*, C) to (*, C)."""
        out: torch.Tensor = self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(tokens)))))
        return out


class LayerScale(nn.Module):
    """A learned factor for each channel of a branch."""

    def __init__(self, width: int, first: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), first))

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """Scale (B, N, C)."""
        return branch * self.gamma


def initialize_tokens(*parts: nn.Module) -> None:
    """Draw small linear layers, as every transformer here begins; their biases start at zero."""
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
