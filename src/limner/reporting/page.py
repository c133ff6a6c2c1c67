"""The page of a run, as sections in order."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from limner.core.run_folder import RunFolder
from limner.reporting.document import Part, render_document
from limner.reporting.gather import gather
from limner.reporting.markup import Html
from limner.reporting.run_facts import RunFacts
from limner.reporting.run_logs import is_foreign, read_run
from limner.reporting.sections.audit import audit
from limner.reporting.sections.class_curves import class_curves
from limner.reporting.sections.class_scores import classes
from limner.reporting.sections.confusion_matrix import confusion
from limner.reporting.sections.cross_validation import folds
from limner.reporting.sections.examples import examples
from limner.reporting.sections.headline import headline, subtitle, title
from limner.reporting.sections.object_matches import objects
from limner.reporting.sections.origin import reproduce, rights
from limner.reporting.sections.plan_settings import settings
from limner.reporting.sections.score_definitions import definitions
from limner.reporting.sections.speed import speed
from limner.reporting.sections.threshold_curves import thresholds
from limner.reporting.sections.training_curves import curves
from limner.storage.own_outputs import write_own_file
from limner.storage.whole_files import remove_leftovers_of, write_whole


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    anchor: str
    heading: str
    render: Callable[[RunFacts], Html | None]
    """Returns the content, or None if the section does not apply to the run."""
    link: str = ""


SECTIONS = (
    Section("summary", "Summary", headline),
    Section("folds", "Folds", folds),
    Section("classes", "Classes", classes),
    Section("objects", "Objects", objects),
    Section("confusion", "Confusion", confusion),
    Section("thresholds", "Thresholds", thresholds),
    Section("curves", "Curves of the classes", class_curves, "Curves"),
    Section("examples", "Examples", examples),
    Section("training", "Training", curves),
    Section("speed", "Speed and memory", speed, "Speed"),
    Section("data", "Data", audit),
    Section("plan", "Plan", settings),
    Section("reproduce", "Reproduce", reproduce),
    Section("rights", "Licence and origin", rights, "Licence"),
    Section("definitions", "What the scores mean", definitions, "Definitions"),
)
"""The page from top to bottom; a new section is a file and a line here."""


FOREIGN = ("summary", "training", "definitions")
"""Anchors of the sections about the log of another program."""

OF_EACH_FOLD = ("training", "rights")
"""Anchors of the sections that the page of a cross-validation leaves to those of its folds."""


def write_report(run: RunFolder) -> Path:
    """Write the page of a run into its folder.

    Args:
        run: The run, whose page states which files are missing; or a log of another program or a folder with
            one, whose page is written beside the log.

    Returns:
        The written file; the same run gives the same bytes.

    Raises:
        DataError: The folder is not a run folder, and contains no log; or the log cannot be read.
        ConfigError: Beside the log of another program there is another `report.html`.
    """
    if not is_foreign(run.root):
        write_whole(run.report, render_page(gather(run)))
        remove_leftovers_of(run.report)
        return run.report
    facts = read_run(run.root)
    page = run.report if run.root.is_dir() else RunFolder(run.root.parent).report
    return write_own_file(page, render_page(facts), by="report")


def render_page(facts: RunFacts) -> str:
    """Return the page as text."""
    return render_document(
        title=f"{title(facts)} – {facts.root.name} – limner",
        heading=title(facts),
        subtitle=subtitle(facts),
        parts=[
            Part(section.anchor, section.heading, content, section.link)
            for section in SECTIONS
            if _applies(section, facts)
            if (content := section.render(facts)) is not None
        ],
        footer=f"Written by limner from the files in {facts.root.name}.",
    )


def _applies(section: Section, facts: RunFacts) -> bool:
    if facts.is_foreign:
        return section.anchor in FOREIGN
    return not (facts.folds and section.anchor in OF_EACH_FOLD)
