"""Division into folds: no image is in two validations, and none in training and validation of one fold."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.core.errors import ConfigError, DataError
from limner.core.run_folder import RunFolder
from limner.datasets.checked import check_dataset
from limner.preparation.folds import (
    divide_into_folds,
    read_folds,
    records_of,
    refuse_other_images,
    request_for,
    splits_of_fold,
    write_folds,
)

NUM_PATIENTS, IMAGES_OF_EACH = 6, 3


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """18 images of 6 patients, a rare class in 4 of them; one patient's are the test images."""
    from tests.conftest import write_tree

    draw = np.random.default_rng(0)
    files = {}
    names = [f"p{p}_{i}" for p in range(NUM_PATIENTS) for i in range(IMAGES_OF_EACH)]
    for number, name in enumerate(names):
        mask = np.zeros((12, 14), np.uint8)
        mask[2:6, 2:7] = 1
        if number % 4 == 0:
            mask[7:9, 7:9] = 2
        files |= {
            f"images/{name}.png": draw.integers(0, 255, (12, 14, 3), np.uint8),
            f"masks/{name}.png": mask,
        }
    root = write_tree(tmp_path_factory.mktemp("patients"), files)
    lists = {
        "train": [n for n in names if not n.startswith("p5")],
        "test": [n for n in names if n.startswith("p5")],
    }
    for split, members in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in members))
    (root / "dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: cell, value: 1}\n- {name: rare, value: 2}\n"
        "splits: {train: train.txt, test: test.txt}\n"
    )
    return check_dataset(root)


def folds_of(checked, num_folds, group=None, seed=0):
    return divide_into_folds(checked, request_for(checked.source.root, num_folds, group, seed, {}))


@given(st.integers(2, 15), st.integers(0, 1000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_image_is_validated_once_and_never_trained_on_in_the_same_fold(checked, num_folds, seed):
    file = folds_of(checked, num_folds, seed=seed)
    names = {record.name for record in checked.source.records}
    test = {name for name in names if name.startswith("p5")}
    validated = [name for fold in file.folds for name in fold]
    assert sorted(validated) == sorted(names - test) and set(file.test) == test
    assert max(map(len, file.folds)) - min(map(len, file.folds)) <= 1
    records = records_of(checked)
    for index in range(num_folds):
        splits = {n: {r.name for r in rows} for n, rows in splits_of_fold(file, index, records).items()}
        assert not splits["train"] & splits["val"] and not splits["test"] & (splits["train"] | splits["val"])
        assert splits["train"] | splits["val"] == names - test


@given(st.integers(2, 5), st.integers(0, 1000))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_images_of_a_group_stay_in_one_fold(checked, num_folds, seed):
    file = folds_of(checked, num_folds, group=r"(p\d)_", seed=seed)
    for fold in file.folds:
        patients = {name[:2] for name in fold}
        assert len(fold) == IMAGES_OF_EACH * len(patients)


def test_a_rare_class_is_spread_over_the_folds(checked):
    rare = {image.name for image in checked.facts.images if image.value_counts.get(2)}
    file = folds_of(checked, 4)
    assert all(rare & set(fold) for fold in file.folds)


def test_the_division_depends_on_the_seed_alone(checked):
    assert folds_of(checked, 5).folds == folds_of(checked, 5).folds
    assert folds_of(checked, 5).folds != folds_of(checked, 5, seed=1).folds


@pytest.mark.parametrize("num_folds", [0, 1, -3])
def test_fewer_than_two_folds_are_refused(checked, num_folds):
    with pytest.raises(ConfigError, match="2 or more"):
        folds_of(checked, num_folds)


def test_more_folds_than_images_or_groups_are_refused(checked):
    with pytest.raises(DataError, match="too few"):
        folds_of(checked, 16)
    with pytest.raises(DataError, match="too few groups"):
        folds_of(checked, 6, group=r"(p\d)_")


def test_the_file_is_read_as_it_was_written_and_damage_is_named(checked, tmp_path):
    run, file = RunFolder(tmp_path), folds_of(checked, 3)
    assert read_folds(run) is None
    write_folds(run, file)
    assert read_folds(run) == file
    refuse_other_images(file, checked, run)
    twice = file.model_copy(update={"folds": [file.folds[0], *file.folds]})
    write_folds(run, twice)
    with pytest.raises(DataError, match="in several folds"):
        read_folds(run)
    run.folds.write_text("{}")
    with pytest.raises(DataError, match="folds.json"):
        read_folds(run)


def test_other_images_are_refused_with_their_names(checked, tmp_path):
    file = folds_of(checked, 3)
    lacking = file.model_copy(update={"folds": [file.folds[0][1:], *file.folds[1:]]})
    with pytest.raises(DataError, match=f"1 new, such as {file.folds[0][0]}"):
        refuse_other_images(lacking, checked, RunFolder(tmp_path))
