"""Fit of the last layer to the features of a frozen encoder: seconds instead of a training.

The features are computed once for each image. The layer is then a regularised regression, whose optimum
L-BFGS finds with all images at once; the validation images choose the strength of the regularisation.

Shape legend: N images, V views, F features, K classes.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from limner.core.batch import Batch, Form
from limner.core.outputs import ClassLogits
from limner.core.plan import Plan
from limner.core.targets import Target
from limner.core.watchers import Moment, Watcher
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.planning.settings import dotted
from limner.tasks import find_task
from limner.tasks.objective import Criterion
from limner.training.frozen_features import FrozenFeatures, features_of_datasets
from limner.training.loop import Outcome, Validator
from limner.training.run_state import RunState
from limner.weights.model import Model

Stack = npt.NDArray[np.float32]
"""(N, V, F) features of the views of several images."""

STRENGTHS = tuple(10.0**power for power in range(-5, 2))
"""Strengths of the L2 regularisation of standardised features that are tried."""

WITHOUT_VALIDATION = 1e-2
"""Strength if there are no validation images to choose one by."""

LEARNING_RATE, HISTORY = 1.0, 20
"""Of L-BFGS: its usual step, and the number of steps from which it estimates the curvature."""


@dataclass(frozen=True)
class Labelled:
    """Standardised features, and the targets of their images.

    Attributes:
        features: (N * V, F).
        targets: Kind -> its form in a batch, for N * V images.
    """

    features: Tensor
    targets: dict[type[Target[object]], Form]


def fit_probe(
    model: Model,
    plan: Plan,
    *,
    train: Dataset,
    val: Dataset | None,
    validator: Validator | None,
    device: torch.device,
    watcher: Watcher,
) -> Outcome:
    """Fit the last layer of a model.

    Args:
        model: With a trained encoder `backbone` and a linear `head`, which is replaced.
        plan: The most steps of L-BFGS, whether mirrored views are used, and the losses.
        train: Training images.
        val: Validation images, which choose the regularisation; None takes a usual one.
        validator: Scores the result.
        device: Device of the encoder.
        watcher: Observer.
    """
    began, criterion = time.perf_counter(), find_task(plan.task).criterion(plan)
    watcher.start(
        Moment(0, plan.train.steps, 0.0, 0.0), dotted(plan.model_dump(mode="json", exclude={"reasons"}))
    )
    features = FrozenFeatures(Predictor(model, device=device), mirrored=1 in plan.augment.flip_axes)
    found = features_of_datasets([train] if val is None else [train, val], features, Path(plan.data.path))
    watcher.say(f"Features computed for {features.num_computed} images; the others were in the cache.")
    scale = _Scale.of(found[train])
    fitted, fresh = (
        _labelled(train, found[train], scale),
        None if val is None else _labelled(val, found[val], scale),
    )
    head, strength, steps = _best(criterion, fitted, fresh, model.labels.num_classes, plan.train.steps)
    watcher.say(f"Regularisation of the last layer: {strength:g}, the best of those tried.")
    _install(model, scale.undone(head))
    state = RunState(step=steps, seconds=time.perf_counter() - began)
    watcher.log(steps, state.seconds, {"train/total": _loss(criterion, head, fitted)})
    scores = {} if validator is None else validator.scores(model)
    watcher.log(steps, state.seconds, {f"val/{name}": value for name, value in scores.items()})
    watcher.step(Moment(steps, steps, 1.0, state.seconds))
    return Outcome(state, scores, stopped_early=False)


@dataclass(frozen=True)
class _Scale:
    """Mean and standard deviation of each feature over the training images."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, features: Stack) -> "_Scale":
        flat = torch.from_numpy(features.reshape(-1, features.shape[-1])).double()
        std = flat.std(0, correction=0)
        return cls(flat.mean(0), torch.where(std > 0, std, torch.ones_like(std)))

    def applied(self, features: Stack) -> Tensor:
        flat = torch.from_numpy(features.reshape(-1, features.shape[-1])).double()
        return ((flat - self.mean) / self.std).float()

    def undone(self, head: nn.Linear) -> tuple[Tensor, Tensor]:
        """Return weight and bias for features that are not standardised."""
        weight = head.weight.detach().double() / self.std
        return weight.float(), (head.bias.detach().double() - weight @ self.mean).float()


def _labelled(dataset: Dataset, features: Stack, scale: _Scale) -> Labelled:
    num_views = features.shape[1]
    samples = [dataset[index] for index in range(len(dataset)) for _ in range(num_views)]
    kinds = {type(target) for target in samples[0].targets}
    targets = {kind: kind.stack([t for s in samples if (t := s.get(kind)) is not None]) for kind in kinds}
    return Labelled(scale.applied(features), targets)


def _best(
    criterion: Criterion, fitted: Labelled, fresh: Labelled | None, num_classes: int, most_steps: int
) -> tuple[nn.Linear, float, int]:
    """Return the layer with the lowest loss on fresh images, its regularisation, and its steps."""
    strengths = (WITHOUT_VALIDATION,) if fresh is None else STRENGTHS
    best, lowest, chosen, steps = None, math.inf, 0.0, 0
    for strength in strengths:
        head, taken = _fitted(criterion, fitted, num_classes, strength, most_steps)
        loss = 0.0 if fresh is None else _loss(criterion, head, fresh)
        if best is None or loss < lowest:
            best, lowest, chosen, steps = head, loss, strength, taken
    assert best is not None, "there is a strength"
    return best, chosen, steps


def _fitted(
    criterion: Criterion, labelled: Labelled, num_classes: int, strength: float, most_steps: int
) -> tuple[nn.Linear, int]:
    """Return the layer that minimises loss and regularisation, and the steps that this took."""
    head = nn.Linear(labelled.features.shape[1], num_classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(
        head.parameters(),
        lr=LEARNING_RATE,
        max_iter=most_steps,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = _objective(criterion, head, labelled) + strength / 2 * head.weight.square().sum()
        torch.autograd.backward(total)
        return total

    step: Callable[..., object] = optimizer.step
    with torch.enable_grad():
        step(closure)
    return head, int(optimizer.state[head.weight].get("n_iter", most_steps))


def _objective(criterion: Criterion, head: nn.Linear, labelled: Labelled) -> Tensor:
    logits = ClassLogits(head(labelled.features))
    return criterion.loss(logits, Batch(labelled.features, (), labelled.targets)).total


def _loss(criterion: Criterion, head: nn.Linear, labelled: Labelled) -> float:
    with torch.no_grad():
        return float(_objective(criterion, head, labelled))


def _install(model: Model, layer: tuple[Tensor, Tensor]) -> None:
    """Put weight and bias into the last layer of the network."""
    head = model.network.get_submodule("head")
    assert isinstance(head, nn.Linear), "a probe has a linear last layer"
    with torch.no_grad():
        head.weight.copy_(layer[0])
        head.bias.copy_(layer[1])
