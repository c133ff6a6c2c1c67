"""Terminal output for a finished run: scores and paths."""

from typing import TYPE_CHECKING

from limner.core.run_folder import RunFolder

if TYPE_CHECKING:
    from limner.reporting.run_facts import RunFacts


def show_run(run: RunFolder) -> None:
    """Print a table with the scores of each split, then the paths of the run."""
    from limner.cli.console import console, table
    from limner.reporting.gather import gather

    facts = gather(run)
    for name, why in facts.unreadable.items():
        console().print(f"{name} could not be read: {why}", style="warning")
    _remind_of_findings(facts)
    _show_scores(facts)
    _show_folds(facts)
    rows = {
        "model": (run.model, f"limner predict {run.model} IMAGES --out DIR"),
        "scores": (run.root / "evaluation", f"limner evaluate {run.root}"),
        "report": (run.report, "open it in a browser"),
        "plan": (run.plan, "every setting, with its reason"),
    }
    if facts.folds:
        rows["model"] = (run.root, f"limner predict {run.root} IMAGES --out DIR, the mean of all folds")
        rows["plan"] = (run.folds, "the images of each fold; each has its own plan, model and report")
    where = table("", "path", "use")
    for name, (path, hint) in rows.items():
        where.add_row(name, str(path), hint)
    console().print(where)


def _show_scores(facts: "RunFacts") -> None:
    """Print a table of the splits."""
    from limner.cli.console import console, table
    from limner.core.score_names import shown
    from limner.tasks import first_shown

    scored = {evaluation.split: evaluation.file for evaluation in facts.evaluations}
    found = {split: scored[split] for split in ("val", "test") if split in scored}
    if not found:
        return
    keys = dict.fromkeys(
        name
        for file in found.values()
        for name in shown(file.scores, first=first_shown(file.task, file.class_names))
    )
    first = next(iter(found.values()))
    names = ("images", *(first.score(key).label for key in keys))
    made = table("split", *names, numbers=names)
    for split, file in found.items():
        made.add_row(split, str(file.num_images), *(_score(file.scores.get(key)) for key in keys))
    console().print(made)
    for split, file in found.items():
        for note in file.notes:
            console().print(f"{split}: {note}", style="warning", markup=False)


def _show_folds(facts: "RunFacts") -> None:
    """Print a table of the folds of a cross-validation."""
    from limner.cli.console import console, table
    from limner.reporting.sections.cross_validation import fold_table

    found = fold_table(facts)
    if found is None:
        return
    made = table("fold", *found.heads, numbers=found.heads)
    for name, cells in found.rows.items():
        made.add_row(name, *cells)
    console().print(made)


def _remind_of_findings(facts: "RunFacts") -> None:
    from collections import Counter

    from limner.cli.console import console

    counts = Counter(finding.severity.value for finding in facts.findings or ())
    said = " and ".join(f"{n} {word}{'s' * (n > 1)}" for word, n in sorted(counts.items()))
    if said:
        console().print(f"The data has {said}; see the report or `limner check`.")


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
