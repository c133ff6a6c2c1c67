import math

import pytest

from limner.reporting.numbers import compact, count, duration, percent, plural, score, shortened, significant


def spaced(text):
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.91449, "0.914"), (1.0, "1.000"), (0.0, "0.000"), (None, "–"), (math.nan, "–")],
)
def test_score(value, text):
    assert score(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (0.0004, "< 0.1 %"),
        (0.0123, "1.2 %"),
        (0.5, "50 %"),
        (0.9949, "99 %"),
        (0.99573, "99.6 %"),  # rounded like its counterpart of 0.4 %: together 100 %
        (0.9996, "99.9 %"),  # not 100 %: it is not perfect
        (1.0, "100 %"),
        (None, "–"),
    ],
)
def test_percent(value, text):
    assert spaced(percent(value)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.21, "3.2 s"),
        (59.6, "1 min"),
        (177, "2 min 57 s"),
        (3600, "1 h"),
        (90061, "1 d 1 h"),
        (3725, "1 h 2 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_counts():
    assert count(1234567) == "1,234,567"
    assert count(None) == "–"
    assert [compact(v) for v in (12, 1234, 1_560_233, 2e9)] == ["12", "1.23 k", "1.56 M", "2 G"]
    assert [plural(1, "image"), plural(2, "image"), plural(2, "class", "classes")] == [
        "1 image",
        "2 images",
        "2 classes",
    ]


def test_significant():
    assert [significant(v) for v in (0.000941, 12.345, 0.0, 2480.4, math.nan)] == [
        "0.000941",
        "12.3",
        "0",
        "2,480",
        "–",
    ]


def test_long_names_keep_both_ends():
    assert shortened("short.png") == "short.png"
    assert shortened("abcdefghijkl.png", 10) == "abcd…l.png"
