"""The whole page: its sections in order, its style and its script, in one file without the network."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from limner.core.run_folder import RunFolder
from limner.formats.whole_files import write_whole
from limner.reporting.facts import RunFacts
from limner.reporting.gather import gather
from limner.reporting.markup import Html, tag
from limner.reporting.sections.audit import audit
from limner.reporting.sections.classes import classes
from limner.reporting.sections.confusion import confusion
from limner.reporting.sections.curves import curves
from limner.reporting.sections.definitions import definitions
from limner.reporting.sections.examples import examples
from limner.reporting.sections.headline import headline, subtitle, title
from limner.reporting.sections.origin import reproduce, rights
from limner.reporting.sections.settings import settings

NO_NETWORK = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Content security policy: the browser itself refuses to load anything from elsewhere."""


LOGO = Html(
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path fill="none" stroke="currentColor" stroke-width="1.7" '
    'd="M12 3.2c5.6-1 9.4 3.4 8.6 8.4-.8 5.4-5 9.6-9.6 8.9C5.9 19.7 2.6 15.9 3.5 11 4.3 6.7 7.6 4 12 3.2Z"/>'
    '<path fill="var(--s2)" d="M12.3 7.6c2.9-.5 4.9 1.6 4.5 4.2-.4 2.8-2.7 5-5.1 4.7Z"/></svg>'
)
"""An outline that is being painted."""


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    anchor: str
    heading: str
    render: Callable[[RunFacts], Html]


SECTIONS = (
    Section("summary", "Summary", headline),
    Section("examples", "Examples", examples),
    Section("classes", "Classes", classes),
    Section("confusion", "Confusion", confusion),
    Section("training", "Training", curves),
    Section("data", "Data", audit),
    Section("plan", "Plan", settings),
    Section("reproduce", "Reproduce", reproduce),
    Section("rights", "Licence and origin", rights),
    Section("definitions", "What the scores mean", definitions),
)
"""The page from top to bottom; a new section is a file and a line here."""


def write_report(run: RunFolder) -> Path:
    """Write the page of a run into its folder.

    Args:
        run: The run; whatever is missing in it is said to be missing on the page.

    Returns:
        The file written. The same run gives the same bytes.

    Raises:
        DataError: The folder is not a run.
    """
    write_whole(run.report, render_page(gather(run)).encode())
    return run.report


def render_page(facts: RunFacts) -> str:
    """Return the page as text."""
    return f"<!DOCTYPE html>\n{tag('html', _head(facts), _body(facts), lang='en')}\n"


def _head(facts: RunFacts) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{NO_NETWORK}"/>'),
        tag("title", f"{title(facts)} – {facts.root.name} – limner"),
        tag("style", Html(_resource("page.css"))),
    )


def _body(facts: RunFacts) -> Html:
    links = [tag("a", s.heading, href=f"#{s.anchor}") for s in SECTIONS]
    sections = [
        tag("section", tag("h2", s.heading), s.render(facts), id=s.anchor, aria_label=s.heading)
        for s in SECTIONS
    ]
    return tag(
        "body",
        tag(
            "header",
            tag("p", LOGO, "limner", class_="mark"),
            tag("h1", title(facts)),
            tag("p", subtitle(facts)),
        ),
        tag("nav", links, aria_label="Sections"),
        tag("main", sections),
        tag("footer", tag("p", f"Written by limner from the files in {facts.root.name}.")),
        tag("dialog", tag("img", alt=""), tag("p")),
        tag("script", Html(_resource("page.js"))),
    )


def _resource(name: str) -> str:
    return files("limner.reporting").joinpath(name).read_text("utf-8")
