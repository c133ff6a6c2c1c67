"""What the network of a finished run costs: numbers, multiply-adds, time to predict, memory to train."""

from math import prod

import torch

from limner.analysis.network_cost import count_multiply_adds, count_parameters, time_forward
from limner.core.network_comparison import ComparedNetwork
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.inference.load_predictor import load_predictor
from limner.networks.weightless import weightless
from limner.planning.measurer import measure_plan
from limner.weights.model import Model


def measure_run(name: str, run: RunFolder, *, size: tuple[int, ...], device: str) -> ComparedNetwork:
    """Measure a run's network.

    Args:
        name: What the network is called in the comparison.
        run: Finished.
        size: Spatial size that the costs are measured at.
        device: Where prediction is timed.

    Returns:
        A row of the comparison that has no scores yet.
    """
    predictor = load_predictor(run.model, device=device, precision="float32")
    network, plan = predictor.model.network, predictor.plan
    image = torch.zeros(1, plan.network_channels, *size, device=predictor.device)
    with weightless():
        shapes = Model.from_plan(plan).network
    return ComparedNetwork(
        name,
        parameters=count_parameters(network),
        multiply_adds=count_multiply_adds(shapes, image.to("meta")),
        predict_seconds=time_forward(network, image),
        training_bytes=_training_bytes(plan, str(predictor.device)),
    )


def _training_bytes(plan: Plan, device: str) -> int:
    samples = plan.train.batch_size // plan.train.accumulate
    return measure_plan(plan, device=device).training_bytes(
        samples * prod(plan.input.crop_size), optimizer=plan.optimizer.name
    )
