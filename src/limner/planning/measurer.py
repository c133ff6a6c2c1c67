"""Building and measuring the chosen network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from limner.core.labels import LabelTable
from limner.core.plan import LossPlan, Plan
from limner.layers.norm import replace_norms
from limner.layers.target_aware import target_inputs
from limner.networks import build_network
from limner.planning.cost import Cost, measure_cost
from limner.planning.rules.network import objective_of
from limner.planning.teacher_fit import stand_in
from limner.tasks import find_task


def measure_plan(plan: Plan, *, device: str) -> Cost:
    """Return the cost of the network of a finished plan with its loss."""
    settled = {
        "task": plan.task,
        "network.name": plan.network.name,
        "network.options": plan.network.options,
        "network.norm": plan.network.norm,
        "input.channels": plan.input.channels,
        "input.spatial_dims": plan.input.spatial_dims,
        "loss.terms": plan.loss.terms,
        "train.precision": plan.train.precision,
    }
    return Measurer(plan.data.label_table, device=device)(settled)


class Measurer:
    """Builds the chosen network with its loss and measures both; caches each combination."""

    def __init__(self, labels: LabelTable, *, device: str, teacher: Plan | None = None) -> None:
        self._labels = labels
        self._device = device
        self._teacher = teacher
        self._known: dict[str, Cost] = {}

    def __call__(self, settled: Mapping[str, Any]) -> Cost:
        """Return the cost of the chosen network.

        Raises:
            ConfigError: An option is unknown, or the network does not support these dimensions.
        """
        wanted = (
            "network.name",
            "network.options",
            "network.norm",
            "input.channels",
            "loss.terms",
            "train.precision",
        )
        key = repr([settled[name] for name in wanted])
        if key not in self._known:
            self._known[key] = self._measure(settled)
        return self._known[key]

    def _measure(self, settled: Mapping[str, Any]) -> Cost:
        dims, channels = settled["input.spatial_dims"], settled["input.channels"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = build_network(
                settled["network.name"],
                num_classes=self._labels.num_classes,
                in_channels=channels,
                spatial_dims=dims,
                pretrained="no",
                **settled["network.options"],
            )
            replace_norms(network, settled["network.norm"])
            network.to(self._device)
            losses = LossPlan(terms=settled["loss.terms"])
            task, objective = find_task(settled["task"]), objective_of(settled)
            criterion = task.build_criterion(losses, labels=self._labels)
            if self._teacher is not None and criterion.distillation is not None:
                criterion.distillation.teacher = stand_in(self._teacher, self._labels)
            criterion.to(self._device)
            if criterion.distillation is not None:
                side = 64  # of any images: the layers' channels do not depend on their size
                shape = (1, channels, *[side] * dims)
                criterion.distillation.attach(network, torch.zeros(shape, device=self._device))

            def step(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
                batch = objective.example(images)
                return criterion.loss(network(images, *target_inputs(network, batch.targets)), batch).total

            return measure_cost(
                network,
                step,
                channels=channels,
                spatial_dims=dims,
                precision=settled["train.precision"],
                device=self._device,
            )
