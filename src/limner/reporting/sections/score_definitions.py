"""Definitions of the scores, at the end of the page."""

from limner.core.score_names import NOTES, SCORES, explained
from limner.reporting.markup import Html, prose, tag
from limner.reporting.run_facts import RunFacts


def definitions(facts: RunFacts) -> Html:
    """Return a list of score names and definitions; those in scores.json take precedence.

    Scores without a value on the page are omitted.
    """
    files = [evaluation.file for evaluation in facts.evaluations]
    logged = {name.partition("/")[0] for name in facts.validation_curves}
    measured = logged.union(*(file.names(measured=True) for file in files)) or SCORES.keys()
    written = files[0].definitions if files else {}
    of_voxels = bool(files) and files[0].of_voxels
    own = explained(measured, of_voxels=of_voxels)
    rows = {n: t for n, t in (own | written).items() if n in measured or n not in SCORES}
    return tag("dl", [_row(name, text, of_voxels=of_voxels) for name, text in rows.items()], class_="facts")


def _row(name: str, text: str, *, of_voxels: bool) -> tuple[Html, Html]:
    known = (SCORES | NOTES).get(name)
    if known is None:
        return tag("dt", name), tag("dd", prose(text))
    known = known.of_voxels() if of_voxels else known
    return tag("dt", known.title), tag("dd", prose(f"{text} 0 is best." if known.best == 0 else text))
