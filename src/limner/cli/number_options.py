"""Parsing of options that consist of several numbers."""

from typing import TYPE_CHECKING

from limner.core.errors import ConfigError

if TYPE_CHECKING:
    from limner.core.plan import ResizePlan


def parse_window(text: str, spatial_dims: int) -> tuple[int, ...] | None:
    """Parse a size such as ``512x768`` (height x width) or ``512`` (all sides); an empty text gives None.

    Raises:
        ConfigError: The text is not a size.
    """
    if not text:
        return None
    parts = text.lower().replace("×", "x").split("x")
    try:
        sides = tuple(int(part) for part in parts)
    except ValueError:
        sides = ()
    if len(sides) == 1:
        sides *= spatial_dims
    if len(sides) != spatial_dims or min(sides, default=0) < 1:
        example = "512x512" if spatial_dims == 2 else "96x96x96"
        raise ConfigError(f"--window expects a size such as {example}; found {text!r}.")
    return sides


def parse_size(text: str, *, option: str) -> tuple[int, ...]:
    """Parse a size such as ``512x1024`` (height x width) or ``64x64x64``; ``512`` alone is a square.

    Raises:
        ConfigError: The text is not a size.
    """
    dims = max(2, text.lower().replace("×", "x").count("x") + 1)
    try:
        size = parse_window(text, dims)
    except ConfigError:
        size = None
    if size is None or dims > 3:
        raise ConfigError(f"{option} expects a size such as 512x1024 or 64x64x64; found {text!r}.")
    return size


def parse_whole_numbers(text: str, count: int, *, option: str) -> tuple[int, ...] | None:
    """Parse `count` integers such as ``120,80``; an empty text gives None.

    Raises:
        ConfigError: The text is not `count` integers.
    """
    if not text:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        example = ",".join(("120", "80", "200", "160")[:count])
        raise ConfigError(f"{option} expects {count} whole numbers such as {example}; found {text!r}.")
    return numbers


def parse_resize(text: str, now: "ResizePlan") -> "ResizePlan | None":
    """Parse ``800`` (shorter side), ``800,1333`` (limit of the longer one), ``384x512`` or ``no``.

    Args:
        text: The option; an empty one gives None.
        now: The current setting, whose `multiple` is kept.

    Raises:
        ConfigError: The text is none of these.
    """
    from limner.core.config import parse_config
    from limner.core.plan import ResizePlan

    if not text:
        return None
    if text == "no":
        return ResizePlan()
    try:
        if "," in text:
            shortest, longest = (int(side) for side in text.split(","))
            sides: dict[str, object] = {"shortest": shortest, "longest": longest}
        elif "x" in text.lower():
            sides = {"size": parse_window(text, 2)}
        else:
            sides = {"shortest": int(text)}
        return parse_config(ResizePlan, sides | {"multiple": now.multiple}, where="--resize")
    except ValueError as error:
        raise ConfigError(f"--resize expects 800, 800,1333, 384x512 or no; found {text!r}. {error}") from None


def parse_scales(text: str) -> tuple[float, ...] | None:
    """Parse numbers such as ``0.75,1,1.25``; an empty text gives None.

    Raises:
        ConfigError: The text is not a list of numbers above 0.
    """
    if not text:
        return None
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not scales or not all(0 < scale <= 16 for scale in scales):
        raise ConfigError(f"--scales expects numbers above 0 such as 0.75,1,1.25; found {text!r}.")
    return scales
