"""Which options of prediction make sense."""

from dataclasses import dataclass

from limner.core.errors import ConfigError
from limner.core.plan import InferencePlan


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

    def refuse_others(self, task: str, settings: InferencePlan, *, probabilities: bool) -> None:
        """Reject options that are not supported.

        Args:
            task: Name of the task.
            settings: Window, flips and scales.
            probabilities: Whether class probabilities are requested.

        Raises:
            ConfigError: One of them is set.
        """
        has_views = settings.flips or settings.scales != (1.0,)
        asked = (
            (settings.window is not None, self.windows),
            (has_views, self.views),
            (probabilities, self.probabilities),
        )
        if not any(is_asked and not is_allowed for is_asked, is_allowed in asked):
            return
        options = {
            "--window": self.windows,
            "--flips": self.views,
            "--scales": self.views,
            "--probabilities": self.probabilities,
        }
        *others, last = [option for option, is_allowed in options.items() if not is_allowed]
        named = f"{', '.join(others)} and {last}" if others else last
        raise ConfigError(f"The {task} task {self.why_not}. Omit {named}.")


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

OBJECTS_BY_CENTRES = Allowed(
    probabilities=False,
    why_not="averages maps over windows and views, and finds the objects in them afterwards",
)
"""Prediction options of networks of class, centre and offset at each pixel."""
