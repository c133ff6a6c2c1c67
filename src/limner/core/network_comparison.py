"""Networks side by side on the same data: one row each, and where the files of a comparison lie."""

from dataclasses import dataclass, field
from pathlib import Path

from limner.core.score_names import SCORES, shown


@dataclass(frozen=True)
class ComparedNetwork:
    """One network of a comparison.

    Attributes:
        name: As it was asked for: a row of `NETWORKS`, or ``row/variant``.
        problem: Why there are no scores, or an empty string.
        parameters: Weights, auxiliary heads included.
        multiply_adds: Of predicting one input of the training's crop size.
        predict_seconds: Time of that, on the comparison's device.
        training_bytes: Memory of a training step: weights, optimizer and what the backward pass needs.
        steps: Optimizer steps done.
        train_seconds: Time of training, validation included.
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
        root: The folder; each network's run lies in it.
        data: What was learned from.
        split: The images of the scores.
        num_images: How many those are.
        size: Spatial size that costs are stated for.
        main_score: Name of the score that networks are ordered by.
        networks: In the order they were asked for.
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
        """One line a network, as CSV."""
        return self.root / "comparison.csv"

    @property
    def page(self) -> Path:
        """The same as a self-contained page."""
        return self.root / "comparison.html"

    @property
    def plot(self) -> Path:
        """Score against cost, as SVG."""
        return self.root / "comparison.svg"

    @property
    def shown_scores(self) -> list[str]:
        """Names of the scores to show, which at least one network has; the main score leads."""
        main = (self.main_score,)
        found = {name for network in self.networks for name in shown(network.scores, first=main)}
        return [name for name in dict.fromkeys((self.main_score, *SCORES)) if name in found]

    @property
    def best_first(self) -> tuple[ComparedNetwork, ...]:
        """The networks by their main score; those without one stand last."""

        def rank(network: ComparedNetwork) -> float:
            value = network.scores.get(self.main_score)
            return -1.0 if value is None else value

        return tuple(sorted(self.networks, key=rank, reverse=True))
