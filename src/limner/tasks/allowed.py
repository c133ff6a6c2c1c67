"""Which options of prediction make sense."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Allowed:
    """Prediction options that a task supports.

    Attributes:
        windows: Whether large images can be predicted in overlapping windows, whose scores are averaged.
        views: Whether scores of mirrored and zoomed views can be averaged.
        probabilities: Whether there is a probability of each class, at each pixel or of the image.
        sorting: Whether copies of the images can be sorted into a folder for each class.
        why_not: What the task does instead, and why, to follow "The ... task".
    """

    windows: bool = True
    views: bool = True
    probabilities: bool = True
    sorting: bool = False
    why_not: str = ""


OBJECTS_ONLY_WHOLE = Allowed(
    windows=False,
    views=False,
    probabilities=False,
    why_not=(
        "predicts whole images at their own size with a network of queries: regions found in windows, "
        "mirrored or zoomed views cannot be averaged"
    ),
)
"""Prediction options of networks that divide a whole image among its segments."""

OBJECTS_IN_WINDOWS = Allowed(
    views=False,
    probabilities=False,
    why_not="predicts a list of objects: those of mirrored or zoomed views cannot be averaged",
)
"""Prediction options of networks that return boxes or masks; those that borders of windows cut are joined."""
