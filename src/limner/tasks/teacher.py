"""Learning from a teacher: a trained model whose outputs a student learns to reproduce.

Shape legend: B batch, C channels, K classes, *S spatial axes of images, *s those of the teacher's outputs.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelTable
from limner.core.outputs import ClassLogits, DenseLogits, QueryMasks, resize_logits
from limner.core.plan import LossTerm
from limner.decoding.label_maps import semantic_logits
from limner.devices.precision import precision_context
from limner.losses import DISTILLATIONS, build_loss


class Teacher(nn.Module):
    """A frozen network, always in evaluation mode, that computes in its own precision.

    Args:
        network: Images in file values (B, C, *S) -> logits of pixels, queries, or logits of whole images.
        classes: The teacher's index of each class of the student, from `classes_of`.
        precision: A name of `PRECISIONS`.
    """

    def __init__(self, network: nn.Module, classes: Sequence[int], *, precision: str = "float32") -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.precision = precision
        self.classes: Tensor
        self.register_buffer("classes", torch.tensor(classes), persistent=False)
        self.eval()

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode: its batch statistics must not move."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the student's classes in float32: (B, K, *s), or (B, K) of whole images.

        Args:
            images: (B, C, *S) in file values, as the student sees them.
        """
        with precision_context(images.device, self.precision):
            outputs = self.network(images)
        if isinstance(outputs, ClassLogits):
            return outputs.logits.float()[:, self.classes]
        assert isinstance(outputs, (DenseLogits, QueryMasks)), "planning refuses other teachers"
        size = outputs.logits.shape[2:] if isinstance(outputs, DenseLogits) else outputs.mask_logits.shape[2:]
        return semantic_logits(outputs, size)[:, self.classes]


def classes_of(teacher: LabelTable, student: LabelTable) -> tuple[int, ...]:
    """Return the teacher's index of each class of the student, by name.

    Raises:
        ConfigError: The teacher lacks a class.
    """
    missing = [name for name in student.names if name not in teacher.names]
    if missing:
        raise ConfigError(
            describe(
                "The teacher does not know all classes of this data",
                found=f"a teacher of {', '.join(teacher.names)}",
                expected=f"all of {', '.join(student.names)}; it lacks {', '.join(missing)}",
                fix="Train a teacher with these classes, or name the classes alike in dataset.yaml.",
            )
        )
    return tuple(teacher.names.index(name) for name in student.names)


class Distillation(nn.Module):
    """The terms of a plan that compare a student with its teacher.

    Args:
        terms: Terms named in `DISTILLATIONS`.

    Attributes:
        teacher: Set before training.

    Raises:
        ConfigError: A loss has no such option.
    """

    def __init__(self, terms: Sequence[LossTerm]) -> None:
        super().__init__()
        self.names = tuple(term.name for term in terms)
        self.weights = tuple(term.weight for term in terms)
        self.losses = nn.ModuleList(build_loss(term) for term in terms)
        self.teacher: nn.Module | None = None

    def forward(self, logits: Tensor, images: Tensor, counted: Tensor) -> dict[str, Tensor]:
        """Return each weighted term; those of pixels are computed at the resolution of the teacher's outputs.

        Args:
            logits: (B, K, ...) of the student's pixels, at any resolution; or (B, K) of whole images.
            images: (B, C, *S) in file values.
            counted: (B, *S) bool, False for ignored pixels; or (B,) of whole images.
        """
        if self.teacher is None:
            raise ConfigError(
                f"The loss {self.names[0]!r} needs a teacher: limner train DATA --teacher MODEL, or set "
                "loss.teacher."
            )
        expected = self.teacher(images)
        if expected.ndim > 2:
            logits = resize_logits(logits, expected.shape[2:])
            counted = F.interpolate(counted[:, None].float(), size=expected.shape[2:])[:, 0].bool()
        return {
            name: weight * loss(logits, expected, counted)
            for name, weight, loss in zip(self.names, self.weights, self.losses, strict=True)
        }


def distilling(terms: Sequence[LossTerm]) -> tuple[LossTerm, ...]:
    """Return the terms that need a teacher."""
    return tuple(term for term in terms if term.name in DISTILLATIONS)
