"""Training data: labels, splits, and findings of check."""

from collections.abc import Sequence

from limner.core.finding import Finding, Severity
from limner.reporting.markup import Child, Html, prose, tag
from limner.reporting.numbers import count, percent, plural, shortened
from limner.reporting.run_facts import RunFacts
from limner.reporting.sections.class_scores import swatch

MOST_FINDINGS = 100
"""Maximum number of findings listed; the others are only counted."""

MOST_FILES = 6
"""Maximum number of files listed for a finding."""


def audit(facts: RunFacts) -> Html:
    """Return labels, splits and findings."""
    return tag("div", tag("div", _labels(facts), _splits(facts), class_="pair"), _findings(facts))


def _labels(facts: RunFacts) -> Html:
    table = facts.label_table
    if table is None:
        return tag(
            "p", "There is no readable plan.yaml in this run, so its labels are unknown.", class_="empty"
        )
    rows = [
        tag(
            "tr",
            tag("td", ", ".join(map(str, c.values)), class_="num"),
            tag("th", swatch(facts, c.name), c.name, scope="row"),
            tag("td", str(trained), class_="num"),
        )
        for trained, c in enumerate(table.classes)
    ]
    if table.ignored_values:
        values = ", ".join(map(str, table.ignored_values))
        cells = tag("td", values, class_="num"), tag("td", "ignored"), tag("td", "–", class_="num")
        rows.append(tag("tr", cells, class_="muted"))
    head = tag(
        "tr", tag("th", "Mask value", class_="num"), tag("th", "Name"), tag("th", "Trained as", class_="num")
    )
    notes = {
        "index": "Mask values (or palette indices) are used unchanged.",
        "color": "Masks are coloured; a value is red · 65536 + green · 256 + blue.",
        "objects": "Each mask value but 0 is one object of the class.",
        "threshold": f"Mask values above {table.encoding.threshold} count as 1, all others as 0.",
    }
    return tag(
        "div",
        tag("h3", "Labels"),
        tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll"),
        tag("p", notes[table.encoding.kind], class_="muted"),
    )


def _splits(facts: RunFacts) -> Html | None:
    if facts.plan is None:
        return None
    splits = facts.plan.data.num_images
    total = sum(splits.values()) or 1
    bars = [
        tag("span", class_=f"s{i}", style=f"flex-grow:{number}", title=f"{name}: {count(number)}")
        for i, (name, number) in enumerate(splits.items(), 1)
        if number
    ]
    rows = [
        tag("li", tag("i", class_=f"s{i}"), f"{name} ", tag("b", count(n)), f" {percent(n / total)}")
        for i, (name, n) in enumerate(splits.items(), 1)
    ]
    return tag(
        "div",
        tag("h3", "Splits"),
        tag("div", bars, class_="stack"),
        tag("ul", rows, class_="legend"),
        tag(
            "p",
            f"Read as “{facts.plan.data.format}” from ",
            tag("code", facts.plan.data.path),
            class_="muted",
        ),
    )


def _findings(facts: RunFacts) -> Html:
    if facts.findings is None:
        text = "This run has no findings.json: the data was not checked, or the file was moved."
        return tag("div", tag("h3", "Findings"), tag("p", text, class_="empty"))
    if not facts.findings:
        text = "Every image and mask was read; no problems were found."
        return tag("div", tag("h3", "Findings"), tag("p", text, class_="good"))
    return tag("div", tag("h3", "Findings"), finding_list(facts.findings, rest="in findings.json"))


def finding_list(findings: Sequence[Finding], *, rest: str, pictures: Sequence[Html | None] = ()) -> Html:
    """Return a list of findings with details, errors first.

    Args:
        findings: At least one.
        rest: Where to find the findings beyond `MOST_FINDINGS`.
        pictures: For each finding, in the same order, pictures of its images; empty draws none.
    """
    order = list(Severity)
    drawn = zip(findings, pictures or [None] * len(findings), strict=True)
    ordered = sorted(drawn, key=lambda pair: (order.index(pair[0].severity), pair[0].code))
    tallies = [(s, sum(f.severity is s for f in findings)) for s in order]
    summary = ", ".join(plural(number, severity.value) for severity, number in tallies if number)
    left_out = len(ordered) - MOST_FINDINGS
    items = [_finding(finding, picture) for finding, picture in ordered[:MOST_FINDINGS]]
    return tag(
        "div",
        tag("p", f"Check reported {summary}.", class_="muted"),
        tag("ul", items, class_="findings"),
        tag("p", f"{plural(left_out, 'more finding')} {rest}.") if left_out > 0 else None,
    )


def _finding(finding: Finding, pictures: Html | None) -> Html:
    details: list[tuple[str, Child]] = [
        ("Expected", prose(finding.expected) if finding.expected else None),
        ("To fix", prose(finding.fix) if finding.fix else None),
        ("Files", _files(finding)),
    ]
    is_named_below = bool(finding.files) and finding.where.startswith(finding.files[0])
    where = None if is_named_below or not finding.where else f"{finding.where}: "
    return tag(
        "li",
        tag("p", tag("b", finding.severity.value, class_="badge"), tag("code", finding.code), class_="what"),
        tag("p", where, prose(finding.found)),
        tag("dl", [(tag("dt", key), tag("dd", text)) for key, text in details if text is not None]),
        pictures,
        class_=finding.severity.value,
    )


def _files(finding: Finding) -> Child:
    """List some of the files; the pointer shows their full names."""
    if not finding.files:
        return None
    named = finding.files[:MOST_FILES]
    more = finding.count - len(named)
    items = [(", " if i else None, tag("code", shortened(name), title=name)) for i, name in enumerate(named)]
    return [items, f" and {plural(more, 'more file')}" if more > 0 else None]
