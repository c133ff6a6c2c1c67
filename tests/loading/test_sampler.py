import pytest

from limner.core.errors import ConfigError
from limner.loading.sampler import BalancedOrder, ShuffledOrder, training_order


def test_each_epoch_is_another_permutation():
    order = ShuffledOrder(7, seed=0)
    epochs = [tuple(order.index_of(7 * e + i) for i in range(7)) for e in range(20)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) > 15


def test_a_slot_is_a_function_of_the_seed():
    slots = [5_000_000, 3, 40, 3, 12]
    first = [ShuffledOrder(11, seed=1).index_of(s) for s in slots]
    assert [ShuffledOrder(11, seed=1).index_of(s) for s in slots] == first
    assert [ShuffledOrder(11, seed=2).index_of(s) for s in range(30)] != [
        ShuffledOrder(11, seed=1).index_of(s) for s in range(30)
    ]


def test_every_image_is_as_likely_first():
    firsts = [ShuffledOrder(4, seed=s).index_of(0) for s in range(2000)]
    for index in range(4):
        # 2000 / 4 = 500, standard deviation 19.
        assert firsts.count(index) == pytest.approx(500, abs=100)


def test_balanced_classes_are_used_equally_often_and_their_images_in_turn():
    labels = [0] * 9 + [1] * 2 + [5]
    order = training_order(labels, seed=3, balanced=True)
    assert isinstance(order, BalancedOrder)
    drawn = [order.index_of(slot) for slot in range(3 * 18)]
    classes = [labels[index] for index in drawn]
    for start in range(0, len(drawn), 3):
        assert sorted(classes[start : start + 3]) == [0, 1, 5]  # each class once in three
    zeros = [index for index in drawn if labels[index] == 0]
    assert sorted(zeros[:9]) == sorted(zeros[9:]) == list(range(9))  # every image before one comes again
    assert len({tuple(classes[start : start + 3]) for start in range(0, len(drawn), 3)}) > 3


def test_only_images_with_a_class_can_be_balanced():
    assert training_order([None, None], seed=0, balanced=False) == ShuffledOrder(2, 0)
    with pytest.raises(ConfigError, match="needs images with one class each"):
        training_order([0, None], seed=0, balanced=True)
