import re

import numpy as np
import pytest

from limner.checks.facts import Components, DatasetFacts, ImageFacts
from limner.checks.label_rows import label_rows
from limner.core.finding import Finding, Severity
from limner.core.labels import LabelClass, LabelTable
from limner.reporting.check_page import CheckedData, render_check_page

TABLE = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell <x>", (7,), (1, 2, 3))), (9,))
GREY = np.full((6, 8, 3), 90, np.uint8)


def image(number: int, shape: tuple[int, int], pieces: int, area: float) -> ImageFacts:
    return ImageFacts(
        name=f"i{number}",
        split="train",
        image_file=f"i{number}.png",
        label_file=f"m{number}.png",
        shape=shape,
        label_shape=shape,
        value_counts={0: 90, 7: 6, 9: 4},
        components={0: Components(1, 90.0), 7: Components(pieces, area), 9: Components(1, 4.0)},
    )


def data(**changes: object) -> CheckedData:
    facts = DatasetFacts((image(0, (10, 10), 2, 3.0), image(1, (40, 40), 5, 64.0)))
    given: dict[str, object] = {
        "name": "cells & more",
        "path": "/data/cells",
        "format": "paired-folders",
        "facts": facts,
        "splits": {"train": 2},
        "split_origins": {"train": "train.txt"},
        "labels": TABLE,
        "is_settled": True,
        "rows": label_rows(facts, TABLE),
        "colors": {"cell <x>": (1, 2, 3)},
        "findings": (),
    }
    return CheckedData(**{**given, **changes})  # type: ignore[arg-type]


def tallies(page: str, heading: str) -> list[str]:
    figure = page[page.index(f"<h3>{heading}</h3>") :]
    return re.findall(r'data-tally="([^"]*)"', figure[: figure.index("</figure>")])


def test_it_is_whole_in_itself() -> None:
    page = render_check_page(data(samples=[("i0", GREY)]))
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("data:image/webp;base64,") == 1
    assert "cells &amp; more" in page
    assert "cell &lt;x&gt;" in page
    assert "<x>" not in page


def test_classes_with_their_pixels() -> None:
    page = render_check_page(data())
    row = page[page.index("cell &lt;x&gt;") :].split("</tr>")[0]
    assert re.search(r"data-sort=\"12\">6(\.0)?\W%", row)  # 12 of 200 pixels
    assert "rgb(1, 2, 3)" in page
    assert "ignored" in page


def test_sizes_of_images_and_objects() -> None:
    page = render_check_page(data())
    # 2 objects of 3 pixels and 5 of 64: neither background nor what is ignored is an object.
    counted = [tally for tally in tallies(page, "Object sizes") if tally]
    assert counted == ["2", "5"]
    assert [t for t in tallies(page, "Image sizes") if t] == ["1", "1"]
    # 180 and 12 of 192 labelled pixels.
    assert [float(t) for t in tallies(page, "Class pixels")] == pytest.approx([93.75, 6.25], abs=0.3)


def test_equal_sizes_are_said_in_words() -> None:
    facts = DatasetFacts((image(0, (10, 10), 1, 5.0), image(1, (10, 10), 1, 5.0)))
    assert "All 2 images have 100 pixels" in render_check_page(data(facts=facts))


def test_findings_with_pictures_stand_in_their_order() -> None:
    note = Finding("near-duplicate", Severity.NOTE, "i0", "alike", files=("i0.png",))
    error = Finding("size-mismatch", Severity.ERROR, "i1", "too small", fix="Use `x`.", proposal={"a": 1})
    page = render_check_page(data(findings=(note, error), named=([("shown", GREY)], [])))
    assert page.index("size-mismatch") < page.index("near-duplicate") < page.index("Picture of shown")
    assert "1 error must be fixed" in page
    assert "<code>x</code>" in page


def test_classes_in_no_mask_are_folded_where_they_are_many() -> None:
    facts = DatasetFacts((image(0, (10, 10), 2, 3.0),))
    few, many = (
        LabelTable(
            (*TABLE.classes, *(LabelClass(f"absent {i}", (20 + i,), (9, 9, i)) for i in range(number)))
        )
        for number in (10, 11)
    )
    names = {f"absent {i}": (9, 9, i) for i in range(11)} | {"cell <x>": (1, 2, 3)}
    page = render_check_page(data(facts=facts, labels=few, rows=label_rows(facts, few)))
    assert page.count('scope="row"') == 13  # with the value 9, which no class covers
    page = render_check_page(
        data(facts=facts, labels=many, rows=label_rows(facts, many), colors=names, samples=[("i0", GREY)])
    )
    assert page.count('scope="row"') == 3
    folded = page[page.index("<details>") : page.index("</details>")]
    assert "11 more classes are in no mask" in folded
    assert "absent 0 (20), absent 1 (21)" in folded
    legend = page[page.index('class="legend"') :].split("</ul>")[0]
    assert "absent" not in legend and "cell" in legend


def test_warnings_leave_data_ready_to_train() -> None:
    warning = Finding("box-zero-size", Severity.WARNING, "a.xml", "0 x 0")
    assert "Ready to train; 1 warning to review first." in render_check_page(data(findings=(warning,)))


def test_captions_leave_folders_out_where_names_stay_different() -> None:
    def captions(*names: str) -> list[str]:
        page = render_check_page(data(samples=[(name, GREY) for name in names]))
        return re.findall(r'class="name">([^<]*)<', page)

    assert captions("JPEGImages/a 1", "bees: train/bees/b.jpg") == ["a 1", "bees: b.jpg"]
    assert captions("train/1", "val/1") == ["train/1", "val/1"]
    assert captions("images/a: The mask x/y.png is damaged") == ["a: The mask x/y.png is damaged"]


def test_nothing_settled_and_nothing_drawn() -> None:
    page = render_check_page(data(labels=None, rows=(), is_settled=False, facts=DatasetFacts(())))
    assert page.count('class="empty"') == 3
    assert "These classes are proposed" in render_check_page(data(is_settled=False))
