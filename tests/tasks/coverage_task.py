"""A task of one file, to show that one file and a row of `TASKS` are all it takes: a number for each image.

The number is the part of an image that its classes other than the first cover, learned from label maps. Its
output kind, its network and its score are new as well, each in the place where such things live.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from limner.core.batch import Batch
from limner.core.config import Config
from limner.core.label_map import LabelMap
from limner.core.labels import IGNORE_INDEX
from limner.core.outputs import Outputs
from limner.core.plan import Decision, LossTerm
from limner.core.prediction import Prediction
from limner.core.score_names import HEADLINE, Score
from limner.drawing.display import display_image
from limner.drawing.panels import Panel, side_by_side
from limner.evaluation.scorer import USUAL
from limner.networks.entry import NetworkEntry
from limner.storage.whole_files import write_whole
from limner.tasks.objective import Criterion, LossValue, Objective
from limner.tasks.task import Allowed, Task


# A new output kind, beside those of core/outputs.py.
@dataclass(frozen=True)
class Coverage(Outputs):
    """(B,) part of each image that is covered, from 0 to 1."""

    values: torch.Tensor


torch.utils._pytree.register_pytree_node(
    Coverage, lambda c: ([c.values], None), lambda leaves, _: Coverage(*leaves)
)


# A new network, as a row of NETWORKS.
class MeanOfFeatures(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.features = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.score = nn.Linear(8, 1)

    def forward(self, images):
        return Coverage(self.score(self.features(images).relu().mean((2, 3))).sigmoid()[:, 0])


NETWORK = NetworkEntry(
    build=lambda options, *, num_classes, in_channels: MeanOfFeatures(in_channels),
    options=Config,
    title="Mean of features",
    paper="none",
    year=2026,
    family="real time",
    url="",
    output=Coverage,
)

# A new score, as a row of SCORES.
SCORE = Score("coverage agreement", "One minus the mean difference of predicted and true coverage.", HEADLINE)


# The task.
class CoverageObjective(Objective):
    losses = frozenset({"squared_difference"})

    def default_loss(self, situation, settled, network_loss):
        yield Decision("loss.terms", (LossTerm(name="squared_difference"),), "there is one number to learn")
        yield Decision("loss.class_weights", None, "there is one number to learn")

    def criterion(self, plan, *, labels):
        return CoverageCriterion()

    def example(self, images):
        labels = torch.zeros(images.shape[0], *images.shape[2:], dtype=torch.uint8)
        return Batch(images, (), {LabelMap: labels.to(images.device)})


class CoverageCriterion(Criterion):
    def loss(self, outputs, batch):
        labels = batch.get(LabelMap)
        covered = ((labels > 0) & (labels != IGNORE_INDEX)).flatten(1).float().mean(1)
        total = (outputs.values - covered).square().mean()
        return LossValue(total, {"squared_difference": total.detach()})


@dataclass(frozen=True)
class CoveragePrediction(Prediction):
    covered: float


@dataclass(frozen=True)
class CoverageOfImage:
    name: str
    rank: float

    @property
    def numbers(self):
        return (self.rank,)


@dataclass(frozen=True)
class CoverageScores:
    num_images: int
    agreement: float

    def items(self):
        yield "coverage_agreement", self.agreement

    def to_dict(self):
        return {"task": "coverage", "num_images": self.num_images, "classes": [], **dict(self.items())}


class CoverageScorer:
    rank_title = SCORE.words
    columns = ("coverage_agreement",)

    def __init__(self):
        self.num_images, self._sum = 0, 0.0

    def score(self, prediction, sample):
        agreement = 1 - abs(prediction.covered - float((sample.get(LabelMap).labels > 0).mean()))
        self.num_images += 1
        self._sum += agreement
        return CoverageOfImage(sample.name, agreement)

    def merge(self, other):
        self.num_images += other.num_images
        self._sum += other._sum

    def compute(self):
        return CoverageScores(self.num_images, self._sum / self.num_images)


class CoverageWriter:
    def __init__(self, folder):
        self._folder = folder

    def files(self, output, image):
        return (self._folder.place("coverage", f"{output}.txt"),)

    def write(self, prediction, picture, *, output, file_name):
        (path,) = self.files(output, None)
        write_whole(path, f"{prediction.covered:.6f}\n".encode())
        return {}

    def finish(self, entries):
        return None


class CoverageTask(Task):
    name = "coverage"
    title = "estimation of coverage"
    labels_of = "semantic"
    targets = (LabelMap,)
    allowed = Allowed(False, False, False, why_not="predicts one number for a whole image")
    shown_scores = ("coverage_agreement",)

    @property
    def objectives(self):
        return {Coverage: CoverageObjective()}

    def default_network(self, situation, settled):
        yield Decision("network.name", "mean-of-features", "the one network that gives a number")

    def main_score(self, labels):
        return "coverage_agreement"

    def scorer(self, labels, extent=USUAL):
        self.refuse_extent(extent)
        return CoverageScorer()

    def predict(self, runs, *, name, labels, probabilities):
        outputs, _ = runs.whole()
        return CoveragePrediction(name, float(outputs.values[0]))

    def writer(self, folder, labels):
        return CoverageWriter(folder)

    def draw(self, image, prediction, table, *, truth=None, title=""):
        panels = [Panel(f"covered: {prediction.covered:.2f}", display_image(image))]
        if truth is not None:
            masked = np.where(truth.get(LabelMap).labels[..., None] > 0, 255, 0).astype(np.uint8)
            panels.append(Panel("truth", np.repeat(masked, 3, axis=2)))
        return side_by_side(panels, title=title)
