"""`limner.compare()`: comparison of finished runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.errors import ConfigError, did_you_mean
from limner.core.labels import background_among
from limner.evaluation.write_scores import PER_IMAGE
from limner.storage.filled_folder import filled_folder
from limner.storage.user_paths import user_path

if TYPE_CHECKING:
    from limner.reporting.paired import Difference
    from limner.reporting.run_comparison import ComparedRuns
    from limner.reporting.run_facts import RunFacts


@dataclass(frozen=True)
class CompareResult:
    """The comparison and its files: comparison.html, curves.png, curves.pdf."""

    compared: "ComparedRuns"
    files: tuple[Path, ...]


def compare(
    runs: Sequence[str | Path], *, out: str | Path = "comparison", curves: Sequence[str] = ()
) -> CompareResult:
    """Compare curves, scores, settings and times of runs.

    If limner evaluated the runs on the same images, the differences between their scores and those of the
    first run have paired bootstrap intervals.

    Args:
        runs: Run folders, or logs of other programs: mmengine or mmcv JSON, Lightning CSV, TensorBoard.
        out: Folder for the page and the pictures.
        curves: Names of logged values to draw; defaults to the main scores, losses, rates and times.

    Raises:
        ConfigError: There are fewer than two runs, no run logged a requested value, or another file has the
            name of an output.
        DataError: A run cannot be read, or the output folder cannot be written.
    """
    from limner.reporting.run_comparison import ComparedRuns, comparison_files, write_run_comparison
    from limner.reporting.run_logs import read_run

    folder = user_path(out)
    paths = [user_path(run) for run in runs]
    if len(paths) < 2:
        raise ConfigError(f"A comparison needs two runs or more; found {len(paths)}.")
    facts = tuple(read_run(path) for path in paths)
    _refuse_unknown_curves(curves, facts)
    split = _common_split(facts)
    compared = ComparedRuns(_names(paths), facts, split, _differences(facts, split), tuple(curves))
    with filled_folder(folder, by="compare", files=comparison_files(folder)):
        return CompareResult(compared, write_run_comparison(compared, folder))


def _names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the last parts of the paths, as many as needed to make them unique."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-length:]) for p in parts]
        if len(set(names)) == len(names):
            return tuple(names)
    raise ConfigError(f"The same run is named twice: {', '.join(map(str, paths))}.")


def _refuse_unknown_curves(curves: Sequence[str], facts: "Sequence[RunFacts]") -> None:
    known = sorted({name for run in facts for name in run.series})
    for name in curves:
        if name not in known:
            close = did_you_mean(name, known)
            raise ConfigError(f"None of these runs logged {name!r}{close}. Logged: {', '.join(known)}.")


def _common_split(facts: "Sequence[RunFacts]") -> str:
    """Return the split on which most runs were scored; if tied, test before val."""
    splits = [e.split for run in facts for e in run.evaluations]
    return max(dict.fromkeys(splits), key=splits.count, default="")


def _background(run: "RunFacts", split: str) -> int | None:
    """Return the index of the background in the scores of a split, or None."""
    rows = next((e.file.classes for e in run.evaluations if e.split == split), ())
    return background_among([row.name for row in rows])


def _differences(facts: "Sequence[RunFacts]", split: str) -> "tuple[dict[str, Difference], ...]":
    first, *others = facts
    background = _background(first, split)
    file = first.root / "evaluation" / split / PER_IMAGE
    return tuple(
        _difference(file, other.root / "evaluation" / split / PER_IMAGE, background) if split else {}
        for other in others
    )


def _difference(first: Path, second: Path, background: int | None) -> "dict[str, Difference]":
    """Return the differences of two runs; none if a file is damaged, which `gather` reports."""
    from limner.reporting.gather import DAMAGED
    from limner.reporting.paired import paired_differences

    try:
        return paired_differences(first, second, background=background)
    except DAMAGED:
        return {}
