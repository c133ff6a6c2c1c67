import pytest

from limner.api.shared_work import ShownItems, lost_words


def test_each_item_is_shown_once_whoever_did_it() -> None:
    shown = ShownItems()
    assert len([*shown.up_to(2)]) == 2  # by others
    assert len([*shown.each([None] * 3)]) == 3  # by this process
    assert len([*shown.up_to(4)]) == 0  # an earlier look than that: five are shown
    assert len([*shown.up_to(7)]) == 2


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "1 process ended early; the others finished its work"),
        (3, "3 processes ended early; the others finished their work"),
    ],
)
def test_lost_processes_are_counted(number: int, said: str) -> None:
    assert lost_words(number) == said
