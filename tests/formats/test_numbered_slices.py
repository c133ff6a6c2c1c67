"""Images that are slices of volumes, by their names or by `cases` in dataset.yaml."""

from pathlib import Path

import pytest

from limner.core.config import parse_config
from limner.core.dataset_file import DatasetFile
from limner.core.errors import ConfigError, DataError
from limner.core.sample import Record
from limner.formats.numbered_slices import cases_of
from limner.loading.splits import assign_splits

ROOT = Path("/data")


def records_of(*names: str, suffix: str = ".png", **more: object) -> list[Record]:
    return [
        Record(n, ROOT / "images" / f"{n}{suffix}", (ROOT / "masks" / f"{n}{suffix}",), **more) for n in names
    ]


def cases(*names: str, settings: DatasetFile | None = None, **more: object) -> dict[str, str]:
    return dict(cases_of(records_of(*names, **more), settings or DatasetFile(), ROOT))


def numbered(form: str, cases: list[str], count: int, first: int = 0, step: int = 1) -> list[str]:
    return [form.format(case, first + step * i) for case in cases for i in range(count)]


@pytest.mark.parametrize(
    "form", ["{}_{:03}", "{}-slice{}", "{}_slice_{}", "{}/{:04}", "{} z{:02}", "{}.img_{}"]
)
def test_slices_are_known_by_their_names(form: str) -> None:
    names = numbered(form, ["case01", "case02", "p3"], 6)
    found = cases(*names)
    assert set(found.values()) == {"case01", "case02", "p3"}
    assert all(name.startswith(case) for name, case in found.items())


def test_slices_that_were_left_out_do_not_matter() -> None:
    names = numbered("patient1_{0}{1:03}", [""], 9, first=40) + numbered("patient2_{0}{1:03}", [""], 9, 45)
    assert len(set(cases(*names[:3], *names[4:]).values())) == 2


@pytest.mark.parametrize(
    "names",
    [
        numbered("{}_{:03}", ["cat", "dog"], 20),  # kinds of images
        numbered("{}_{:06}", ["2007", "2008"], 20, step=97),  # VOC: large gaps
        numbered("{}_{:06}", ["0001TP", "0006R0"], 20, step=30),  # frames of CamVid
        [f"site{i // 10}_{i:03}" for i in range(40)],  # numbered throughout
        numbered("{}_{}", ["case1"], 30),  # a single case
        numbered("{}_{}", [f"case{i}" for i in range(20)], 2),  # two pictures of each
        [*numbered("{}_{}", ["case1", "case2"], 9), "other"],
    ],
)
def test_other_numbers_are_no_slices(names: list[str]) -> None:
    assert cases(*names) == {}


def test_volumes_and_classes_are_no_slices() -> None:
    names = numbered("{}_{:03}", ["case01", "case02"], 6)
    assert cases(*names, suffix=".nii.gz") == {}
    assert cases(*names, label=1) == {}


def test_dataset_yaml_says_what_belongs_together() -> None:
    names = numbered("{}_{}", ["cat", "dog"], 3)
    found = cases(*names, settings=DatasetFile(cases="([a-z]+)_"))
    assert found == {name: name[:3] for name in names}
    slices = numbered("{}_{:03}", ["case01", "case02"], 6)
    assert cases(*slices, settings=DatasetFile(cases=False)) == {}
    with pytest.raises(DataError, match="images/case01_000.png"):
        cases(*slices, settings=DatasetFile(cases="nothing"))
    with pytest.raises(ConfigError, match="regular expression"):
        parse_config(DatasetFile, {"cases": "(("}, where="dataset.yaml")


@pytest.mark.parametrize("seed", range(3))
def test_slices_of_a_case_stay_in_one_split(seed: int) -> None:
    records = records_of(*numbered("{}_{:03}", [f"case{i:02}" for i in range(10)], 7))
    settings = DatasetFile.model_validate({"splits": {"val": 0.2, "test": 0.1, "seed": seed}})
    splits = assign_splits(records, settings, cases=cases_of(records, settings, ROOT))
    parts = {name: {record.name[:6] for record in rows} for name, rows in splits.items()}
    assert {name: len(part) for name, part in parts.items()} == {"train": 7, "val": 2, "test": 1}
    assert len(parts["train"] | parts["val"] | parts["test"]) == 10
    alone = records_of(*numbered("{}_{:03}", ["case01"], 10))
    assert len(assign_splits(alone, DatasetFile(), cases=dict.fromkeys("x", "y"))["val"]) == 2
    only = {record.name: "case01" for record in alone}
    assert len(assign_splits(alone, DatasetFile(), cases=only)["val"]) == 2
