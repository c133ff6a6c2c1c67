"""Validation during training, with the predictor and scorer of `limner evaluate`."""

import time
from collections.abc import Iterable

from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from limner.core.errors import DataError, describe
from limner.evaluation.scorer import Scorer
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.tasks import find_task
from limner.weights.model import Model

PROBES = 3
"""Number of images from which the time of a validation is estimated."""


class Validation:
    """Predicts and scores each validation image at its original size.

    Test-time augmentation is not used: it is several times slower and hardly changes which weights are best.

    Args:
        dataset: The validation split; each process takes every n-th image.
        accelerator: Device, precision and communication between processes.

    Raises:
        DataError: Nothing in the images counts, so there would never be a score.
    """

    def __init__(self, dataset: Dataset, *, accelerator: Accelerator) -> None:
        if not any(t.is_scored for i in range(len(dataset)) for t in dataset[i].targets):
            raise DataError(
                describe(
                    "The validation images have nothing that counts in a score",
                    found=f"{len(dataset)} images whose labels are all ignored, or without objects",
                    expected="labels by which the best weights can be chosen",
                    fix="Choose other validation images (limner split), or see `ignored` in dataset.yaml.",
                )
            )
        self._dataset = dataset
        self._accelerator = accelerator

    def scores(self, model: Model) -> dict[str, float]:
        """Return score name -> value over the whole split, in every process."""
        processes = self._accelerator.num_processes
        if processes > 1:
            # Each process has its own batch norm statistics; those of the first are saved.
            broadcast(list(model.buffers()), from_process=0)
        scorer = find_task(model.plan.task).scorer(model.labels)
        self._score(model, scorer, range(self._accelerator.process_index, len(self._dataset), processes))
        if processes > 1:
            first, *others = gather_object([scorer])
            for other in others:
                first.merge(other)
            scorer = first
        return dict(scorer.compute().items())

    def estimate_seconds(self, model: Model) -> float:
        """Estimate how long `scores` takes, in seconds, from a few images spread over the split."""
        processes = int(self._accelerator.num_processes)
        probes = range(0, len(self._dataset), max(len(self._dataset) // PROBES, 1))[:PROBES]
        self._score(model, find_task(model.plan.task).scorer(model.labels), probes[:1])  # warm-up
        started = time.perf_counter()
        self._score(model, find_task(model.plan.task).scorer(model.labels), probes)
        return (time.perf_counter() - started) / len(probes) * len(self._dataset) / processes

    def _score(self, model: Model, scorer: Scorer, indices: Iterable[int]) -> None:
        settings = model.plan.inference.model_copy(update={"flips": False, "scales": (1.0,)})
        predictor = Predictor(
            model,
            device=self._accelerator.device,
            precision=model.plan.train.precision,
            settings=settings,
        )
        for index in indices:
            sample = self._dataset[index]
            scorer.score(predictor.predict_sample(sample), sample)
