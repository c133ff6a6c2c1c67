"""Frame of every page: style, script and navigation around the sections, in one self-contained file."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from limner.reporting.markup import Html, tag

NO_NETWORK = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Content security policy: the browser refuses to load anything from elsewhere."""


LOGO = Html(
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path fill="none" stroke="currentColor" stroke-width="1.7" '
    'd="M12 3.2c5.6-1 9.4 3.4 8.6 8.4-.8 5.4-5 9.6-9.6 8.9C5.9 19.7 2.6 15.9 3.5 11 4.3 6.7 7.6 4 12 3.2Z"/>'
    '<path fill="var(--s2)" d="M12.3 7.6c2.9-.5 4.9 1.6 4.5 4.2-.4 2.8-2.7 5-5.1 4.7Z"/></svg>'
)
"""The logo: an outline that is partly painted."""


@dataclass(frozen=True)
class Part:
    """One rendered part of a page.

    Attributes:
        anchor: Its HTML id, for links.
        heading: Its heading.
        content: Its content.
        link: Text in the navigation; empty uses the heading.
    """

    anchor: str
    heading: str
    content: Html
    link: str = ""


def render_document(*, title: str, heading: str, subtitle: str, parts: Sequence[Part], footer: str) -> str:
    """Return a whole page as text.

    Args:
        title: Title of the browser tab.
        heading: Main heading.
        subtitle: A line below the heading.
        parts: Parts from top to bottom; each has a link in the navigation.
        footer: The last line.
    """
    return (
        f"<!DOCTYPE html>\n{tag('html', _head(title), _body(heading, subtitle, parts, footer), lang='en')}\n"
    )


def _head(title: str) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{NO_NETWORK}"/>'),
        tag("title", title),
        tag("style", Html(_resource("page.css"))),
    )


def _body(heading: str, subtitle: str, parts: Sequence[Part], footer: str) -> Html:
    links = [tag("a", part.link or part.heading, href=f"#{part.anchor}") for part in parts]
    sections = [
        tag("section", tag("h2", part.heading), part.content, id=part.anchor, aria_label=part.heading)
        for part in parts
    ]
    return tag(
        "body",
        tag(
            "header",
            tag("p", LOGO, "limner", class_="mark"),
            tag("h1", heading),
            tag("p", subtitle),
        ),
        tag("nav", links, aria_label="Sections"),
        tag("main", sections),
        tag("footer", tag("p", footer)),
        tag("dialog", tag("img", alt=""), tag("p")),
        tag("script", Html(_resource("page.js"))),
    )


def _resource(name: str) -> str:
    return files("limner.reporting").joinpath(name).read_text("utf-8")
