"""Validation during training, with the predictor and scorer of `limner evaluate`."""

import time
from collections.abc import Iterable
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from limner.core.errors import DataError, describe
from limner.evaluation.scorer import Scorer
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.training.process_watch import ProcessWatch
from limner.weights.model import Model

PROBES = 3
"""Number of images from which the time of a validation is estimated."""

IMAGES_PER_ROUND = 16
"""Number of images that each of several processes scores before their scores are merged."""

IMAGE_SECONDS = 1800.0
"""How long an image may take before its process counts as hanging; a volume may take minutes on a CPU."""


class Validation:
    """Predicts and scores each validation image at its original size.

    Test-time augmentation is not used: it is several times slower and hardly changes which weights are best.

    Args:
        dataset: The validation split; each process takes every n-th image.
        accelerator: Device, precision and communication between processes.
        watch: Told about each image; None for a process alone.

    Raises:
        DataError: Nothing in the images counts, so there would never be a score.
    """

    def __init__(
        self, dataset: Dataset, *, accelerator: Accelerator, watch: ProcessWatch | None = None
    ) -> None:
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
        self._watch = watch or ProcessWatch(Path())

    def scores(self, model: Model) -> dict[str, float]:
        """Return score name -> value over the whole split, in every process."""
        is_alone = self._accelerator.num_processes == 1
        if not is_alone:
            # Each process has its own batch norm statistics; those of the first are saved.
            broadcast(list(model.buffers()), from_process=0)
        self._watch.at("validation", allowed=IMAGE_SECONDS)
        predictor = self._predictor(model)
        scorer = self._score(predictor, range(len(self._dataset))) if is_alone else self._share(predictor)
        return dict(scorer.compute().items())

    def estimate_seconds(self, model: Model) -> float:
        """Estimate how long `scores` takes, in seconds, from a few images spread over the split."""
        processes = int(self._accelerator.num_processes)
        self._watch.at("estimating the time of a validation", allowed=IMAGE_SECONDS)
        predictor = self._predictor(model)
        probes = range(0, len(self._dataset), max(len(self._dataset) // PROBES, 1))[:PROBES]
        self._score(predictor, probes[:1])  # warm-up
        started = time.perf_counter()
        self._score(predictor, probes)
        return (time.perf_counter() - started) / len(probes) * len(self._dataset) / processes

    def _share(self, predictor: Predictor) -> Scorer:
        """Score each image in one process, and merge in the order of the images.

        So floating-point sums are rounded as in one process, to the last digit.
        """
        processes, rank = self._accelerator.num_processes, self._accelerator.process_index
        whole = self._score(predictor, ())
        for first in range(0, len(self._dataset), processes * IMAGES_PER_ROUND):
            images = range(len(self._dataset))[first : first + processes * IMAGES_PER_ROUND]
            found = gather_object([[self._score(predictor, [index]) for index in images[rank::processes]]])
            for position in range(len(images)):
                whole.merge(found[position % processes][position // processes])
        self._watch.at("the scores of a validation", allowed=IMAGE_SECONDS)
        return whole

    def _predictor(self, model: Model) -> Predictor:
        settings = model.plan.inference.model_copy(update={"flips": False, "scales": (1.0,)})
        return Predictor(
            model,
            device=self._accelerator.device,
            precision=model.plan.train.precision,
            settings=settings,
        )

    def _score(self, predictor: Predictor, indices: Iterable[int]) -> Scorer:
        scorer = predictor.task.scorer(predictor.labels)
        for index in indices:
            sample = self._dataset[index]
            scorer.score(predictor.predict(sample.image, name=sample.name, geometry=sample.geometry), sample)
            self._watch.move()
        return scorer
