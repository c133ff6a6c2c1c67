import pytest

from limner.loading.sampler import ShuffledOrder


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
