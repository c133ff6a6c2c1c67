"""Four images of two classes are overfitted, with the network and the losses of training."""

import pytest
import torch

from limner.core.batch import Batch
from limner.core.image_class import ClassShares, ImageClass
from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import LossPlan, LossTerm
from limner.networks import build_network
from limner.tasks import find_task

LABELS = LabelTable(tuple(LabelClass(name, (i,), (i, i, i)) for i, name in enumerate("ab")))
CLASSES = torch.tensor([0, 1, 1, 0])
MOST_STEPS = 60


def four_images():
    return torch.rand(4, 3, 48, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("classification", "cross_entropy"),
        ("classification", "focal"),
        ("multilabel", "binary_cross_entropy"),
    ],
)
def test_overfits_four_images(task, loss):
    torch.manual_seed(0)
    network = build_network("classifier", num_classes=2, backbone="resnet18_width16").train()
    plan = LossPlan(terms=(LossTerm(name=loss),))
    criterion = find_task(task).build_criterion(plan, labels=LABELS)
    is_exclusive = task == "classification"
    targets = {ImageClass: CLASSES} if is_exclusive else {ClassShares: torch.eye(2)[CLASSES]}
    batch = Batch(four_images(), tuple("abcd"), targets)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(MOST_STEPS):
        optimizer.zero_grad()
        outputs = network(batch.images)
        criterion.loss(outputs, batch).total.backward()
        optimizer.step()
        if outputs.logits.softmax(1)[range(4), CLASSES].min() > 0.9:
            return
    pytest.fail(f"not learned after {MOST_STEPS} steps")


def test_a_network_of_other_outputs_or_classes_is_refused():
    from limner.core.errors import ConfigError

    criterion = find_task("classification").build_criterion(LossPlan(), labels=LABELS)
    batch = Batch(four_images(), tuple("abcd"), {ImageClass: CLASSES})
    with pytest.raises(ConfigError, match="num_classes=2"):
        criterion.loss(
            build_network("classifier", num_classes=3, backbone="resnet18_width16")(batch.images), batch
        )
    with pytest.raises(ConfigError, match="returns ClassLogits; found DenseLogits"):
        criterion.loss(build_network("unet", num_classes=2, widths=(4, 8))(batch.images), batch)
