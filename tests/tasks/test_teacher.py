import pytest
import torch
from torch import nn

from limner.core.batch import Batch
from limner.core.errors import ConfigError
from limner.core.image_class import ImageClass
from limner.core.label_map import LabelMap
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.core.outputs import ClassLogits, DenseLogits, QueryMasks
from limner.core.plan import LossPlan, LossTerm
from limner.tasks import find_task
from limner.tasks.teacher import Teacher, classes_of

BOTH = (LossTerm(name="cross_entropy"), LossTerm(name="distill_soft", weight=2.0))


def table(*names):
    return LabelTable([LabelClass(n, (value,), distinct_color(value)) for value, n in enumerate(names)])


class Pixelwise(nn.Module):
    """Batch norm and a convolution to half the resolution."""

    def __init__(self, num_classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Conv2d(3, num_classes, 2, stride=2)

    def forward(self, images):
        return DenseLogits(self.head(self.norm(images.float())))


def a_batch():
    torch.manual_seed(0)
    labels = torch.randint(0, 2, (2, 8, 8), dtype=torch.uint8)
    labels[:, :4] = 255
    return Batch(torch.randn(2, 3, 8, 8), ("a", "b"), {LabelMap: labels})


def test_the_loss_is_that_of_the_labels_and_of_the_teacher_on_counted_pixels():
    batch, network = a_batch(), Pixelwise(3)
    task = find_task("semantic")
    criterion = task.build_criterion(LossPlan(terms=BOTH), labels=table("a", "b"))
    criterion.distillation.teacher = Teacher(network, (2, 0))
    student = torch.randn(2, 2, 8, 8, requires_grad=True)
    value = criterion.loss(DenseLogits(student), batch)
    expected = network(batch.images).logits[:, [2, 0], 2:]  # the lower half, which counts
    found = nn.functional.interpolate(student, (4, 4), mode="bilinear")[:, :, 2:]
    each = nn.functional.kl_div(found.log_softmax(1), expected.softmax(1), reduction="none").sum(1)
    assert value.parts["distill_soft"].item() == pytest.approx(2 * each.mean().item(), rel=1e-4)
    alone = task.build_criterion(LossPlan(terms=BOTH[:1]), labels=table("a", "b"))
    rest = alone.loss(DenseLogits(student), batch).total
    assert value.total.item() == pytest.approx(rest.item() + 2 * each.mean().item(), rel=1e-4)
    value.total.backward()
    assert student.grad[:, :, 4:].abs().max() > 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_teacher_never_learns():
    teacher = Teacher(Pixelwise(2), (0, 1))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    nn.ModuleList([teacher]).train()
    logits = teacher(torch.randn(2, 3, 8, 8) + 5)
    assert not logits.requires_grad and not teacher.network.norm.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_classes_are_matched_by_name_and_missing_ones_are_named():
    assert classes_of(table("sky", "road", "car"), table("car", "sky")) == (2, 0)
    with pytest.raises(ConfigError, match=r"lacks cow"):
        classes_of(table("sky", "road"), table("road", "cow"))


def test_a_term_without_teacher_says_what_to_do():
    criterion = find_task("semantic").build_criterion(LossPlan(terms=BOTH), labels=table("a", "b"))
    with pytest.raises(ConfigError, match="--teacher MODEL"):
        criterion.loss(DenseLogits(torch.zeros(2, 2, 8, 8)), a_batch())


class Whole(nn.Module):
    """Classes of whole images: the mean of each channel is a logit."""

    def forward(self, images):
        return ClassLogits(images.float().mean((2, 3)))


def test_classes_of_whole_images_are_learned_at_a_temperature():
    terms = (LossTerm(name="cross_entropy"), LossTerm(name="distill_soft", options={"temperature": 4.0}))
    criterion = find_task("classification").build_criterion(LossPlan(terms=terms), labels=table("a", "b"))
    criterion.distillation.teacher = Teacher(Whole(), (2, 0))
    images, classes = torch.randn(3, 3, 4, 4) * 9, torch.tensor([0, 1, 1])
    student = torch.randn(3, 2)
    value = criterion.loss(ClassLogits(student), Batch(images, tuple("abc"), {ImageClass: classes}))
    wanted, found = (images.mean((2, 3))[:, [2, 0]] / 4).softmax(1), (student / 4).softmax(1)
    by_hand = 16 * (wanted * (wanted.log() - found.log())).sum(1).mean()
    assert value.parts["distill_soft"].item() == pytest.approx(by_hand.item(), rel=1e-4)
    labels = nn.functional.cross_entropy(student, classes)
    assert value.total.item() == pytest.approx((by_hand + labels).item(), rel=1e-4)


def test_terms_of_pixels_are_refused_for_whole_images():
    terms = (LossTerm(name="cross_entropy"), LossTerm(name="distill_cwd"))
    with pytest.raises(ConfigError, match="distill_soft"):
        find_task("classification").build_criterion(LossPlan(terms=terms), labels=table("a", "b"))


class Querying(nn.Module):
    """Two queries with fixed outputs of three classes."""

    def forward(self, images):
        size = len(images), 2
        logits = torch.tensor([[1.0, 5.0, 2.0, 0.0], [0.0, 1.0, 9.0, 3.0]]).expand(*size, 4)
        features = torch.stack([images[:, 0], images[:, 1]], 1)
        return QueryMasks(logits, torch.eye(2).expand(*size, 2), features)


def test_queries_of_a_teacher_have_the_classes_of_the_student_and_nothing():
    queries = Teacher(Querying(), (2, 0)).queries(torch.randn(1, 3, 8, 8))
    assert queries.class_logits.tolist() == [[[2.0, 1.0, 0.0], [9.0, 0.0, 3.0]]]


def test_a_set_of_segments_is_learned_from_labels_and_teacher():
    terms = (
        LossTerm(name="segment_set", options={"num_points": 50}),
        LossTerm(name="distill_queries", weight=3.0),
    )
    task, batch = find_task("semantic"), a_batch()
    criterion = task.build_criterion(LossPlan(terms=terms), labels=table("a", "b"))
    assert criterion.distillation.loss.num_points == 50, "as in the loss of the labels"
    student = QueryMasks(torch.randn(2, 4, 3), torch.randn(2, 4, 5), torch.randn(2, 5, 8, 8))
    with pytest.raises(ConfigError, match="--teacher MODEL"):
        criterion.loss(student, batch)
    criterion.distillation.teacher = Teacher(Querying(), (2, 0))
    value = criterion.loss(student, batch)
    assert value.total.item() == pytest.approx(sum(value.parts.values()).item(), rel=1e-5)
    assert value.parts["distill_queries"].item() > 0
    with pytest.raises(ConfigError, match="no option|unknown|does not"):
        bad = (terms[0], LossTerm(name="distill_queries", options={"points": 3}))
        task.build_criterion(LossPlan(terms=bad), labels=table("a", "b"))
