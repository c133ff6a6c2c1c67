"""Options of networks whose kernels and strides differ by stage and axis.

A value is one number for everything, one for each stage, or for each stage one for each axis.
"""

from collections.abc import Sequence

from limner.core.errors import ConfigError
from limner.networks.option_types import Width

PerStage = Width | tuple[Width, ...]
"""A number for all stages, or one for each."""

PerStageAndAxis = tuple[Width | tuple[Width, ...], ...]
"""For each stage a number for all axes, or one for each axis (depth, height, width)."""


def numbers_of_stages(value: PerStage, count: int, option: str) -> tuple[int, ...]:
    """Return one number for each stage.

    Raises:
        ConfigError: There are fewer or more numbers than stages.
    """
    numbers = (value,) * count if isinstance(value, int) else tuple(value)
    if len(numbers) != count:
        raise ConfigError(f"{option} needs one number, or one for each of {count} stages; found {numbers}.")
    return numbers


def sizes_of_stages(
    value: PerStageAndAxis | None, default: Sequence[int], spatial_dims: int, option: str
) -> list[tuple[int, ...]]:
    """Return a size for each stage and axis.

    Args:
        value: The option; None takes the default of each stage for all axes.
        default: One number for each stage.
        spatial_dims: Number of axes.
        option: Name of the option, for messages.

    Raises:
        ConfigError: The numbers of stages or axes differ.
    """
    stages = tuple(default) if value is None else value
    if len(stages) != len(default):
        raise ConfigError(
            f"{option} needs a size for each of {len(default)} stages, which follow from features; "
            f"found {len(stages)}."
        )
    sizes = [(each,) * spatial_dims if isinstance(each, int) else tuple(each) for each in stages]
    for stage, size in enumerate(sizes):
        if len(size) != spatial_dims:
            raise ConfigError(
                f"{option} of stage {stage} needs one number, or one for each of {spatial_dims} axes; found "
                f"{size}."
            )
    return sizes


def odd_kernels(kernels: Sequence[Sequence[int]], option: str) -> None:
    """Check that kernels are odd, so that maps keep their size.

    Raises:
        ConfigError: One is even.
    """
    for stage, kernel in enumerate(kernels):
        if any(side % 2 == 0 for side in kernel):
            raise ConfigError(f"{option} of stage {stage} must be odd; found {tuple(kernel)}.")


def divisors(strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the product of the strides for each axis: sizes must be divisible by it."""
    products = [1] * len(strides[0])
    for stride in strides:
        products = [product * step for product, step in zip(products, stride, strict=True)]
    return tuple(products)
