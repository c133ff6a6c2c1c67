"""HTML from nested function calls, always balanced and escaped; control characters are written out."""

from collections.abc import Iterable
from html import escape
from typing import Union

from limner.core.printable import printable

VOID = {"img", "input", "meta", "br", "hr", "rect", "path", "line", "circle"}
"""Elements without content."""


class Html(str):
    """Text that already is HTML; all other strings are escaped."""

    __slots__ = ()


Child = Union[str, int, None, Iterable["Child"]]  # noqa: UP007 - recursive, so it cannot be written with |
Attribute = str | int | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return one element.

    Args:
        name: The element, such as ``td``.
        children: Text (escaped), elements, or iterables of both; None adds nothing.
        attributes: A trailing underscore is dropped (``class_``), inner ones become hyphens
            (``data_value``); None and False omit the attribute, True gives one without a value.
    """
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    if name in VOID:
        return Html(f"{opening}/>")
    return Html(f"{opening}>{render(children)}</{name}>")


def render(child: Child) -> Html:
    """Return text, elements or an iterable of both as HTML."""
    if child is None:
        return Html("")
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return Html(escape(printable(str(child))))
    return Html("".join(render(c) for c in child))


def prose(text: str) -> Html:
    """Return a sentence as HTML; text between backticks becomes code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return render(text)
    return render(tag("code", part) if i % 2 else part for i, part in enumerate(parts))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(printable(str(value)))}"'
