import numpy as np
import pytest
import torch

from limner.core.batch import Batch
from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.core.outputs import CentreOffsets, DenseLogits
from limner.core.plan import LossPlan, LossTerm
from limner.core.sample import Sample
from limner.core.segments import Segments, segments_of
from limner.decoding.centre_offsets import find_centred_objects
from limner.losses.centre_targets import draw_centre_targets
from limner.networks import NETWORKS, build_network
from limner.tasks import find_task
from limner.tasks.centre_objective import CentreObjective

CELLS = LabelTable((LabelClass("cell", (1,), (255, 0, 0), True),))
OF_CENTRES = LossPlan(terms=(LossTerm(name="centre_offset", options=dict(NETWORKS["unet-centres"].loss)),))
SIDE = 64


def discs(seed: int) -> Sample:
    """An image of five discs, some of which touch."""
    draws = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    masks: list[np.ndarray] = []
    image = draws.normal(60, 15, (SIDE, SIDE))
    while len(masks) < 5:
        radius, (row, column) = draws.uniform(4, 9), draws.uniform(4, SIDE - 4, 2)
        mask = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        if not any((mask & other).any() for other in masks):
            masks.append(mask)
            image[mask] += draws.uniform(40, 90)
    segments = segments_of(masks, [0] * len(masks), shape=(SIDE, SIDE))
    return Sample(str(seed), ((image - 90) / 40).astype(np.float32)[..., None], (segments,))


def batch_of(samples: list[Sample]) -> Batch:
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).movedim(-1, 1)
    segments = Segments.stack([sample.get(Segments) for sample in samples])
    return Batch(images, tuple(sample.name for sample in samples), {Segments: segments})


@pytest.mark.slow
def test_touching_discs_are_told_apart_after_a_hundred_steps_from_scratch():
    torch.manual_seed(0)
    network = build_network("unet-centres", num_classes=1, in_channels=1, widths=(8, 16, 32), norm="instance")
    criterion = find_task("instance").build_criterion(OF_CENTRES, labels=CELLS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, 100, 0.9)
    for step in range(100):
        batch = batch_of([discs(4 * (step % 8) + i) for i in range(4)])
        optimizer.zero_grad()
        criterion.loss(network(batch.images), batch).total.backward()
        optimizer.step()
        schedule.step()
    scorer = find_task("instance").scorer(CELLS)
    with torch.inference_mode():
        for sample in map(discs, range(1000, 1008)):
            outputs = network.eval()(batch_of([sample]).images)
            found = find_centred_objects(outputs, (SIDE, SIDE), is_thing=[True], name=sample.name)
            scorer.score(found, sample)
    assert dict(scorer.compute().items())["ap50"] > 0.9


@pytest.mark.parametrize("size", [(50, 60), (20, 30, 40)])
def test_costs_are_measured_on_a_grid_of_objects(size):
    """A square of 16 pixels every 24 fits 3 x 3 times in 50 x 60, the last row cut to 2 pixels."""
    batch = CentreObjective().example(torch.zeros(2, 1, *size))
    (segments, _) = batch.get(Segments)
    targets = draw_centre_targets([segments], torch.tensor([True]), sigma=8.0, share_of_diameter=None)
    counts = {2: 3 * 3, 3: 1 * 2 * 2}
    assert len(segments.labels) == counts[len(size)]
    assert (np.bincount(segments.top.flatten())[1:] > 0).all()
    assert (targets.centres == 1).sum() == counts[len(size)]


def test_what_does_not_fit_is_refused():
    task = find_task("instance")
    criterion = task.build_criterion(OF_CENTRES, labels=CELLS)
    batch = batch_of([discs(0)])
    with pytest.raises(ConfigError, match=r"1 classes and 'nothing'.*returns DenseLogits.*mask2former"):
        criterion.loss(DenseLogits(torch.zeros(1, 1, 8, 8)), batch)
    wrong = CentreOffsets(torch.zeros(1, 4, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, 8, 8))
    with pytest.raises(ConfigError, match=r"of shape \(1, 4, 8, 8\)"):
        criterion.loss(wrong, batch)
    with pytest.raises(ConfigError, match=r"'instance'[\s\S]*found: +cross_entropy[\s\S]*centre_offset"):
        task.build_criterion(LossPlan(), labels=CELLS)
    weighted = OF_CENTRES.model_copy(update={"class_weights": (1.0,)})
    with pytest.raises(ConfigError, match="without class weights"):
        task.build_criterion(weighted, labels=CELLS)
    unknown = LossPlan(terms=(LossTerm(name="centre_offset", options={"sigmas": 3}),))
    with pytest.raises(ConfigError, match="did you mean 'sigma'"):
        task.build_criterion(unknown, labels=CELLS)


def test_only_maps_of_pixels_can_be_averaged_over_views():
    task = find_task("instance")
    assert task.allowed_with(OF_CENTRES).windows and task.allowed_with(OF_CENTRES).views
    assert not task.allowed_with(OF_CENTRES).probabilities
    of_queries = LossPlan(terms=(LossTerm(name="segment_set"),))
    assert not task.allowed_with(of_queries).views
    assert find_task("semantic").allowed_with(LossPlan()).probabilities
