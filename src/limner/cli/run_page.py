"""What the terminal shows of a finished run: its scores and where everything is."""

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
    where = table("", "where", "what to do with it")
    for name, (path, hint) in rows.items():
        where.add_row(name, str(path), hint)
    console().print(where)


def _show_scores(run: RunFolder) -> None:
    """Print a table of the splits; without a background class, foreground Dice is the pixel accuracy."""
    from limner.cli.console import console, table
    from limner.tasks import find_task

    files = {split: run.evaluation(split) / "scores.json" for split in ("val", "test")}
    found = {split: json.loads(f.read_text(encoding="utf-8")) for split, f in files.items() if f.is_file()}
    if not found:
        return
    keys = find_task(next(iter(found.values())).get("task", "semantic")).shown_scores
    if keys[0] == "foreground_dice" and all(
        s["foreground_dice"] == s["pixel_accuracy"] != 1 for s in found.values()
    ):
        keys = keys[1:]
    names = ("images", *map(_title, keys))
    made = table("split", *names, numbers=names)
    for split, scores in found.items():
        made.add_row(split, str(scores["num_images"]), *(_score(scores[key]) for key in keys))
    console().print(made)


def _title(key: str) -> str:
    """Return a score's name as people write it: AP and PQ in capitals."""
    words = key.replace("dice", "Dice").replace("iou", "IoU").split("_")
    return " ".join(word.upper() if word[:2] in ("ap", "pq", "sq", "rq") else word for word in words)


def _remind_of_findings(run: RunFolder) -> None:
    from collections import Counter

    from limner.cli.console import console

    if not run.findings.is_file():
        return
    findings = json.loads(run.findings.read_text(encoding="utf-8"))
    counts = Counter(finding["severity"] for finding in findings)
    said = " and ".join(f"{n} {word}{'s' * (n > 1)}" for word, n in sorted(counts.items()))
    if said:
        console().print(f"The data has {said}: they are in the report, and `limner check` shows them.")


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
