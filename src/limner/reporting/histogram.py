"""How many of something there are in each of several ranges, as upright bars."""

from collections.abc import Sequence

from limner.reporting.markup import Html, tag
from limner.reporting.numbers import compact, plural


def histogram(
    heading: str, text: str, bins: Sequence[tuple[str, int]], noun: str, scale: Sequence[str]
) -> Html:
    """Return bars with their tallies on top.

    Args:
        heading: What is counted.
        text: A sentence that says the same in words.
        bins: Range in words, and how many fall into it; from left to right, at least one above 0.
        noun: What is counted, in the singular.
        scale: Numbers under the bars, evenly spread.
    """
    highest = max(tally for _, tally in bins)
    bars = [
        tag(
            "span",
            style=f"--part:{tally / highest:.3f}",
            data_tally=compact(tally) if tally else "",
            title=f"{range_}: {plural(tally, noun)}",
        )
        for range_, tally in bins
    ]
    return tag(
        "figure",
        tag("figcaption", tag("h3", heading), tag("p", text, class_="muted")),
        tag("div", bars, class_="histogram"),
        tag("div", [tag("span", mark) for mark in scale], class_="scale"),
    )
