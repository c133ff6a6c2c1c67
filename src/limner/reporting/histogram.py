"""Histograms as vertical bars."""

from collections.abc import Sequence

from limner.reporting.markup import Html, tag
from limner.reporting.numbers import compact, plural

CHARACTERS = 44
"""Number of characters that fit above all bars together, in the narrowest column of the pages."""

LINE = 0.1
"""Text height of a count, relative to the highest bar."""


def histogram(
    heading: str, text: str, bins: Sequence[tuple[str, int]], noun: str, scale: Sequence[str]
) -> Html:
    """Return bars with their counts on top.

    Args:
        heading: What is counted.
        text: The same as a sentence.
        bins: Text of each range, and its count; from left to right, at least one count above 0.
        noun: Singular noun for what is counted.
        scale: Numbers below the bars, evenly spaced.
    """
    highest = max(tally for _, tally in bins)
    texts = [compact(tally) if tally else "" for _, tally in bins]
    legible = legible_bars(texts, [tally / highest for _, tally in bins])
    bars = [
        tag(
            "span",
            style=f"--part:{tally / highest:.3f}",
            data_tally=texts[place] if place in legible else "",
            title=f"{range_}: {plural(tally, noun)}",
        )
        for place, (range_, tally) in enumerate(bins)
    ]
    return tag(
        "figure",
        tag("figcaption", tag("h3", heading), tag("p", text, class_="muted")),
        tag("div", bars, class_="histogram"),
        tag("div", [tag("span", mark) for mark in scale], class_="scale"),
    )


def legible_bars(texts: Sequence[str], heights: Sequence[float]) -> set[int]:
    """Return the bars whose texts are shown: the highest first, without overlaps.

    Args:
        texts: What is above each bar; empty for nothing.
        heights: Height of each bar, relative to the highest.
    """
    pitch = CHARACTERS / len(texts)
    taken: list[tuple[float, float, float]] = []
    legible = set()
    for place in sorted(range(len(texts)), key=lambda i: -heights[i]):
        half, height = (len(texts[place]) + 1) / 2, heights[place]
        left, right = place * pitch - half, place * pitch + half
        hidden = any(left < r and lf < right and abs(height - h) < LINE for lf, r, h in taken)
        if texts[place] and not hidden:
            taken.append((left, right, height))
            legible.add(place)
    return legible
