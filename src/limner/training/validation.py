"""Scores of the validation images during training, by the same predictor and scorer as any evaluation."""

from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from limner.core.labels import LabelTable
from limner.evaluation.semantic import SemanticScorer
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.weights.model import Model


class Validation:
    """Predicts each validation image at its own size and scores it.

    Test-time augmentation is left out, since it costs a multiple and hardly changes which weights are best.

    Args:
        dataset: The validation split; each process takes every n-th image.
        accelerator: Device, precision and the exchange between processes.
    """

    def __init__(self, dataset: Dataset, *, accelerator: Accelerator) -> None:
        self._dataset = dataset
        self._accelerator = accelerator

    def scores(self, model: Model) -> dict[str, float]:
        """Return score name -> value over the whole split, in every process."""
        processes = self._accelerator.num_processes
        if processes > 1:
            broadcast(list(model.buffers()), from_process=0)
        settings = model.plan.inference.model_copy(update={"flips": False, "scales": (1.0,)})
        predictor = Predictor(
            model,
            device=self._accelerator.device,
            precision=model.plan.train.precision,
            settings=settings,
        )
        scorer = SemanticScorer(model.labels)
        for index in range(self._accelerator.process_index, len(self._dataset), processes):
            sample = self._dataset[index]
            assert sample.semantic is not None, "validation images are labelled"
            scorer.update(predictor.predict(sample.image, name=sample.name), sample.semantic)
        if processes > 1:
            first, *others = gather_object([scorer])
            for other in others:
                first.merge(other)
            scorer = first
        return dict(scorer.compute().items())


def selection_score(scores: dict[str, float], labels: LabelTable) -> float:
    """Return the score that says which weights are best.

    With one class beside the background it is the pooled foreground Dice, which the background cannot
    flatter; otherwise the mean IoU, in which every class counts the same.
    """
    one_against_background = labels.num_classes == 2 and labels.background_index is not None
    return scores["foreground_dice" if one_against_background else "mean_iou"]
