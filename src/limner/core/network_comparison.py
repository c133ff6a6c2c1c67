"""Comparison of networks on the same data: one row per network, and the paths of the results."""

from dataclasses import dataclass, field
from pathlib import Path

from limner.core.score_names import SCORES, shown


@dataclass(frozen=True)
class ComparedNetwork:
    """One network of a comparison.

    Attributes:
        name: The requested name: a row of `NETWORKS`, or ``row/variant``.
        problem: Why there are no scores, or an empty string.
        parameters: Number of weights, including auxiliary heads.
        multiply_adds: Number of multiply-adds to predict one input of the training's crop size.
        predict_seconds: Time of that prediction, on the comparison's device.
        training_bytes: Memory of a training step: weights, optimizer and tensors for the backward pass.
        steps: Number of optimizer steps done.
        train_seconds: Training time, including validation.
        scores: Score name -> value on the comparison's split.
    """

    name: str
    problem: str = ""
    parameters: int | None = None
    multiply_adds: int | None = None
    predict_seconds: float | None = None
    training_bytes: int | None = None
    steps: int | None = None
    train_seconds: float | None = None
    scores: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Networks trained on the same images for the same time.

    Attributes:
        root: The folder, which contains each network's run.
        data: The training data.
        split: The split that is scored.
        num_images: Number of images in that split.
        size: Spatial size for which costs are given.
        main_score: Name of the score that networks are ordered by.
        networks: In the requested order.
    """

    root: Path
    data: str
    split: str
    num_images: int
    size: tuple[int, ...]
    main_score: str
    networks: tuple[ComparedNetwork, ...] = ()

    def run_of(self, name: str) -> Path:
        """Return the folder of one network's run."""
        return self.root / name.replace("/", "-").replace(" ", "-").replace(",", "")

    @property
    def table(self) -> Path:
        """CSV with one line per network."""
        return self.root / "comparison.csv"

    @property
    def page(self) -> Path:
        """The results as a self-contained HTML page."""
        return self.root / "comparison.html"

    @property
    def plot(self) -> Path:
        """Plot of score against cost, as SVG."""
        return self.root / "comparison.svg"

    @property
    def shown_scores(self) -> list[str]:
        """Names of the scores to show, main score first; at least one network has each."""
        main = (self.main_score,)
        found = {name for network in self.networks for name in shown(network.scores, first=main)}
        return [name for name in dict.fromkeys((self.main_score, *SCORES)) if name in found]

    @property
    def best_first(self) -> tuple[ComparedNetwork, ...]:
        """The networks ordered by their main score; those without one are last."""

        def rank(network: ComparedNetwork) -> float:
            value = network.scores.get(self.main_score)
            return -1.0 if value is None else value

        return tuple(sorted(self.networks, key=rank, reverse=True))
