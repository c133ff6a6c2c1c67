"""The outputs of named layers of a student and its teacher while they run, and the loss between them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from limner.core.errors import ConfigError, UnknownNameError, describe
from limner.core.plan import LossTerm
from limner.losses import FEATURE_DISTILLATIONS, build_loss
from limner.losses.distill_features import FeatureLoss

MOST_LISTED = 12


class FeatureDistillation(nn.Module):
    """One term of a plan that compares a layer of the student with one of its teacher.

    The layers' outputs are noted by hooks: of the student's last run that computes gradients, and of the
    teacher's last run.

    Args:
        term: Named in `FEATURE_DISTILLATIONS`.

    Raises:
        ConfigError: An option is unknown, or a layer is not named.
    """

    def __init__(self, term: LossTerm) -> None:
        super().__init__()
        self.weight = term.weight
        loss = build_loss(term, losses=FEATURE_DISTILLATIONS)
        assert isinstance(loss, FeatureLoss), "the table has one loss"
        self.loss = loss
        self._noted: dict[str, Tensor] = {}
        self._is_probing = False

    def attach(self, student: nn.Module, teacher: nn.Module, images: Tensor) -> None:
        """Find the layers, and make the convolution between them.

        Args:
            student: Takes `images`.
            teacher: Takes `images`, too.
            images: (1, C, *S), of any values.

        Raises:
            UnknownNameError: There is no such layer.
            ConfigError: A layer's output is no map of features.
        """
        for role, network, name in (
            ("student", student, self.loss.student),
            ("teacher", teacher, self.loss.teacher),
        ):
            layer = _layer_of(network, name, role)
            layer.register_forward_hook(self._note(role))
        with self._probing(student), torch.no_grad():
            for role, network in (("student", student), ("teacher", teacher)):
                network(images)
                self._refuse_other(role, images.ndim)
        self.loss.adapt(self._noted.pop("student"), self._noted.pop("teacher"))

    def forward(self) -> Tensor:
        """Return the weighted loss of the last runs."""
        distance: Tensor = self.loss(self._noted.pop("student"), self._noted.pop("teacher"))
        return self.weight * distance

    def _note(self, role: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            # A copy of the student that is validated keeps this hook, and computes no gradients.
            if isinstance(output, Tensor) and (
                role == "teacher" or self._is_probing or torch.is_grad_enabled()
            ):
                self._noted[role] = output

        return hook

    @contextmanager
    def _probing(self, student: nn.Module) -> Iterator[None]:
        """Run the student without changing its statistics."""
        was_training, self._is_probing = student.training, True
        student.eval()
        try:
            yield
        finally:
            student.train(was_training)
            self._is_probing = False

    def _refuse_other(self, role: str, ndim: int) -> None:
        found = self._noted.get(role)
        if found is not None and found.ndim == ndim and found.is_floating_point():
            return
        raise ConfigError(
            describe(
                f"distill_features needs a layer of the {role} whose output is a map of features",
                where=getattr(self.loss, role),
                found="an output of another kind" if found is None else f"a shape of {tuple(found.shape)}",
                expected=f"{ndim} axes: images, channels and {ndim - 2} of space",
                fix="Name another layer, such as a stage of the encoder.",
            )
        )


def _layer_of(network: nn.Module, name: str, role: str) -> nn.Module:
    """Return a layer by name, with or without what wraps the network."""
    named = network.named_modules()
    layers: dict[str, nn.Module] = {key.removeprefix("network."): layer for key, layer in named if key}
    if name in layers:
        return layers[name]
    top = [key for key in layers if key.count(".") <= 1]
    known = top if len(top) <= MOST_LISTED else [key for key in layers if "." not in key]
    raise UnknownNameError(f"layer of the {role}", name, known)
