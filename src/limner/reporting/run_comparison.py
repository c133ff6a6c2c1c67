"""Comparison of runs: a page, and the curves as PNG and PDF."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.core.score_names import SCORES, Shown, shown
from limner.drawing.curves import Curve, CurvePanel, draw_curves
from limner.drawing.pdf import encode_pdf
from limner.drawing.png import encode_png
from limner.evaluation.scores_file import ScoresFile
from limner.reporting.chart import Chart, Line, draw
from limner.reporting.document import Part, render_document
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import MISSING, duration, percent, significant, time_span
from limner.reporting.paired import SEGMENT_SCORES, Difference
from limner.reporting.run_facts import RunFacts, Series
from limner.reporting.sections.class_scores import value_with_unit
from limner.reporting.sections.plan_settings import flat_settings
from limner.storage.whole_files import write_whole

STEP = "train/step_seconds"

FIRST_CURVES = ("val/mean_iou", "train/loss", "val/loss", "train/learning_rate", STEP)
"""Values drawn by default, after the main score of each run."""


@dataclass(frozen=True)
class ComparedRuns:
    """Runs and the differences between them.

    Attributes:
        names: Unique names of the runs.
        runs: Content of the runs, in the same order.
        split: The split whose scores are compared, or an empty string if none was scored.
        differences: For each run after the first: score name -> its score minus that of the first.
        curves: Names of the values to draw; empty means `FIRST_CURVES`.
    """

    names: tuple[str, ...]
    runs: tuple[RunFacts, ...]
    split: str
    differences: tuple[dict[str, Difference], ...]
    curves: tuple[str, ...] = ()

    @property
    def drawn(self) -> tuple[str, ...]:
        """Names of the drawn values: those that at least one run logged."""
        main = [f"val/{run.validation[0]}" for run in self.runs if run.validation is not None]
        wanted = self.curves or tuple(dict.fromkeys((*main, *FIRST_CURVES)))
        return tuple(n for n in wanted if any(_is_drawable(r.series.get(n)) for r in self.runs))

    @property
    def _files(self) -> "list[ScoresFile | None]":
        """The scores of each run on the split, or None."""
        return [next((e.file for e in r.evaluations if e.split == self.split), None) for r in self.runs]

    def title(self, name: str) -> str:
        """Return the title of a score, in the words of the first run that has scores."""
        first = next((file for file in self._files if file is not None), None)
        return SCORES[name].title if first is None else first.score(name).title

    @property
    def notes(self) -> list[str]:
        """Why scores of the split are undefined or misleading, each with the names of its runs."""
        by_note: dict[str, list[str]] = {}
        for name, run in zip(self.names, self.runs, strict=True):
            for note in next((e.file.notes for e in run.evaluations if e.split == self.split), ()):
                by_note.setdefault(note, []).append(name)
        return [f"{', '.join(names)}: {note}" for note, names in by_note.items()]

    @property
    def shown(self) -> dict[str, list[str]]:
        """Title of each score that at least one run has -> the values of all runs as text."""
        files = self._files
        by_run = [{} if file is None else file.scores for file in files]
        names = dict.fromkeys(n for scores in by_run for n in shown(scores, least=Shown.COMPARED))
        return {
            self.title(n): [
                MISSING if file is None else value_with_unit(file, n, file.scores.get(n)) for file in files
            ]
            for n in SCORES
            if n in names
        }


def comparison_files(folder: Path) -> tuple[Path, Path, Path]:
    """Return the files of a comparison: the page, and the curves as PNG and PDF."""
    return folder / "comparison.html", folder / "curves.png", folder / "curves.pdf"


def write_run_comparison(compared: ComparedRuns, folder: Path) -> tuple[Path, ...]:
    """Write the page, and the curves if there are values to draw; returns the written files."""
    page, png, pdf = comparison_files(folder)
    write_whole(page, render_run_comparison(compared))
    panels = [
        CurvePanel(name, [Curve(n, s.steps, s.values) for n, s in _lines(compared, name)])
        for name in compared.drawn
    ]
    if not panels:
        return (page,)
    picture = draw_curves(panels, compared.names)
    write_whole(png, encode_png(picture))
    write_whole(pdf, encode_pdf(picture))
    return page, png, pdf


def render_run_comparison(compared: ComparedRuns) -> str:
    """Return the page as text."""
    parts = [
        Part("scores", "Scores", _scores(compared)),
        Part("curves", "Curves", _curves(compared)),
        Part("settings", "Settings that differ", _settings(compared)),
        Part("time", "Time", _time(compared)),
        *_unreadable(compared),
    ]
    return render_document(
        title=f"{' and '.join(compared.names)} – limner",
        heading="Runs compared",
        subtitle=", ".join(compared.names),
        parts=parts,
        footer="Written by limner from the files of these runs.",
    )


def _scores(compared: ComparedRuns) -> Html:
    if not compared.split:
        return tag("p", "limner evaluated none of these runs; see the curves.", class_="empty")
    return tag(
        "div",
        tag("p", f"Scores on the split “{compared.split}”.", class_="muted"),
        _table("Score", compared.names, list(compared.shown.items())),
        tag(
            "ul",
            [tag("li", tag("span", text)) for text in (*compared.notes, *differences_in_words(compared))],
            class_="remarks",
        ),
    )


def differences_in_words(compared: ComparedRuns) -> Iterator[str]:
    """Yield sentences for each run after the first: its difference, and whether it may be due to chance."""
    for name, found in zip(compared.names[1:], compared.differences, strict=True):
        if not found:
            pair = f"{name} and {compared.names[0]}"
            yield f"{pair} have no comparable scores of the same images, so there is no interval."
        for key, d in found.items():
            own = SEGMENT_SCORES.get(key)
            what = compared.title(key) if own is None else f"Mean {SCORES[own].column} of the images"
            verdict = (
                "not explained by the choice of images"
                if d.is_clear
                else "may be due to the choice of images"
            )
            yield (
                f"{what} of {name} minus that of {compared.names[0]}: {d.value:+.3f}, 95 % "
                f"interval {d.low:+.3f} to {d.high:+.3f} over {d.num_images} images; {verdict}."
            )


def _curves(compared: ComparedRuns) -> Html:
    charts = [
        Chart(
            name,
            tuple(Line(n, s.steps, s.values, _color(compared, n)) for n, s in _lines(compared, name)),
            names_single_line=True,
        )
        for name in compared.drawn
    ]
    if not charts:
        return tag("p", "These runs logged none of these values.", class_="empty")
    return tag("div", [draw(chart) for chart in charts], class_="charts")


def _lines(compared: ComparedRuns, name: str) -> Iterator[tuple[str, Series]]:
    for run_name, run in zip(compared.names, compared.runs, strict=True):
        series = run.series.get(name)
        if series is not None and _is_drawable(series):
            yield run_name, series


def _is_drawable(series: Series | None) -> bool:
    return series is not None and any(map(math.isfinite, series.values))


def _color(compared: ComparedRuns, name: str) -> int:
    return compared.names.index(name) + 1


def _settings(compared: ComparedRuns) -> Html:
    by_run = [flat_settings(run) for run in compared.runs]
    if not any(by_run):
        return tag("p", "None of these runs has a plan.yaml.", class_="empty")
    keys = list(dict.fromkeys(key for values in by_run for key in values))
    rows = [(k, [values.get(k, MISSING) for values in by_run]) for k in keys]
    different = [(key, values) for key, values in rows if len(set(values)) > 1]
    if not different:
        return tag("p", "All settings are the same.", class_="empty")
    return _table("Setting", compared.names, different)


def _time(compared: ComparedRuns) -> Html:
    rows = [run.logged | time_of(run) for run in compared.runs]
    heads = list(dict.fromkeys(key for row in rows for key in row))
    if not heads:
        return tag("p", "These runs logged no times.", class_="empty")
    return _table("", compared.names, [(h, [row.get(h, MISSING) for row in rows]) for h in heads])


def _unreadable(compared: ComparedRuns) -> Iterator[Part]:
    """Yield a part that names the damaged files, if there are any."""
    found = [
        tag(
            "li",
            tag("span", f"{name}: {file} could not be read, so its part of this page is missing. {why}"),
            class_="warning",
        )
        for name, run in zip(compared.names, compared.runs, strict=True)
        for file, why in run.unreadable.items()
    ]
    if found:
        yield Part("unreadable", "Damaged files", tag("ul", found, class_="remarks"))


def time_of(run: RunFacts) -> dict[str, str]:
    """Return the known times of a run: total, per step, slowest and fastest step."""
    found = {}
    if run.steps:
        found["Steps"] = f"{run.steps:,}"
    if run.seconds is not None and math.isfinite(run.seconds):
        found["Total"] = duration(run.seconds)
    step, waiting = run.series.get(STEP), run.series.get("train/data_seconds")
    if step is None or not _is_drawable(step):
        return found
    timed = [(v, s) for v, s in zip(step.values, step.steps, strict=True) if math.isfinite(v)]
    total = sum(v for v, _ in timed)
    found["Per step"] = time_span(total / len(timed))
    for what, (seconds, at) in (("Slowest", max(timed)), ("Fastest", min(timed))):
        found[f"{what} logged step"] = f"{time_span(seconds)} (step {significant(at)})"
    if waiting is not None and total:
        found["Waiting for data"] = percent(sum(filter(math.isfinite, waiting.values)) / total)
    return found


def _table(corner: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Html:
    head = tag("tr", tag("th", corner), [tag("th", h, scope="col", class_="num") for h in heads])
    body = [
        tag("tr", tag("th", name, scope="row"), [tag("td", text, class_="num") for text in cells])
        for name, cells in rows
    ]
    table = tag("table", tag("thead", head), tag("tbody", body), class_="scores")
    return tag("div", table, class_="scroll")
