"""A model: the network with its input normalisation, plan and labels.

Shape legend: B batch, C channels, *S spatial axes.
"""

from typing import Any

import torch
from torch import nn

from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.core.outputs import Outputs
from limner.core.plan import Plan
from limner.layers.freezing import freeze, rest
from limner.layers.input_normalization import InputNormalization
from limner.layers.norm import replace_norms
from limner.networks import Pretrained, build_network


class Model(nn.Module):
    """Everything needed for prediction, in one module.

    Attributes:
        network: Takes normalised float32 (B, C, *S).
        normalization: Normalises file values.
        plan: Plan of the run that trained it.
        labels: Trained index -> name, value and colour.
        low_resolution: The first stage of a cascade, which is a finished model; else None.
    """

    def __init__(self, network: nn.Module, plan: Plan, labels: LabelTable) -> None:
        super().__init__()
        self.network = network
        values, added = plan.input, len(plan.cascade_classes)
        mean, std = (*values.mean, *(0.0,) * added), (*values.std, *(1.0,) * added)
        clip = values.clip and (*values.clip, *((0.0, 1.0),) * added)
        self.normalization: nn.Module = InputNormalization(mean, std, clip)
        self.plan = plan
        self.labels = labels
        self._first: tuple[Model, ...] = ()

    @property
    def low_resolution(self) -> "Model | None":
        """The first stage of a cascade."""
        return self._first[0] if self._first else None

    def set_low_resolution(self, stage: "Model | None") -> None:
        """Set the first stage; in a tuple, so that PyTorch does not count its weights among this module's."""
        self._first = () if stage is None else (stage,)

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
            ConfigError: The plan sets a norm, and the network has no batch normalisation; or it replaces
                those of a custom network.
        """
        labels = plan.data.label_table
        if network is None:
            network = build_network(
                plan.network.name,
                num_classes=labels.num_classes,
                in_channels=plan.network_channels,
                spatial_dims=plan.input.spatial_dims,
                pretrained=pretrained,
                **plan.network.options,
            )
            replace_norms(network, plan.network.norm)
        elif plan.network.norm in ("group", "instance"):
            raise ConfigError(
                f"network.norm={plan.network.norm} replaces layers of limner's own networks. Omit it, and "
                "build your module with the norms that it should have."
            )
        return cls(network, plan, labels)

    def freeze(self) -> None:
        """Take the parts of the network that the plan freezes out of training.

        Raises:
            ConfigError: The plan freezes a part that the network does not have.
        """
        freeze(self.network, self.plan.network.freeze, norms=self.plan.network.norm == "frozen")

    def train(self, mode: bool = True) -> "Model":
        """Set training mode, except for frozen parts, whose statistics must not move."""
        super().train(mode)
        rest(self.network, self.plan.network.freeze, norms=self.plan.network.norm == "frozen")
        return self

    def forward(self, images: torch.Tensor, *targets: Any) -> Outputs:
        """Run the network.

        Args:
            images: (B, C, *S) of any numeric type, in file values.
            targets: In training, the `target_inputs` of the network.
        """
        outputs = self.network(self.normalization(images), *targets)
        assert isinstance(outputs, Outputs), f"not an output kind: {type(outputs)}"
        return outputs
