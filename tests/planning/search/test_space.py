import pytest

from limner.core.errors import ConfigError
from limner.planning.search.space import Choice, Range, own_values, read_space
from limner.planning.settings import flatten


@pytest.fixture
def own(tiny_plan):
    return flatten(tiny_plan())


def test_ranges_and_choices_are_read(own):
    space = read_space(
        [
            "optimizer.learning_rate=1e-4..1e-2",
            "train.batch_size=2..16",
            "augment.hue=0,0.05",
            "input.crop_size=[64, 64],[96, 96]",
            "network.options.width=8,16",
        ],
        own,
    )
    assert space["optimizer.learning_rate"] == Range(1e-4, 1e-2)
    assert space["train.batch_size"] == Range(2, 16)
    assert space["augment.hue"] == Choice((0.0, 0.05))
    assert space["input.crop_size"] == Choice(([64, 64], [96, 96]))
    assert space["network.options.width"] == Choice((8, 16))


def test_a_bare_key_is_searched_around_the_plans_own_value(own):
    own = own | {"optimizer.learning_rate": 0.002, "train.batch_size": 10, "augment.quarter_turns": False}
    space = read_space(
        ["optimizer.learning_rate", "train.batch_size", "augment.quarter_turns", "optimizer.name"], own
    )
    assert space["optimizer.learning_rate"] == Range(0.0004, 0.01)
    assert space["train.batch_size"] == Range(2, 50)
    assert space["augment.quarter_turns"] == Choice((False, True))
    assert space["optimizer.name"] == Choice(("sgd", "adam", "adamw"))


def test_values_lie_where_they_should():
    # Half of the way from 1e-4 to 1e-2 on a logarithmic scale is 1e-3; on an even one from 1 to 3 it is 2.
    assert Range(1e-4, 1e-2).at(0.5) == pytest.approx(1e-3)
    assert Range(1.0, 3.0).at(0.5) == 2.0
    assert Range(2, 5).at(0.99) == 5
    assert isinstance(Range(2, 50).at(0.3), int)
    assert [Choice(("a", "b", "c")).at(part) for part in (0, 0.34, 0.999)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimizer.learning_rat=1..2", "did you mean 'optimizer.learning_rate'"),
        ("train.minutes=1,2", "divides the time"),
        ("train.seed", "luck"),
        ("optimizer.learning_rate=1e-2..1e-4", "needs a smaller and a larger number"),
        ("optimizer.learning_rate=-1..1", "greater than 0"),
        ("optimizer.learning_rate=slow..fast", "'slow' is not a number"),
        ("optimizer.name=adam", "two values or more"),
        ("optimizer.name=adam,adamm", "adamm"),
        ("train.gradient_clip", "plan's value None"),
    ],
)
def test_what_cannot_be_searched_is_refused(own, text, said):
    with pytest.raises(ConfigError, match=said):
        read_space([text], own)


def test_the_plans_own_values_leave_out_options_that_it_leaves_open(own):
    space = read_space(["network.options.nothing=1,2", "optimizer.learning_rate"], own)
    assert own_values(own, space) == {"optimizer.learning_rate": own["optimizer.learning_rate"]}
