"""Speed and memory of training and prediction."""

import math

from limner.reporting.markup import Html, tag
from limner.reporting.numbers import duration, percent, plural, significant, time_span
from limner.reporting.run_facts import Evaluation, RunFacts, Series


def speed(facts: RunFacts) -> Html:
    """Return the times and memory measured in training and evaluation."""
    rows = [*_training(facts), *(row for e in facts.evaluations for row in _prediction(facts, e))]
    if not rows:
        return tag("p", "No times were logged in this run.", class_="empty")
    return tag("dl", [(tag("dt", name), tag("dd", text)) for name, text in rows], class_="facts")


def _training(facts: RunFacts) -> list[tuple[str, str]]:
    rows = []
    if facts.seconds is not None and facts.steps:
        text = f"{duration(facts.seconds)} for {plural(facts.steps, 'step')}, validation included"
        rows.append(("Training", text))
    step, waiting = facts.series.get("train/step_seconds"), facts.series.get("train/data_seconds")
    if step is not None and (seconds := _finite(step)):
        rows += _steps(facts, seconds, [] if waiting is None else _finite(waiting))
    origin = facts.model.get("origin")
    peak = origin.get("peak_bytes") if isinstance(origin, dict) else None
    if isinstance(peak, int):
        what = "of the process" if facts.environment.get("device") == "cpu" else "of tensors on the device"
        rows.append(("Peak memory in training", f"{peak / 1e9:.2f} GB {what}"))
    return rows


def _steps(facts: RunFacts, seconds: list[float], waiting: list[float]) -> list[tuple[str, str]]:
    mean = sum(seconds) / len(seconds)
    batch = facts.samples_per_step
    rate = f", {significant(batch / mean)} crops per second" if batch and mean else ""
    rows = [
        ("Time per step", f"{time_span(mean)}{rate}"),
        ("Fastest and slowest logged step", f"{time_span(min(seconds))} and {time_span(max(seconds))}"),
    ]
    if waiting and mean:
        rows.append(("Waiting for data", f"{percent(sum(waiting) / sum(seconds))} of the step time"))
    return rows


def _prediction(facts: RunFacts, evaluation: Evaluation) -> list[tuple[str, str]]:
    found = evaluation.speed
    median, high, rate = (
        found.get(name) for name in ("median_seconds", "percentile_95_seconds", "images_per_second")
    )
    if not (isinstance(median, float) and isinstance(high, float) and isinstance(rate, float)):
        return []
    split = f" ({evaluation.split})" if len(facts.evaluations) > 1 else ""
    text = f"median {time_span(median)}, 95 % within {time_span(high)}, "
    text += f"{significant(rate)} images per second"
    rows = [(f"Prediction per image{split}", f"{text}, on {found.get('device')}")]
    if isinstance(found.get("peak_bytes"), int):
        rows.append((f"Peak memory in prediction{split}", f"{found['peak_bytes'] / 1e9:.2f} GB"))
    return rows


def _finite(series: Series) -> list[float]:
    return [value for value in series.values if math.isfinite(value)]
