"""The module that is exported: normalisation, network, and for label maps optionally the last step.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from typing import Literal

from torch import Tensor, nn

from limner.core.outputs import DenseLogits, resize_logits
from limner.weights.model import Model

Finish = Literal["outputs", "probabilities", "labels"]
"""What an exported file returns: the network's own outputs, or for label maps the probabilities or the class
of each pixel at the size of the image."""


class ExportedModule(nn.Module):
    """Images in file values -> a tuple of tensors.

    Args:
        model: In evaluation mode.
        finish: What to return.
    """

    def __init__(self, model: Model, finish: Finish) -> None:
        super().__init__()
        self.network = model.network
        self.normalization = model.normalization
        self.finish = finish

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images (B, C, *S) float32 in file values to the outputs."""
        outputs = self.network(self.normalization(images))
        if self.finish == "outputs":
            return tuple(outputs.tensors().values())
        assert isinstance(outputs, DenseLogits), "`export_model` refuses others"
        logits = resize_logits(outputs.logits, images.shape[2:])
        return (logits.softmax(1),) if self.finish == "probabilities" else (logits.argmax(1),)
