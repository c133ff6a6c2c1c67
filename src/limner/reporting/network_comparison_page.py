"""Comparison of networks: a CSV table, a page, and a plot for papers and slides."""

import csv
from collections.abc import Iterator
from html import escape

from limner.core.network_comparison import ComparedNetwork, Comparison
from limner.core.score_names import SCORES
from limner.reporting.chart import Chart, Line, draw
from limner.reporting.document import Part, render_document
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import MISSING, compact, duration, plural, score, time_span
from limner.storage.table_cells import cell
from limner.storage.whole_files import GrowingFile, write_whole

NUM_COLORS = 8

ROW, LEFT, WIDTH, RIGHT = 30, 210, 420, 190
"""Sizes in the plot in pixels: row height, width of names, length of a bar of 1.0, width of numbers."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif"


def write_comparison(comparison: Comparison) -> None:
    """Write the table, the page and the plot into the comparison's folder."""
    lines = list(_lines(comparison))
    with GrowingFile(comparison.table) as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        for line in lines:
            writer.writerow(
                {k: cell(value) if isinstance(value, str) else value for k, value in line.items()}
            )
    write_whole(comparison.page, render_comparison(comparison))
    write_whole(comparison.plot, render_plot(comparison))


def render_comparison(comparison: Comparison) -> str:
    """Return the page as text."""
    name = comparison.data.rstrip("/").rpartition("/")[2]
    parts = [
        Part("summary", "Summary", _summary(comparison)),
        Part("networks", "Networks", _table(comparison)),
    ]
    if any(_main(comparison, n) is not None and n.predict_seconds for n in comparison.networks):
        parts.append(Part("cost", "Score and cost", draw(_chart(comparison))))
    return render_document(
        title=f"{name}: {plural(len(comparison.networks), 'network')} – limner",
        heading=name,
        subtitle=f"{plural(len(comparison.networks), 'network')} compared",
        parts=parts,
        footer=f"Written by limner from the runs in {comparison.root.name}.",
    )


def render_plot(comparison: Comparison) -> str:
    """Return the scores as bars, best first, with the time and the size of each network, as SVG."""
    networks = comparison.best_first
    height = ROW * len(networks) + 62
    rows = "".join(_bar(comparison, network, 44 + ROW * i) for i, network in enumerate(networks))
    heading = f"{SCORES[comparison.main_score].title} on {comparison.num_images} {comparison.split} images"
    size = " × ".join(map(str, comparison.size))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" '
        f'font-family="{FONT}" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{LEFT}" y="24" font-weight="600">{escape(heading)}</text>'
        f'<text x="{LEFT + WIDTH + RIGHT - 12}" y="24" text-anchor="end" fill="#6a655c">'
        f"time for {size}, parameters</text>{rows}</svg>\n"
    )


def _bar(comparison: Comparison, network: ComparedNetwork, top: int) -> str:
    value = _main(comparison, network)
    middle = top + ROW / 2 + 1
    name = f'<text x="{LEFT - 12}" y="{middle + 4}" text-anchor="end">{escape(network.name)}</text>'
    if value is None:
        return f'{name}<text x="{LEFT}" y="{middle + 4}" fill="#b3321a">no score</text>'
    length = value * (WIDTH - 50)
    cost = f"{_seconds(network.predict_seconds)}, {_compact(network.parameters)}"
    bar = f'x="{LEFT}" y="{top + 5}" width="{length:.1f}" height="{ROW - 10}" rx="3" fill="#2755b8"'
    right = f'x="{LEFT + WIDTH + RIGHT - 12}" y="{middle + 4}" text-anchor="end" fill="#6a655c"'
    return (
        f"{name}<rect {bar}/>"
        f'<text x="{LEFT + length + 8:.1f}" y="{middle + 4}" font-weight="600">{score(value)}</text>'
        f"<text {right}>{cost}</text>"
    )


def _summary(comparison: Comparison) -> Html:
    best = comparison.best_first[0]
    value = _main(comparison, best)
    images = plural(comparison.num_images, f"{comparison.split} image")
    if value is None:
        verdict = "No network could be scored."
    else:
        what = SCORES[comparison.main_score].words
        verdict = f"On {images}, {best.name} reaches the highest {what}: {score(value)}."
    failed = [network for network in comparison.networks if network.problem]
    problems = [
        tag("li", tag("span", f"{n.name}: {n.problem} (details: problem.txt in its run folder)"),
            class_="warning")
        for n in failed
    ]  # fmt: skip
    return tag(
        "div",
        tag("p", verdict, class_="verdict"),
        tag("ul", problems, class_="remarks") if problems else None,
    )


def _table(comparison: Comparison) -> Html:
    shown = comparison.shown_scores
    size = " × ".join(map(str, comparison.size))
    costs = ("Parameters", "Multiply-adds", "Prediction", "Training memory", "Steps", "Training")
    head = [tag("th", SCORES[name].title, scope="col", class_="num") for name in shown]
    head += [tag("th", words, scope="col", class_="num") for words in costs]
    return tag(
        "div",
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", tag("th", "Network", scope="col"), head)),
                tag("tbody", [_row(n, shown) for n in comparison.best_first]),
                class_="sortable scores",
            ),
            class_="scroll",
        ),
        tag(
            "p",
            f"Multiply-adds and prediction are for one image of {size}, on the training machine. "
            "Training memory includes weights, optimizer state and the tensors saved for the backward pass "
            "of one step, measured on small inputs.",
            class_="muted",
        ),
    )


def _row(network: ComparedNetwork, shown: list[str]) -> Html:
    cells = [(network.scores.get(name), score(network.scores.get(name))) for name in shown]
    memory, spent = network.training_bytes, network.train_seconds
    cells += [
        (network.parameters, _compact(network.parameters)),
        (network.multiply_adds, _compact(network.multiply_adds)),
        (network.predict_seconds, _seconds(network.predict_seconds)),
        (memory, MISSING if memory is None else f"{memory / 1e9:.2f} GB"),
        (network.steps, MISSING if network.steps is None else f"{network.steps:,}"),
        (spent, MISSING if spent is None else duration(spent)),
    ]
    return tag(
        "tr",
        tag("th", network.name, scope="row"),
        [tag("td", text, class_="num", data_value=repr(-1 if v is None else v)) for v, text in cells],
    )


def _chart(comparison: Comparison) -> Chart:
    lines = tuple(
        Line(network.name, (network.predict_seconds,), (value,), i % NUM_COLORS + 1, has_marks=True)
        for i, network in enumerate(comparison.networks)
        if (value := _main(comparison, network)) is not None and network.predict_seconds is not None
    )
    what = SCORES[comparison.main_score].title
    return Chart(f"{what} by prediction time", lines, x_label="seconds per image", show=score, at_most=1.0)


def _main(comparison: Comparison, network: ComparedNetwork) -> float | None:
    return network.scores.get(comparison.main_score)


def _compact(value: float | None) -> str:
    return MISSING if value is None else compact(value)


def _seconds(value: float | None) -> str:
    if value is None:
        return MISSING
    return time_span(value)


def _lines(comparison: Comparison) -> Iterator[dict[str, object]]:
    """Yield the rows of the CSV: plain numbers, with units in the column names."""
    for network in comparison.networks:
        yield {
            "network": network.name,
            **{name: network.scores.get(name) for name in comparison.shown_scores},
            "parameters": network.parameters,
            "multiply_adds": network.multiply_adds,
            "predict_seconds": network.predict_seconds,
            "training_bytes": network.training_bytes,
            "steps": network.steps,
            "train_seconds": network.train_seconds,
            "problem": network.problem,
        }
