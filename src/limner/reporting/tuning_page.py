"""Results of tuning: a page, a table of trials, a plot of the range test, and the best trial as a recipe."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from limner.core.score_names import SCORES
from limner.core.tuning import BELOW_LOWEST, RateTest, Trial, Tuning
from limner.core.yaml_text import dump_yaml
from limner.drawing.curves import Curve, CurvePanel, draw_curves
from limner.drawing.png import encode_png
from limner.reporting.chart import Chart, Line, draw
from limner.reporting.document import Part, render_document
from limner.reporting.markup import Html, prose, tag
from limner.reporting.numbers import MISSING, duration, plural, score, significant
from limner.storage.table_cells import cell
from limner.storage.whole_files import write_whole


def write_tuning(tuning: Tuning, *, method: str = "") -> None:
    """Write the page, the table of trials and the plot of the range test.

    Args:
        tuning: Results so far.
        method: How candidates are chosen, to follow "Candidates are".
    """
    if tuning.trials:
        write_whole(tuning.table, render_table(tuning))
    if tuning.rate_test is not None:
        write_whole(tuning.plot, encode_png(draw_rates(tuning.rate_test)))
    write_whole(tuning.page, render_tuning(tuning, method=method))


def render_tuning(tuning: Tuning, *, method: str = "") -> str:
    """Return the page as text."""
    name = tuning.data.rstrip("/").rpartition("/")[2]
    parts = []
    if tuning.trials:
        parts = [
            Part("summary", "Summary", _summary(tuning, method)),
            Part("trials", "Trials", _trials(tuning)),
        ]
        charts = [draw(chart) for key in _keys(tuning) if (chart := _by_setting(tuning, key)) is not None]
        if charts:
            parts.append(Part("settings", "Score by setting", tag("div", charts, class_="charts")))
    if tuning.rate_test is not None:
        parts.append(Part("rates", "Learning rates", _rates(tuning.rate_test)))
    return render_document(
        title=f"{name}: tuning – limner",
        heading=name,
        subtitle=plural(len(tuning.trials), "trial") if tuning.trials else "Learning-rate range test",
        parts=parts,
        footer=f"Written by limner from the files in {tuning.root.name}.",
    )


def render_table(tuning: Tuning) -> str:
    """Return the trials as CSV, one row each."""
    keys, text = _keys(tuning), io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["round", "trial", "candidate", "minutes", *keys, tuning.score_name, "steps", "problem"])
    for t in tuning.trials:
        own = [cell(str(t.settings.get(key, ""))) for key in keys]
        minutes, problem = round(t.minutes, 4), cell(t.problem)
        rows.writerow([t.round, t.number, t.candidate, minutes, *own, t.score, t.steps, problem])
    return text.getvalue()


def render_recipe(tuning: Tuning, settings: dict[str, Any]) -> str:
    """Return the best settings as a recipe for `limner train`."""
    best = tuning.best
    assert best is not None
    said = (
        f"# Found by limner tune: {SCORES[tuning.score_name].words} {score(best.score)} on "
        f"{plural(tuning.num_images, 'validation image')}\n"
        f"# after {duration(60 * best.minutes)} of training; optimistic, since it was selected on them.\n"
    )
    settings = {key: value for key, value in settings.items() if key != "reasons"}
    return said + dump_yaml({"data": tuning.data} | settings)


def draw_rates(test: RateTest) -> Any:  # noqa: ANN401 - an RGB array
    """Return the range test as a picture, (H, W, 3) uint8."""
    xs = [math.log10(rate) for rate in test.rates]
    top = _top(test)
    panel = CurvePanel(
        "Loss by learning rate",
        (
            Curve("each step", xs, [min(y, top) for y in test.losses]),
            Curve("averaged", xs, [min(y, top) for y in test.smoothed]),
        ),
    )
    return draw_curves(
        [panel], ["averaged", "each step"], x_label="learning rate", show_x=lambda x: f"{10**x:.1g}"
    )


def verdict_on_rates(test: RateTest) -> str:
    """Return the result of a range test in two sentences."""
    if test.suggestion is None:
        why = "was still falling at the highest rate" if not test.diverged else "hardly fell at any rate"
        return f"The loss {why}, so this test suggests no rate; the plan has {test.planned:g}."
    return (
        f"Try a learning rate of {test.suggestion:g}; the plan has {test.planned:g}. The averaged loss was "
        f"lowest at {significant(test.rates[test.lowest], 2)}, and a rate {BELOW_LOWEST:g} times smaller is "
        "safely below those at which training diverges."
    )


def _rates(test: RateTest) -> Html:
    top = _top(test)
    flag = None if test.suggestion is None else (test.suggestion, f"suggested {test.suggestion:g}")
    chart = Chart(
        "Loss by learning rate",
        (
            Line("each step", test.rates, [min(y, top) for y in test.losses], 1, is_faint=True),
            Line("averaged", test.rates, [min(y, top) for y in test.smoothed], 2),
        ),
        note="One training run from the initial weights; the learning rate increases at every step.",
        x_label="learning rate",
        x_logarithmic=True,
        flag=flag,
        shows_last=False,
    )
    use = None
    if test.suggestion is not None:
        use = tag("p", prose(f"Use it with `--set optimizer.learning_rate={test.suggestion:g}`."))
    return tag("div", tag("p", verdict_on_rates(test), class_="verdict"), use, draw(chart))


def _top(test: RateTest) -> float:
    """Return the upper limit of the plot, so that the divergence at the end does not flatten the rest."""
    return 1.5 * max(y for y in test.smoothed[: max(1, test.lowest + 1)] if math.isfinite(y))


def _summary(tuning: Tuning, method: str) -> Html:
    best, own = tuning.best, _plans_own(tuning)
    what = SCORES[tuning.score_name].words
    if best is None:
        return tag("p", "No trial has a score yet.", class_="verdict")
    if best.candidate == 1:
        said = f"No candidate beat the unchanged plan: its {what} is {score(best.score)}."
    else:
        said = f"{_in_words(best)} reaches a {what} of {score(best.score)}."
        if own is not None and own.round == best.round:
            said += f" The unchanged plan reaches {score(own.score)} in the same time."
        elif own is not None:
            said += " The unchanged plan was eliminated in a shorter round."
    open_ones = sum(not trial.is_done for trial in tuning.trials)
    remarks = [
        f"Scores are on {plural(tuning.num_images, 'validation image')}, which were also used to select the "
        "best: expect slightly lower scores on others, and treat differences of 0.01 as noise if "
        "there are few images.",
        "Trials of one round trained for the same time; compare only trials of the same round.",
        f"Candidates are {method}; the first is the unchanged plan." if method else "",
        f"{plural(open_ones, 'trial')} not finished: run the same command again to continue."
        if open_ones
        else "",
    ]
    use = prose(f"Train with the best settings: `limner train {tuning.recipe} --minutes ...`")
    return tag(
        "div",
        tag("p", said, class_="verdict"),
        tag("p", use),
        tag("ul", [tag("li", tag("span", remark)) for remark in remarks if remark], class_="remarks"),
    )


def _plans_own(tuning: Tuning) -> Trial | None:
    """Return the latest trial of the unchanged plan."""
    return next((t for t in reversed(tuning.trials) if t.candidate == 1 and t.score is not None), None)


def _trials(tuning: Tuning) -> Html:
    keys = _keys(tuning)
    head = [
        tag("th", "Round", scope="col", class_="num"),
        tag("th", "Candidate", scope="col", class_="num"),
        [tag("th", key, scope="col", class_="num") for key in keys],
        tag("th", SCORES[tuning.score_name].title, scope="col", class_="num"),
        tag("th", "Steps", scope="col", class_="num"),
        tag("th", "Time", scope="col", class_="num"),
    ]
    ordered = sorted(tuning.trials, key=lambda t: (-t.round, -t.rank))
    rows = tag("tbody", [_row(trial, keys) for trial in ordered])
    return tag("div", tag("table", tag("thead", tag("tr", head)), rows, class_="sortable"), class_="scroll")


def _row(trial: Trial, keys: Sequence[str]) -> Html:
    own = [trial.settings.get(key) for key in keys]
    reached = trial.problem or (MISSING if trial.score is None else score(trial.score))
    cells = [
        (trial.round, str(trial.round)),
        (trial.candidate, "the plan" if trial.candidate == 1 else str(trial.candidate)),
        *((value, _shown(value)) for value in own),
        (trial.score, reached),
        (trial.steps, MISSING if trial.steps is None else f"{trial.steps:,}"),
        (trial.minutes, duration(60 * trial.minutes)),
    ]
    return tag(
        "tr",
        [
            tag("td", text, class_="num", data_value="-1" if value is None else str(value))
            for value, text in cells
        ],
    )


def _by_setting(tuning: Tuning, key: str) -> Chart | None:
    """Return the scores by one setting, one colour per round; None if its values are not numbers."""
    scored = [t for t in tuning.trials if t.score is not None and _is_number(t.settings.get(key))]
    values = [float(t.settings[key]) for t in scored]
    if len(set(values)) < 2:
        return None
    lines = []
    for number in sorted({t.round for t in scored}):
        points = sorted((float(t.settings[key]), t.rank) for t in scored if t.round == number)
        minutes = next(t.minutes for t in scored if t.round == number)
        label = f"round {number}, {duration(60 * minutes)} each"
        xs, ys = [x for x, _ in points], [y for _, y in points]
        lines.append(Line(label, xs, ys, number, has_marks=True, is_joined=False))
    return Chart(
        f"{SCORES[tuning.score_name].title} by {key}",
        tuple(lines),
        x_label=key,
        show=score,
        at_most=1.0,
        shows_last=False,
        x_logarithmic=min(values) > 0 and max(values) >= 10 * min(values),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _keys(tuning: Tuning) -> list[str]:
    """Return the searched settings, in order of first appearance."""
    return list(dict.fromkeys(key for trial in tuning.trials for key in trial.settings))


def _in_words(trial: Trial) -> str:
    return ", ".join(f"{key} {_shown(value)}" for key, value in trial.settings.items())


def _shown(value: object) -> str:
    return MISSING if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
