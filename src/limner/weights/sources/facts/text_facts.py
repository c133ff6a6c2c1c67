"""What is inferred of every checkpoint that finds words: its class."""

from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.weights.checkpoint_source import Asked, Inferred


def text_labels(asked: Asked) -> Inferred[LabelTable]:
    """Return the only class, text, or what the caller has set."""
    if asked.classes is not None:
        return Inferred(asked.classes, "you set them")
    text = LabelTable((LabelClass("text", (1,), distinct_color(1), is_thing=True),))
    return Inferred(text, "its only class")
