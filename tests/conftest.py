"""Fixtures that several folders share."""

import os
from pathlib import Path

import pytest
import torch

from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import (
    DataPlan,
    InferencePlan,
    InputPlan,
    NetworkPlan,
    OptimizerPlan,
    Plan,
    TrainPlan,
)


@pytest.fixture
def two_labels():
    """Background is 0 and a cell is 255 in the mask files."""
    return LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell", (255,), (255, 0, 0))))


@pytest.fixture
def tiny_plan(two_labels):
    """Makes the plan of a U-Net of some hundred weights, in 2D or 3D."""

    def make(*, labels=two_labels, channels=3, spatial_dims=2, data="data", **inference):
        return Plan(
            data=DataPlan(path=str(data), format="paired-folders", num_images={}, labels=labels.to_dict()),
            network=NetworkPlan(name="unet", options={"widths": [4, 6]}),
            input=InputPlan(
                spatial_dims=spatial_dims,
                channels=channels,
                crop_size=(64,) * spatial_dims,
                mean=(100.0,) * channels,
                std=(50.0,) * channels,
            ),
            optimizer=OptimizerPlan(learning_rate=0.001),
            train=TrainPlan(steps=1, batch_size=1, validate_every=1, save_every=1),
            inference=InferencePlan(**inference),
        )

    return make


@pytest.fixture
def tiny_model(tiny_plan):
    """Makes a model with random weights, the same ones each time, in evaluation mode."""
    from limner.weights.model import Model

    def make(**plan):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Model.from_plan(tiny_plan(**plan)).eval()

    return make


@pytest.fixture
def shared_data():
    """The folder of real data, which not every machine has."""
    repository = Path(__file__).parents[1]
    default = repository.parent / "shared" / "data"
    folder = Path(os.environ.get("LIMNER_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; name it with LIMNER_SHARED_DATA")
    return folder
