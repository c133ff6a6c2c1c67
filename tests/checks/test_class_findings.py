from limner.checks.class_findings import class_findings, percentage
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.label_rows import label_rows
from limner.core.labels import LabelClass, LabelTable, MaskEncoding


def image(name, split, **counts):
    values = {int(k[1:]): n for k, n in counts.items()}
    return ImageFacts(name, split, label_file=f"masks/{name}.png", label_shape=(10, 10), value_counts=values)


TABLE = LabelTable(
    tuple(LabelClass(f"c{v}", (v,), (v, v, v)) for v in range(3)),
    ignored_values=(255,),
)


def rows_of(*images):
    return label_rows(DatasetFacts(images), TABLE)


def test_the_table_counts_pixels_and_images_of_each_split():
    rows = rows_of(
        image("a", "train", v0=90, v1=10),
        image("b", "train", v0=100),
        image("c", "val", v0=60, v2=20, v255=20),
        image("d", "val", v0=100, v7=100),
    )
    assert [(r.values, r.trained_as) for r in rows] == [
        ((0,), 0),
        ((1,), 1),
        ((2,), 2),
        ((255,), 255),
        ((7,), None),
    ]
    assert rows[1].splits["train"].share == 10 / 200 and rows[1].splits["train"].images == 1
    assert rows[2].splits["val"].share == 20 / 300  # ignored and unknown pixels count to the whole
    assert list(rows[0].splits) == ["train", "val"]


def test_a_threshold_to_come_is_counted_on_the_values_as_they_are():
    table = LabelTable(
        (LabelClass("b", (0,), (0, 0, 0)), LabelClass("f", (1,), (1, 1, 1))),
        encoding=MaskEncoding("threshold", 127),
    )
    rows = label_rows(DatasetFacts((image("a", None, v0=70, v3=5, v127=5, v128=5, v255=15),)), table)
    assert [(r.values, r.pixels) for r in rows] == [((0, 3, 127), 80), ((128, 255), 20)]


def test_a_class_absent_from_a_split():
    images = [image(f"t{i}", "train", v0=50, v1=50, v2=5) for i in range(4)]
    findings = class_findings(rows_of(*images, image("v", "val", v0=50, v1=50)))
    assert [(f.code, f.where, f.found) for f in findings] == [
        ("class-absent-from-split", "split 'val'", "no mask holds 'c2'")
    ]
    assert "measured" in findings[0].expected


def test_names_are_in_quotes():
    table = LabelTable(tuple(LabelClass(f"c{v}" + v * " ", (v,), (v, v, v)) for v in range(3)))
    images = [image(f"t{i}", "train", v0=50, v1=50, v2=5) for i in range(2)]
    facts = DatasetFacts((*images, image("v", "val", v0=50)))
    absent, few = class_findings(label_rows(facts, table))
    assert absent.found == "no mask holds 'c1 ', 'c2  '"
    assert few.found == "'c1 ' (in 2 masks), 'c2  ' (in 2 masks)"


def test_a_class_absent_from_training_cannot_be_learned():
    images = [image(f"v{i}", "val", v0=50, v1=50, v2=5) for i in range(4)]
    findings = class_findings(rows_of(*images, image("t", "train", v0=50, v1=50)))
    assert "learned" in findings[0].expected


def test_a_class_in_fewer_than_three_images():
    images = [image(f"t{i}", "train", v0=50, v1=50) for i in range(4)]
    findings = class_findings(rows_of(*images, *(image(f"u{i}", "train", v2=9) for i in range(2))))
    assert [(f.code, f.found) for f in findings] == [("class-in-few-images", "'c2' (in 2 masks)")]


def test_a_class_of_hardly_any_pixels():
    # 4 of 4004 pixels are fewer than 0.1 %; ignored pixels do not count.
    images = [image(f"t{i}", "train", v0=600, v1=400, v2=1, v255=9000) for i in range(4)]
    (finding,) = class_findings(rows_of(*images))
    assert finding.code == "class-rare" and "c2" in finding.found and "0.10 %" in finding.found


def test_percent_keeps_the_digits_that_matter():
    assert [percentage(x) for x in (0, 0.00001, 0.0042, 0.153, 1)] == [
        "0 %",
        "< 0.01 %",
        "0.42 %",
        "15.3 %",
        "100.0 %",
    ]


def test_a_class_that_differs_between_splits_is_named():
    train = [image(f"t{n}", "train", v0=950, v1=50) for n in range(6)]
    val = [image(f"v{n}", "val", v0=600, v1=400) for n in range(6)]
    found = class_findings(label_rows(DatasetFacts((*train, *val)), TABLE))
    (differs,) = [f for f in found if f.code == "class-differs-between-splits"]
    assert differs.found == "'c1' (40.0 % of val, 5.0 % of train)"
    # In four images only, it may be chance.
    found = class_findings(label_rows(DatasetFacts((*train, *val[:4])), TABLE))
    assert "class-differs-between-splits" not in {f.code for f in found}
