"""Formatting of numbers and names in texts: sizes, shares, durations, bytes, lists."""

from collections.abc import Iterable, Mapping, Sequence


def size(sides: Sequence[int]) -> str:
    """Return ``256x320``."""
    return "x".join(str(side) for side in sides)


def element(spatial_dims: int) -> str:
    """Return what an image of this many dimensions consists of: ``pixel`` or ``voxel``."""
    return "voxel" if spatial_dims == 3 else "pixel"


def count_words(number: int, noun: str) -> str:
    """Return ``1 image`` or ``3 images``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def channel_words(channels: int) -> str:
    """Return ``1 channel`` or ``3 channels``."""
    return count_words(channels, "channel")


def share(part: float) -> str:
    """Return a fraction as a percentage with the significant digits: ``12 %``, ``0.4 %``."""
    percent = 100 * part
    if percent >= 10 or percent == 0:
        return f"{percent:.0f} %"
    return f"{percent:.2g} %"


def rough_time(seconds: float) -> str:
    """Return ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def memory(num_bytes: float) -> str:
    """Return ``3.2 GiB`` or ``87 MiB``."""
    if num_bytes < 2**30:
        return f"{num_bytes / 2**20:.0f} MiB"
    return f"{num_bytes / 2**30:.1f} GiB"


def times(ratio: float) -> str:
    """Return ``4.5 times``."""
    return f"{ratio:,.0f} times" if ratio >= 100 else f"{ratio:.2g} times"


def number(value: float) -> str:
    """Return ``24,000`` for large numbers and four digits for small ones."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def first_few(names: Iterable[str], most: int) -> str:
    """Return ``a, b and 3 more``: up to `most` names, and the number of the others."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def given_options(options: Mapping[str, bool]) -> str:
    """Return ``--a, --b``: the options that are given, by whether each of them is."""
    return ", ".join(option for option, is_given in options.items() if is_given)
