"""Mean over some of the values of a map."""

from torch import Tensor


def mean_where(values: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of the counted values, 0 if there are none.

    Args:
        values: Any shape, float.
        counted: The same shape, bool.
    """
    return (values * counted).sum() / counted.sum().clamp(min=1)
