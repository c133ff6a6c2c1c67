"""Learning from a teacher: a trained model whose outputs a student learns to reproduce.

Shape legend: B batch, C channels, K classes, *S spatial axes of images, *s those of the teacher's outputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.config import refuse_unknown_options
from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelTable
from limner.core.outputs import ClassLogits, DenseLogits, QueryMasks, resize_logits
from limner.core.plan import LossTerm
from limner.decoding.label_maps import semantic_logits
from limner.devices.precision import precision_context
from limner.losses import DISTILLATIONS, FEATURE_DISTILLATIONS, QUERY_DISTILLATIONS, build_loss
from limner.losses.distill_queries import QueryDistillationLoss
from limner.losses.segment_set import SegmentSetLoss
from limner.tasks.feature_distillation import FeatureDistillation

NO_TEACHER = "The loss {name!r} needs a teacher: limner train DATA --teacher MODEL, or set loss.teacher."


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
        outputs = self._outputs(images)
        if isinstance(outputs, ClassLogits):
            return outputs.logits.float()[:, self.classes]
        assert isinstance(outputs, (DenseLogits, QueryMasks)), "planning refuses other teachers"
        size = outputs.logits.shape[2:] if isinstance(outputs, DenseLogits) else outputs.mask_logits.shape[2:]
        return semantic_logits(outputs, size)[:, self.classes]

    @torch.no_grad()
    def queries(self, images: Tensor) -> QueryMasks:
        """Return the queries of a network that predicts a set of segments, with the student's classes.

        Args:
            images: (B, C, *S) in file values, as the student sees them.
        """
        outputs = self._outputs(images)
        assert isinstance(outputs, QueryMasks), "planning refuses other teachers"
        nothing = outputs.class_logits.shape[-1] - 1
        classes = torch.cat([self.classes, self.classes.new_tensor([nothing])])
        return QueryMasks(
            outputs.class_logits.float()[..., classes], outputs.embeddings.float(), outputs.features.float()
        )

    def _outputs(self, images: Tensor) -> object:
        with precision_context(images.device, self.precision):
            return self.network(images)


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
        terms: Terms named in `DISTILLATIONS` or `FEATURE_DISTILLATIONS`.

    Attributes:
        teacher: Set before training.

    Raises:
        ConfigError: A loss has no such option.
    """

    def __init__(self, terms: Sequence[LossTerm]) -> None:
        super().__init__()
        of_logits = [term for term in terms if term.name in DISTILLATIONS]
        self.names = tuple(term.name for term in of_logits)
        self.weights = tuple(term.weight for term in of_logits)
        self.losses = nn.ModuleList(build_loss(term) for term in of_logits)
        of_features = [term for term in terms if term.name in FEATURE_DISTILLATIONS]
        self.features = nn.ModuleList(FeatureDistillation(term) for term in of_features)
        self.first_name = terms[0].name
        self.teacher: nn.Module | None = None

    def attach(self, network: nn.Module, images: Tensor) -> None:
        """Find the layers that are compared; with terms of features, before training and with a teacher.

        Args:
            network: The student.
            images: (1, C, *S) that it takes.

        Raises:
            ConfigError: There is no such layer, or its output is no map of features.
        """
        for term in self.features:
            assert isinstance(term, FeatureDistillation) and isinstance(self.teacher, Teacher)
            term.attach(network, self.teacher.network, images)

    def forward(self, logits: Tensor, images: Tensor, counted: Tensor) -> dict[str, Tensor]:
        """Return each weighted term; those of pixels are computed at the resolution of the teacher's outputs.

        Args:
            logits: (B, K, ...) of the student's pixels, at any resolution; or (B, K) of whole images.
            images: (B, C, *S) in file values.
            counted: (B, *S) bool, False for ignored pixels; or (B,) of whole images.
        """
        if self.teacher is None:
            raise ConfigError(NO_TEACHER.format(name=self.first_name))
        expected = self.teacher(images)
        if expected.ndim > 2:
            logits = resize_logits(logits, expected.shape[2:])
            counted = F.interpolate(counted[:, None].float(), size=expected.shape[2:])[:, 0].bool()
        parts = {
            name: weight * loss(logits, expected, counted)
            for name, weight, loss in zip(self.names, self.weights, self.losses, strict=True)
        }
        for number, term in enumerate(self.features):
            ending = f"_{number}" if len(self.features) > 1 else ""
            parts[f"distill_features{ending}"] = term()
        return parts


class QueryDistillation(nn.Module):
    """The term of a plan that compares a student's queries with those of its teacher.

    Args:
        term: Named in `QUERY_DISTILLATIONS`; its options default to those of the loss of the labels.
        defaults: Options of the loss of the labels.

    Attributes:
        teacher: Set before training.

    Raises:
        ConfigError: The loss has no such option.
    """

    def __init__(self, term: LossTerm, defaults: Mapping[str, Any]) -> None:
        super().__init__()
        self.term = term
        refuse_unknown_options(SegmentSetLoss, _without_own(term.options), where=f"loss {term.name!r}")
        self.loss = QueryDistillationLoss(**{**defaults, **term.options})
        self.teacher: nn.Module | None = None

    def attach(self, network: nn.Module, images: Tensor) -> None:
        """Do nothing: outputs are compared, no layers."""

    def forward(self, outputs: QueryMasks, images: Tensor) -> dict[str, Tensor]:
        """Return the weighted term.

        Args:
            outputs: Of the student.
            images: (B, C, *S) in file values.
        """
        if self.teacher is None:
            raise ConfigError(NO_TEACHER.format(name=self.term.name))
        assert isinstance(self.teacher, Teacher), "queries are asked of a teacher"
        return {self.term.name: self.term.weight * self.loss.distance(outputs, self.teacher.queries(images))}


def _without_own(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the loss shares with that of the labels."""
    return {key: value for key, value in options.items() if key != "least_score"}


def distilling(terms: Sequence[LossTerm]) -> tuple[LossTerm, ...]:
    """Return the terms that need a teacher."""
    taught = DISTILLATIONS.keys() | FEATURE_DISTILLATIONS.keys() | QUERY_DISTILLATIONS.keys()
    return tuple(term for term in terms if term.name in taught)
