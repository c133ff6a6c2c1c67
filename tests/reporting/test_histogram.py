import re

from limner.reporting.histogram import histogram, legible_bars


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


def test_shares_of_twenty_classes_do_not_overlap_on_a_phone() -> None:
    # 20 bars, 2.2 characters apart; "1.0" needs four characters, so every second is shown beside the first.
    found = legible_bars(["87", *["1.0"] * 19], [1.0, *[0.3] * 19])
    assert 0 in found and 1 in found
    assert sorted(found - {0}) == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
