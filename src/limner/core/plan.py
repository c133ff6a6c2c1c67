"""The Plan: every setting of a run, none of them `auto`, each decision with its reason.

`planning/` makes a Plan from what the user wrote and what the data is; it is saved with the weights.
Sizes are in pixels, in the order of the array's axes: (H, W) or (D, H, W).
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from limner.core.config import Config, parse_config
from limner.core.dataset_file import DatasetFile
from limner.core.labels import LabelTable

Positive = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]


def _unquoted_word(value: object) -> object:
    """Take back what YAML makes of an unquoted yes or no."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


Pretraining = Annotated[Literal["auto", "yes", "no"], BeforeValidator(_unquoted_word)]


class DataPlan(Config):
    """What is learned from."""

    path: str
    """The dataset folder."""
    format: str
    """Name of the format it was read with."""
    num_images: dict[str, int]
    """Images in each split."""
    labels: dict[str, Any]
    """The label table, in the shape of dataset.yaml."""

    @field_validator("labels")
    @classmethod
    def _labels_make_a_table(cls, labels: dict[str, Any]) -> dict[str, Any]:
        if parse_config(DatasetFile, labels, where="The table").label_table() is None:
            raise ValueError("needs at least one class under `classes`")
        return labels

    @property
    def label_table(self) -> LabelTable:
        """The label table as an object."""
        return LabelTable.from_dict(self.labels)


class NetworkPlan(Config):
    """Which network is built."""

    name: str
    """A row of `limner networks`."""
    options: dict[str, Any] = {}
    """Keyword arguments of the network beyond classes, channels and dimensions."""
    pretrained: Pretraining = "auto"
    """Pretrained encoder weights: `auto` starts from scratch, and says so, where they cannot be had."""
    weights: str | None = None
    """What the whole network starts from: a model folder, a run, or another project's checkpoint; or null."""


class InputPlan(Config):
    """What one input of the network is."""

    spatial_dims: Literal[2, 3] = 2
    """2 for images, 3 for volumes."""
    channels: Positive
    """Image channels."""
    crop_size: tuple[Positive, ...]
    """Size of a training crop, a multiple of nothing: networks take any size."""
    mean: tuple[float, ...]
    """Per channel, in the values of the image files, subtracted from the input."""
    std: tuple[Annotated[float, Field(gt=0)], ...]
    """Per channel, in the values of the image files, the input is divided by."""
    spacing_mm: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Millimetres from one pixel to the next along each axis, where that is known."""

    @model_serializer(mode="wrap")
    def _unknown_spacing_is_left_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        return {key: value for key, value in values.items() if key != "spacing_mm" or value is not None}

    @model_validator(mode="after")
    def _sizes_agree(self) -> "InputPlan":
        if len(self.crop_size) != self.spatial_dims:
            raise ValueError(f"crop_size needs {self.spatial_dims} numbers, found {len(self.crop_size)}")
        if self.spacing_mm is not None and len(self.spacing_mm) != self.spatial_dims:
            raise ValueError(f"spacing_mm needs {self.spatial_dims} numbers, found {len(self.spacing_mm)}")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need {self.channels} numbers, one a channel")
        return self


class AugmentPlan(Config):
    """How training images are varied; each is drawn afresh for each sample."""

    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.5, 2.0)
    """Smallest and largest zoom."""
    flip_axes: tuple[Annotated[int, Field(ge=0, le=2)], ...] = (1,)
    """Spatial axes that are mirrored with probability one half: 1 is left-right in 2D."""
    quarter_turns: bool = False
    """Turns by 90, 180, 270 degrees, where orientation is meaningless."""
    brightness: Probability = 0.125
    """Largest shift of intensity, as a part of the full range."""
    contrast: Probability = 0.5
    """Largest relative change of contrast."""
    saturation: Probability = 0.5
    """Largest relative change of saturation; needs 3 channels."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest turn of the hue circle (1 is the whole circle); needs 3 channels."""
    category_max_ratio: Annotated[float, Field(gt=0, le=1)] = 1.0
    """A crop is drawn again (up to 10 times) while one class fills more than this part of it."""
    foreground_probability: Probability = 0.0
    """Part of the crops that are centred on a pixel of a class drawn evenly among the rarer ones."""

    @field_validator("scale")
    @classmethod
    def _smallest_first(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] > scale[1]:
            raise ValueError("scale is (smallest, largest)")
        return scale


class LossTerm(Config):
    """One weighted loss of the sum."""

    name: str
    """Which loss, of those that the task and the network's kind of output have."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Its factor."""
    options: dict[str, Any] = {}
    """Its own settings, such as `smoothing`, `hard_fraction`, `alpha`, `beta`, `gamma`."""


class LossPlan(Config):
    """What is minimised."""

    terms: Annotated[tuple[LossTerm, ...], Field(min_length=1)] = (LossTerm(name="cross_entropy"),)
    """Losses that are added up; auxiliary heads use the same ones with the network's own weights."""
    class_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    """A factor for each class in trained order, or null for one each."""


class OptimizerPlan(Config):
    """How the weights move."""

    name: Literal["sgd", "adam", "adamw"] = "adamw"
    """Which optimizer."""
    learning_rate: Annotated[float, Field(gt=0)]
    """The largest rate, before the schedule and the multipliers."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decay of weights; norms and biases are spared."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """For sgd."""
    betas: tuple[Probability, Probability] = (0.9, 0.999)
    """For adam and adamw."""
    multipliers: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Learning-rate factors by the start of a parameter's name, such as `{backbone: 0.1}`."""
    decay_multipliers: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Weight-decay factors by the start of a parameter's name."""


class SchedulePlan(Config):
    """How the learning rate changes over the run, as factors of the largest rate."""

    name: Literal["constant", "poly", "cosine", "step", "plateau", "one_cycle"] = "poly"
    """Which curve."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps of linear rise from `warmup_factor`."""
    warmup_factor: Probability = 0.01
    """Where the rise begins."""
    power: Annotated[float, Field(gt=0)] = 0.9
    """Exponent of poly."""
    final_factor: Probability = 0.0
    """Where poly, cosine and one_cycle end."""
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.7, 0.9)
    """For step: the parts of the run after which the rate drops."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """For step and plateau: the factor of a drop."""
    patience: Positive = 5
    """For plateau: validations without a better score before a drop."""


class TrainPlan(Config):
    """How long and how."""

    steps: Positive
    """Optimizer steps. With `minutes`, an estimate until the run has measured its own speed."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """A time budget for the whole schedule; null trains for `steps`."""
    batch_size: Positive
    """Samples of one optimizer step on one device, over all accumulated parts."""
    accumulate: Positive = 1
    """Parts a batch is cut into to save memory; divides `batch_size`."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Number format of the network's arithmetic; weights stay float32."""
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the whole gradient."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the exponential moving average of the weights, which is what is validated and kept."""
    validate_every: Positive
    """Steps between validations; the run also validates at its end."""
    save_every: Positive
    """Steps between checkpoints."""
    early_stopping: Positive | None = None
    """Validations without a better score after which training stops; null never stops early."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Every draw of the run is a function of it."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Threads that prepare samples; they change the speed, never the result."""
    compile: bool = False
    """Compile the network; pays on long runs."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Where losses and scores go beside metrics.csv; W&B and MLflow need their libraries."""

    @model_validator(mode="after")
    def _parts_are_whole(self) -> "TrainPlan":
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate {self.accumulate} must divide batch_size {self.batch_size}")
        return self


class ResizePlan(Config):
    """To which size images are resized before they are predicted; results have the image's own size.

    limner trains at the images' own scale, so it needs none of this; weights of other projects may.
    """

    shortest: Positive | None = None
    """Length of the shorter side, or null to leave images as they are."""
    longest: Positive | None = None
    """The most that the longer side may have; where it would have more, both become smaller."""
    size: tuple[Positive, ...] | None = None
    """Instead of the two: one size (height, width) for every image, whatever its shape."""
    multiple: Positive = 1
    """Each side is then stretched to a multiple of this."""

    @model_validator(mode="after")
    def _one_way(self) -> "ResizePlan":
        if self.size is not None and (self.shortest is not None or len(self.size) != 2):
            raise ValueError("give either `shortest` or `size`, which is two numbers (height, width)")
        if self.longest is not None and (self.shortest is None or self.longest < self.shortest):
            raise ValueError("`longest` needs `shortest`, and must not be smaller")
        return self

    @property
    def is_noop(self) -> bool:
        """Whether every image stays as it is."""
        return self.shortest is None and self.size is None and self.multiple == 1


class InferencePlan(Config):
    """How an image of any size is predicted."""

    resize: ResizePlan = ResizePlan()
    """To which size images are resized first."""

    window: tuple[Positive, ...] | None = None
    """Size of a sliding window, or null for whole images."""
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Part of a window that its neighbour covers again."""
    flips: bool = False
    """Average over mirrored images too."""
    scales: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    """Average over these zooms of the image."""

    @model_validator(mode="after")
    def _whole_or_windows(self) -> "InferencePlan":
        if self.window is not None and not self.resize.is_noop:
            raise ValueError(
                "inference.window requires images at their own size: disable inference.resize (--resize no)"
            )
        return self


@dataclass(frozen=True)
class Decision:
    """One setting and why it has its value.

    Attributes:
        key: Dotted, such as ``train.batch_size``.
        value: What is decided.
        reason: One sentence with the numbers it rests on.
    """

    key: str
    value: object
    reason: str


class Plan(Config):
    """Every setting of a run."""

    version: Literal[1] = 1
    """Of this file's shape."""
    task: str = "semantic"
    """A row of `TASKS`."""
    data: DataPlan
    network: NetworkPlan
    input: InputPlan
    augment: AugmentPlan = AugmentPlan()
    loss: LossPlan = LossPlan()
    optimizer: OptimizerPlan
    schedule: SchedulePlan = SchedulePlan()
    train: TrainPlan
    inference: InferencePlan = InferencePlan()
    reasons: dict[str, str] = {}
    """Dotted key -> why it has its value, one sentence."""

    @model_validator(mode="after")
    def _parts_agree(self) -> "Plan":
        weights, names = self.loss.class_weights, self.data.label_table.names
        if weights is not None and len(weights) != len(names):
            raise ValueError(
                f"loss.class_weights needs {len(names)} numbers, one a class ({', '.join(names)}); "
                f"found {len(weights)}"
            )
        window, dims = self.inference.window, self.input.spatial_dims
        if window is not None and len(window) != dims:
            raise ValueError(f"inference.window needs {dims} numbers; found {list(window)}")
        if not self.inference.resize.is_noop and dims != 2:
            raise ValueError("inference.resize is for images in 2 dimensions")
        return self
