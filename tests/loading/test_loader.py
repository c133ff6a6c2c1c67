import gc
import threading
import time
import traceback
from dataclasses import replace

import numpy as np
import pytest
import torch

from limner.core.augment_plan import AugmentPlan
from limner.core.errors import DataError
from limner.core.label_map import LabelMap
from limner.core.plan import InputPlan
from limner.loading.dataset import Dataset
from limner.loading.loader import training_batches
from limner.loading.pipeline import build_pipeline

INPUT = InputPlan(channels=3, crop_size=(24, 32), mean=(100, 110, 120), std=(50, 50, 50))
AUGMENT = AugmentPlan(
    **{"category_max_ratio": 0.75, "foreground_probability": 0.3, "flip_axes": (0, 1)},
    **{"noise": 0.1, "blur": 1.0, "low_resolution": 0.5, "gamma": (0.7, 1.5), "jpeg": 30},
)


def first_batches(dataset, pipeline, count, **settings):
    with training_batches(dataset, pipeline, batch_size=5, seed=3, **settings) as stream:
        return [next(stream) for _ in range(count)]


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.names == b.names
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.get(LabelMap), b.get(LabelMap))


@pytest.fixture
def dataset(memory_source, labels):
    return Dataset(memory_source, memory_source.records, labels)


@pytest.fixture
def pipeline(labels):
    return build_pipeline(AUGMENT, INPUT, labels)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_batches_do_not_depend_on_the_number_of_workers(dataset, pipeline, workers):
    alone = first_batches(dataset, pipeline, 6, workers=0)
    assert_equal(alone, first_batches(dataset, pipeline, 6, workers=workers))


@pytest.mark.parametrize("workers", [0, 3])
def test_resuming_is_skipping(dataset, pipeline, workers):
    whole = first_batches(dataset, pipeline, 7, workers=workers)
    assert_equal(whole[4:], first_batches(dataset, pipeline, 3, first_step=4, workers=workers))


def test_the_cache_changes_nothing(memory_source, labels, pipeline):
    cached = Dataset(memory_source, memory_source.records, labels)
    decoded_each_time = Dataset(memory_source, memory_source.records, labels, cache=None)
    assert_equal(first_batches(cached, pipeline, 6), first_batches(decoded_each_time, pipeline, 6))


def test_batches_differ_from_step_to_step_and_seed_to_seed(dataset, pipeline):
    first, second = first_batches(dataset, pipeline, 2)
    assert not torch.equal(first.images, second.images)
    with training_batches(dataset, pipeline, batch_size=5, seed=4) as stream:
        assert not torch.equal(first.images, next(stream).images)


def test_an_epoch_shows_every_image_once(dataset, pipeline):
    # 12 images, batches of 5: 12 batches are 60 slots, 5 epochs exactly.
    names = [n for b in first_batches(dataset, pipeline, 12) for n in b.names]
    for epoch in range(5):
        assert sorted(names[12 * epoch : 12 * epoch + 12]) == [r.name for r in dataset.records]
    assert names[:12] != names[12:24]


def test_an_image_is_varied_afresh_in_each_epoch(make_source, labels, pipeline):
    source = make_source(num_images=1)
    (batch,) = first_batches(Dataset(source, source.records, labels), pipeline, 1)
    assert batch.names == ("image 000",) * 5
    assert len({image.numpy().tobytes() for image in batch.images}) == 5


def test_replicas_share_each_batch(dataset, pipeline):
    whole = first_batches(dataset, pipeline, 3)
    parts = [first_batches(dataset, pipeline, 3, replica=r, num_replicas=2) for r in (0, 1)]
    assert [len(batch.names) for part in parts for batch in part] == [2, 2, 2, 3, 3, 3]  # 5 = 2 + 3
    for batch, first, second in zip(whole, *parts, strict=True):
        assert batch.names == first.names + second.names
        assert torch.equal(batch.images, torch.cat([first.images, second.images]))


def test_batches_are_uint8_and_channels_last(dataset, pipeline):
    (batch,) = first_batches(dataset, pipeline, 1)
    assert batch.images.shape == (5, 3, 24, 32)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.get(LabelMap).shape == (5, 24, 32)
    assert set(batch.get(LabelMap).unique().tolist()) <= {0, 1, 2, 255}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_users_error_arrives_as_it_is(dataset, pipeline, workers):
    def unreadable(record):
        raise DataError(f"The image cannot be read: {record.image}")

    dataset.source.read_image = unreadable
    with pytest.raises(DataError, match=r"The image cannot be read: image \d{3}"):
        first_batches(dataset, pipeline, 1, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_our_own_error_names_the_sample_and_keeps_its_traceback(dataset, workers):
    def broken_transform(sample, rng):
        return {}[sample.name]

    with pytest.raises(RuntimeError, match=r"Preparing 'image \d{3}' failed with KeyError") as caught:
        first_batches(dataset, broken_transform, 1, workers=workers)
    assert isinstance(caught.value.__cause__, KeyError)
    assert "broken_transform" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(("pin_memory", "locked"), [(True, 2), (False, 0)])
def test_mixed_batches_are_page_locked_too(dataset, pipeline, monkeypatch, pin_memory, locked):
    asked = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda images: asked.append(images) or images)

    def mix(batch, rng):
        return replace(batch, images=batch.images + 1)

    batches = first_batches(dataset, pipeline, 2, workers=0, mix=mix, pin_memory=pin_memory)
    plain = first_batches(dataset, pipeline, 2, workers=0)
    assert len(asked) == locked
    assert all(torch.equal(a.images, b.images + 1) for a, b in zip(batches, plain, strict=True))


def test_an_empty_split_is_refused(memory_source, labels, pipeline):
    with pytest.raises(DataError, match="training split is empty"):
        training_batches(Dataset(memory_source, (), labels), pipeline, batch_size=2, seed=0)


def test_prefetching_is_bounded(dataset):
    prepared = []

    def counting(sample, rng):
        prepared.append(sample.name)
        return sample

    with training_batches(dataset, counting, batch_size=1, seed=0, workers=2) as stream:
        next(stream)
        time.sleep(0.2)
        # One taken, and workers + 1 ahead.
        assert len(prepared) <= 4


def test_waiting_is_measured(dataset):
    def slow(sample, rng):
        time.sleep(0.05)
        return sample

    with training_batches(dataset, slow, batch_size=2, seed=0, workers=0) as stream:
        next(stream)
        assert stream.wait_seconds >= 0.1


def test_a_dropped_stream_ends_its_threads(dataset, pipeline):
    def loading_threads():
        return [t for t in threading.enumerate() if t.name.startswith("limner-loading")]

    stream = training_batches(dataset, pipeline, batch_size=2, seed=0, workers=2)
    next(stream)
    assert loading_threads()
    del stream
    gc.collect()
    deadline = time.monotonic() + 5
    while loading_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not loading_threads()


def test_global_randomness_is_left_alone(dataset, pipeline):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_before = torch.get_rng_state()
    first_batches(dataset, pipeline, 2)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_before, torch.get_rng_state())
