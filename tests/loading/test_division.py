from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.loading.division import Unit, divide, whole_sizes

SHARES = [(0.7, 0.2, 0.1), (0.8, 0.2), (0.25, 0.25, 0.25, 0.25)]


def singles(count: int, holders: dict[int, dict[int, int]] | None = None) -> list[Unit]:
    return [Unit(f"u{i}", (f"i{i}",), (holders or {}).get(i, {})) for i in range(count)]


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    classes=st.lists(st.sets(st.integers(0, 4)), min_size=40, max_size=40),
    shares=st.sampled_from(SHARES),
    seed=st.integers(0, 5),
)
@settings(deadline=None, max_examples=40)
def test_each_unit_is_in_one_part_and_no_part_grows_by_a_whole_group(sizes, classes, shares, seed) -> None:
    units = [
        Unit(f"g{i}", tuple(f"{i}/{n}" for n in range(size)), dict.fromkeys(classes[i], 1))
        for i, size in enumerate(sizes)
    ]
    parts = divide(units, shares, seed=seed)
    assert sorted(u.key for part in parts for u in part) == sorted(u.key for u in units)
    for part, wanted in zip(parts, whole_sizes(sum(sizes), shares), strict=True):
        assert sum(len(u.members) for u in part) < wanted + max(sizes)


@given(count=st.integers(1, 200), shares=st.sampled_from(SHARES), seed=st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_single_images_hit_the_sizes(count, shares, seed) -> None:
    sizes = [len(part) for part in divide(singles(count), shares, seed=seed)]
    assert sizes == whole_sizes(count, shares)
    assert sum(sizes) == count
    if count >= 10 * len(shares):
        assert all(abs(size - count * share) < 1 for size, share in zip(sizes, shares, strict=True))


def test_the_order_of_the_units_does_not_matter_and_the_seed_does() -> None:
    units = singles(30)
    assert divide(units, (0.7, 0.3), seed=1) == divide(units[::-1], (0.7, 0.3), seed=1)
    assert divide(units, (0.7, 0.3), seed=1) != divide(units, (0.7, 0.3), seed=2)


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_is_spread(seed: int) -> None:
    # 100 images; class 1 is in 10 of them, so 0.7, 0.2 and 0.1 of it are 7, 2 and 1.
    units = singles(100, {i: {1: 1} if i % 10 == 0 else {0: 1} for i in range(100)})
    parts = divide(units, (0.7, 0.2, 0.1), seed=seed)
    assert [Counter(c for u in part for c in u.holders)[1] for part in parts] == [7, 2, 1]
    assert [len(part) for part in parts] == [70, 20, 10]


def test_no_part_stays_empty_where_that_can_be() -> None:
    assert whole_sizes(3, (0.8, 0.1, 0.1)) == [1, 1, 1]
    assert whole_sizes(2, (0.8, 0.1, 0.1)) == [2, 0, 0] or sum(whole_sizes(2, (0.8, 0.1, 0.1))) == 2


@pytest.mark.parametrize("seed", range(12))
def test_no_part_is_empty_beside_a_large_group(seed: int) -> None:
    large = Unit("large", tuple(f"l{i}" for i in range(95)))
    small = [Unit(f"s{i}", (f"s{i}",)) for i in range(2)]
    for units, shares in (([large, small[0]], (0.8, 0.2)), ([large, *small], (0.7, 0.2, 0.1))):
        parts = divide(units, shares, seed=seed)
        assert all(parts) and sum(map(len, parts)) == len(units)
