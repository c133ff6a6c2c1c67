"""Terminal output for a finished run: scores and paths."""

import json

from limner.core.run_folder import RunFolder


def show_run(run: RunFolder) -> None:
    """Print a table with the scores of each split, then the paths of the run."""
    from limner.cli.console import console, table

    _remind_of_findings(run)
    _show_scores(run)
    rows = {
        "model": (run.model, f"limner predict {run.model} IMAGES --out DIR"),
        "scores": (run.root / "evaluation", f"limner evaluate {run.root}"),
        "report": (run.report, "open it in a browser"),
        "plan": (run.plan, "every setting, with its reason"),
    }
    where = table("", "path", "use")
    for name, (path, hint) in rows.items():
        where.add_row(name, str(path), hint)
    console().print(where)


def _show_scores(run: RunFolder) -> None:
    """Print a table of the splits."""
    from limner.cli.console import console, table
    from limner.core.score_names import SCORES, shown
    from limner.evaluation.scores_file import read_scores
    from limner.tasks import first_shown

    files = {split: run.evaluation(split) / "scores.json" for split in ("val", "test")}
    found = {split: read_scores(file) for split, file in files.items() if file.is_file()}
    if not found:
        return
    keys = dict.fromkeys(
        name
        for file in found.values()
        for name in shown(file.scores, first=first_shown(file.task, file.class_names))
    )
    names = ("images", *(SCORES[key].label for key in keys))
    made = table("split", *names, numbers=names)
    for split, file in found.items():
        made.add_row(split, str(file.num_images), *(_score(file.scores.get(key)) for key in keys))
    console().print(made)
    for split, file in found.items():
        for note in file.notes:
            console().print(f"{split}: {note}", style="warning", markup=False)


def _remind_of_findings(run: RunFolder) -> None:
    from collections import Counter

    from limner.cli.console import console

    if not run.findings.is_file():
        return
    findings = json.loads(run.findings.read_text(encoding="utf-8"))
    counts = Counter(finding["severity"] for finding in findings)
    said = " and ".join(f"{n} {word}{'s' * (n > 1)}" for word, n in sorted(counts.items()))
    if said:
        console().print(f"The data has {said}; see the report or `limner check`.")


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
