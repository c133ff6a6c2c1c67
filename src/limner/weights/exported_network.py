"""Exported files in place of the networks that they come from.

Shape legend: B batch, C channels, *S spatial axes.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from limner.core.errors import UnknownNameError
from limner.core.outputs import Outputs, output_kinds
from limner.devices.precision import without_autocast
from limner.weights.exported import ExportCard, Run, open_export, refuse_finished


class ExportedNetwork(nn.Module):
    """An exported file in place of a network; it runs on the CPU, in its own precision.

    Args:
        run: Runs the file.
        card: Its description.
    """

    def __init__(self, run: Run, card: ExportCard) -> None:
        super().__init__()
        self._run = run
        self._kind = output_kinds()[card.kind]
        self._names = tuple(card.outputs)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, C, *S) in file values to outputs."""
        given = images.float().cpu().contiguous()
        with without_autocast(given.device):
            found = self._run(given.numpy())
        named = zip(self._names, found, strict=True)
        return self._kind(**{name: torch.from_numpy(array).to(images.device) for name, array in named})


def load_network(folder: Path, card: ExportCard) -> ExportedNetwork:
    """Open the file of an export.

    Raises:
        ModelError: The file returns finished probabilities or labels, which limner cannot decode further, or
            cannot be opened.
        MissingPartError: Its runtime is not installed.
    """
    refuse_finished(folder, card)
    if card.kind not in output_kinds():
        raise UnknownNameError("kind of output", card.kind, output_kinds())
    return ExportedNetwork(open_export(folder, card), card)
