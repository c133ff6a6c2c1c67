import torch

from limner.core.outputs import ClassLogits, QueryBoxes
from limner.tasks.objective import unsuitable


def test_outputs_of_another_kind_are_named_with_the_shape_of_their_classes() -> None:
    found = unsuitable(ClassLogits(torch.zeros(2, 3)), needs="The loss 'x' needs `TextMaps`")
    assert str(found) == "The loss 'x' needs `TextMaps`; the network returns ClassLogits of shape (2, 3)."
    boxes = QueryBoxes(torch.zeros(1, 5, 2), torch.zeros(1, 5, 4))
    found = unsuitable(boxes, needs="This needs another", fix="Use it.")
    assert str(found) == "This needs another; the network returns QueryBoxes of shape (1, 5, 2). Use it."
