import re

from limner.reporting.histogram import histogram


def tallies(*numbers: int) -> list[str]:
    page = str(
        histogram("Sizes", "In words.", [(str(i), n) for i, n in enumerate(numbers)], "image", ["0", "9"])
    )
    assert page.count("title=") == len(numbers)  # what cannot be read stands under the pointer
    return re.findall(r'data-tally="([^"]*)"', page)


def test_few_bars_say_their_tallies() -> None:
    assert tallies(3, 0, 17) == ["3", "", "17"]


def test_of_tallies_that_would_overlap_the_highest_is_legible() -> None:
    # 22 bars, 2 characters apart; tallies of 6 characters ("1.25 k") need three bars and a half.
    found = tallies(*[1250] * 10, 1290, *[1250] * 11)
    assert found[10] == "1.29 k"
    assert found[7:10] == found[11:14] == [""] * 3
    assert 5 <= len([text for text in found if text]) <= 7


def test_tallies_at_different_heights_do_not_overlap() -> None:
    assert all(tallies(*[100, 700, 400] * 7))
