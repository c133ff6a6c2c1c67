"""A model: the network with its input normalisation, plan and labels.

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
    """Everything needed for prediction, in one module.

    Attributes:
        network: Takes normalised float32 (B, C, *S).
        normalization: Normalises file values.
        plan: Plan of the run that trained it.
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
        """Build the model of a plan, with random weights.

        Args:
            plan: Network with its options, input and labels.
            network: A custom network, instead of the plan's.
            pretrained: Encoder weights, as in `build_network`; only needed for training.

        Raises:
            UnknownNameError: limner does not have the plan's network.
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
            images: (B, C, *S) of any numeric type, in file values.
        """
        outputs = self.network(self.normalization(images))
        assert isinstance(outputs, Outputs), f"not an output kind: {type(outputs)}"
        return outputs
