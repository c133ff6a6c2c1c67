import re

import pytest

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.name_findings import name_findings
from limner.formats.name_groups import expression_for, group_in, series_in


def test_the_group_of_an_image() -> None:
    assert group_in("a/p7_3.png", re.compile(r"p\d+")) == "p7"
    assert group_in("a/p7_3.png", re.compile(r"(\w)/(p\d+)")) == "a/p7"
    assert group_in("a/p7_3.png", re.compile("q")) is None


def test_only_an_expression_that_makes_the_groups_is_proposed() -> None:
    groups = [["s1/a1.png", "s1/a2.png"], ["s2/a1.png"]]
    assert expression_for(groups, [], [r"a\d", r"s(\d)"]) == r"s(\d)"
    assert expression_for(groups, ["other.png"], [r"s(\d)"]) is None  # it has no group
    assert expression_for(groups, [], [r"a"]) is None


@pytest.mark.parametrize(
    "names",
    [
        [f"images/scan_{p}_patient{p}_{k}.png" for p in range(4) for k in range(3)],
        [f"set1/Case {p}/x{k}_patient{p}.png" for p in range(4) for k in range(3)],
        [f"images/patient_id_{p}-{k}.png" for p in range(4) for k in range(3)],
        [f"a2/video{p}/frame{k}.png" for p in range(4) for k in range(3)],
        [f"a2/{'abcd'[p]}7.x_{k}.png" for p in range(4) for k in range(3)],
        [*(f"im/patient{p}_{k}.png" for p in range(4) for k in range(3)), "im/phantom.png", "im/dark.png"],
    ],
)
def test_a_proposed_expression_divides_as_the_finding_says(names: list[str]) -> None:
    images = [ImageFacts(n, ("train", "val")[k % 2], n, n) for k, n in enumerate(names)]
    (finding,) = name_findings(DatasetFacts(tuple(images)))
    expression = re.search(r"--group '(.+)'`", finding.fix)
    assert expression, finding.fix
    keys = [group_in(name, re.compile(expression[1])) for name in names]
    assert None not in keys and len({*keys}) == 4 + (len(names) - 12)
    assert all(len({*keys[3 * p : 3 * p + 3]}) == 1 for p in range(4))


def test_slices_of_one_volume_have_the_same_series() -> None:
    assert series_in("case07_031.png") == series_in("case07_032.png") != series_in("case08_031.png")
    assert series_in("a/case07/031.png") == series_in("a/case07/7.png") != series_in("a/case08/031.png")
    assert series_in("a/0016E5_00390_L.png") == series_in("a/0016E5_00391_L.png")
    assert series_in("a/case07_031.png") != series_in("b/case07_031.png")


@pytest.mark.parametrize(
    "name", ["scan_1.png", "images/scan1.png", "train2017/000123.png", "2007_000027.png", "study1/a.png"]
)
def test_other_numbers_are_no_series(name: str) -> None:
    assert series_in(name) is None
