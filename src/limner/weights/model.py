"""A model: the network with its normalisation, its plan and its labels, from file values to logits.

Shape legend: B batch, C channels, *S spatial axes.
"""

import torch
from torch import nn

from limner.core.labels import LabelTable
from limner.core.outputs import Outputs
from limner.core.plan import Plan
from limner.layers.input_normalization import InputNormalization
from limner.networks import Pretrained, build_network


class Model(nn.Module):
    """Everything that is needed to predict, in one module.

    Attributes:
        network: Takes normalised float32 (B, C, *S).
        normalization: Turns the values of image files into that.
        plan: Every setting of the run that made it.
        labels: Trained index -> name, value and colour.
    """

    def __init__(self, network: nn.Module, plan: Plan, labels: LabelTable) -> None:
        super().__init__()
        self.network = network
        self.normalization = InputNormalization(plan.input.mean, plan.input.std)
        self.plan = plan
        self.labels = labels

    @classmethod
    def from_plan(
        cls, plan: Plan, network: nn.Module | None = None, *, pretrained: Pretrained = False
    ) -> "Model":
        """Build the model that a plan describes, with random weights.

        Args:
            plan: Names the network, its options, the input and the labels.
            network: A network of the caller's own, instead of the one the plan names.
            pretrained: Weights of the encoder, as `build_network` takes them; only training asks for any.

        Raises:
            UnknownNameError: The plan names a network that limner does not have.
        """
        labels = plan.data.label_table
        if network is None:
            network = build_network(
                plan.network.name,
                num_classes=labels.num_classes,
                in_channels=plan.input.channels,
                spatial_dims=plan.input.spatial_dims,
                pretrained=pretrained,
                **plan.network.options,
            )
        return cls(network, plan, labels)

    def forward(self, images: torch.Tensor) -> Outputs:
        """Run the network.

        Args:
            images: (B, C, *S) of any number type, in the values of the image files.
        """
        outputs = self.network(self.normalization(images))
        assert isinstance(outputs, Outputs), f"no output kind: {type(outputs)}"
        return outputs
