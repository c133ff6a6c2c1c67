import numpy as np

from limner.metrics.bootstrap import PoissonBootstrap, weights_of


def filled(names, counts, **options):
    made = PoissonBootstrap((2,), **options)
    for name, count in zip(names, counts, strict=True):
        made.update(name, count)
    return made


def test_intervals_of_a_ratio_are_those_of_the_textbook_bootstrap():
    draw = np.random.default_rng(1)
    whole = draw.integers(50, 500, 80)
    counts = np.stack([(whole * draw.beta(6, 3, 80)).astype(int), whole], 1)
    sums = filled(map(str, range(80)), counts, replicates=4000).sums
    found = np.percentile(sums[:, 0] / sums[:, 1], (2.5, 97.5))
    drawn = counts[draw.integers(0, 80, (4000, 80))].sum(1)
    expected = np.percentile(drawn[:, 0] / drawn[:, 1], (2.5, 97.5))
    np.testing.assert_allclose(found, expected, atol=0.004)
    assert expected[1] - expected[0] > 0.05  # so that the tolerance means something


def test_workers_and_order_change_nothing_and_the_seed_does():
    counts = np.arange(20).reshape(10, 2)
    names = [f"image_{i}" for i in range(10)]
    whole = filled(names, counts).sums
    backwards = filled(names[::-1], counts[::-1]).sums
    one, two = filled(names[::2], counts[::2]), filled(names[1::2], counts[1::2])
    one.merge(two)
    np.testing.assert_array_equal(whole, backwards)
    np.testing.assert_array_equal(whole, one.sums)
    assert (filled(names, counts, seed=1).sums != whole).any()


def test_few_and_many_counts_of_an_image_are_weighted():
    counts = np.random.default_rng(0).integers(1, 9, (3, 4, 10))
    counts[0, 1:] = counts[0, :, 2:] = 0  # two are left
    made = PoissonBootstrap((4, 10), replicates=6)
    for name, each in zip("abc", counts, strict=True):
        made.update(name, each)
    expected = sum(
        weights_of(name, 6)[:, None, None] * each for name, each in zip("abc", counts, strict=True)
    )
    np.testing.assert_array_equal(made.sums, expected)
    assert made.sums[:, 1:].any() and (made.sums[:, 0, :2].max(1) > 0).any()
