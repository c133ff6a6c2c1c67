"""Building and measuring the chosen network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from limner.core.batch import Batch, SegmentTargets
from limner.core.plan import LossPlan, Plan
from limner.networks import build_network
from limner.planning.cost import Cost, measure_cost
from limner.tasks import TASKS

NUM_OBJECTS = 20
"""Number of segments in each measured image."""


def measure_plan(plan: Plan, *, device: str) -> Cost:
    """Return the cost of the network of a finished plan with its loss."""
    settled = {
        "task": plan.task,
        "network.name": plan.network.name,
        "network.options": plan.network.options,
        "input.channels": plan.input.channels,
        "input.spatial_dims": plan.input.spatial_dims,
        "loss.terms": plan.loss.terms,
        "train.precision": plan.train.precision,
    }
    return Measurer(plan.data.label_table.num_classes, device=device)(settled)


def _squares(images: torch.Tensor) -> SegmentTargets:
    """Return some square objects; the cost hardly depends on the shape of objects."""
    masks = torch.zeros(NUM_OBJECTS, *images.shape[2:], dtype=torch.bool, device=images.device)
    masks[:, :16, :16] = True
    return SegmentTargets(masks, torch.zeros(NUM_OBJECTS, dtype=torch.long, device=images.device))


class Measurer:
    """Builds the chosen network with its loss and measures both; caches each combination."""

    def __init__(self, num_classes: int, *, device: str) -> None:
        self._num_classes = num_classes
        self._device = device
        self._known: dict[str, Cost] = {}

    def __call__(self, settled: Mapping[str, Any]) -> Cost:
        """Return the cost of the chosen network.

        Raises:
            ConfigError: An option is unknown, or the network does not support these dimensions.
        """
        wanted = ("network.name", "network.options", "input.channels", "loss.terms", "train.precision")
        key = repr([settled[name] for name in wanted])
        if key not in self._known:
            self._known[key] = self._measure(settled)
        return self._known[key]

    def _measure(self, settled: Mapping[str, Any]) -> Cost:
        dims, channels = settled["input.spatial_dims"], settled["input.channels"]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = build_network(
                settled["network.name"],
                num_classes=self._num_classes,
                in_channels=channels,
                spatial_dims=dims,
                pretrained="no",
                **settled["network.options"],
            ).to(self._device)
            losses = LossPlan(terms=settled["loss.terms"])
            task = TASKS[settled["task"]](losses, num_classes=self._num_classes).to(self._device)

            def step(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
                target = torch.zeros(images.shape[0], *images.shape[2:], dtype=torch.uint8)
                segments = (_squares(images),) * len(images)
                batch = Batch(images, target.to(images.device), (), segments)
                return task.loss(network(images), batch).total

            return measure_cost(
                network,
                step,
                channels=channels,
                spatial_dims=dims,
                precision=settled["train.precision"],
                device=self._device,
            )
