"""The Plan: every setting of a run (none is `auto`), and the reason for each decision.

`planning/` makes a Plan from the user's settings and the dataset; it is saved with the weights.
Sizes are in pixels, in the order of the array's axes: (H, W) or (D, H, W).
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from limner.core.augment_plan import AugmentPlan
from limner.core.cascade_spacing import check_cascade
from limner.core.config import Config, Part, Positive, Probability, parse_config
from limner.core.dataset_file import DatasetFile
from limner.core.labels import LabelTable
from limner.core.notebook import notebook_table
from limner.core.pixel_types import PIXEL_TYPES
from limner.core.pretraining import Pretraining

NormalizedOver = Literal["nonzero_box", "nonzero", "nonzero_of_channel"]
"""Voxels that images are normalised by; see `transforms/normalize_each.py`."""


class DataPlan(Config):
    """The training data."""

    path: str
    """The dataset folder."""
    format: str
    """Name of its format."""
    num_images: dict[str, int]
    """Number of images in each split."""
    labels: dict[str, Any]
    """The label table, in the format of dataset.yaml."""

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: dict[str, Any]) -> dict[str, Any]:
        if parse_config(DatasetFile, labels, where="The table").label_table() is None:
            raise ValueError("needs at least one class under `classes`")
        return labels

    @property
    def label_table(self) -> LabelTable:
        """The label table as an object."""
        return LabelTable.from_dict(self.labels)


class NetworkPlan(Config):
    """The network."""

    name: str
    """A row of `limner networks`."""
    options: dict[str, Any] = {}
    """Keyword arguments of the network, besides classes, channels and dimensions."""
    pretrained: Pretraining = "auto"
    """Pretrained encoder weights: `yes`, `no`, or a weight file of the encoder; `auto` trains from scratch,
    with a message, if they are unavailable."""
    weights: str | None = None
    """Initial weights of the network: a model folder, a run, another project's checkpoint, or null."""
    norm: Literal["batch", "group", "instance", "sync", "frozen"] | None = None
    """What the batch normalisations become: `sync` has statistics over all devices, `frozen` fixed ones; null
    is `sync` on several accelerators, else `batch`."""
    freeze: tuple[str, ...] = ()
    """Parts that training leaves as they are, by prefix of parameter names, such as `[backbone.layer1]`."""


class ResizePlan(Config):
    """Size to which images are resized for the network; predictions have the image's original size."""

    shortest: Positive | None = None
    """Length of the shorter side; null keeps the images' size."""
    longest: Positive | None = None
    """Maximum length of the longer side; longer images are scaled down further."""
    size: tuple[Positive, ...] | None = None
    """Alternative to both: one size (height, width) for all images, whatever their aspect ratio."""
    zoom: Annotated[float, Field(gt=0)] | None = None
    """Alternative to all of them: factor of both sides."""
    multiple: Positive = 1
    """Each side is rounded up to a multiple of this."""

    @model_validator(mode="after")
    def _check_exclusive(self) -> "ResizePlan":
        if self.zoom is not None and (self.shortest, self.longest, self.size) != (None, None, None):
            raise ValueError("give either `zoom`, or `shortest`, `longest` or `size`")
        if self.size is not None and (self.shortest is not None or len(self.size) != 2):
            raise ValueError("give either `shortest` or `size`, which is two numbers (height, width)")
        if self.longest is not None and (self.shortest is None or self.longest < self.shortest):
            raise ValueError("`longest` needs `shortest`, and must not be smaller")
        return self

    @property
    def is_noop(self) -> bool:
        """Whether every image stays as it is."""
        fits_to_size = self.shortest is not None or self.size is not None or self.multiple != 1
        return not fits_to_size and self.zoom in (None, 1.0)


class InputPlan(Config):
    """The input of the network."""

    spatial_dims: Literal[2, 3] = 2
    """2 for images, 3 for volumes."""
    channels: Positive
    """Number of image channels."""
    crop_size: tuple[Positive, ...]
    """Size of a training crop; networks accept any size."""
    resize: ResizePlan | None = None
    """Size to which images are resized before they are cropped or predicted, such as `{shortest: 512}`; null
    uses them at their original size."""
    reduced_decoding: bool | None = None
    """Whether JPEGs are decoded at 1/2, 1/4 or 1/8 of their size if that is at least twice the size that they
    are resized to; null decodes them at full size, as for models that were trained before this setting."""
    mean: tuple[float, ...]
    """Mean per channel, in file values, which is subtracted from the input."""
    std: tuple[Annotated[float, Field(gt=0)], ...]
    """Standard deviation per channel, in file values, by which the input is divided."""
    spacing_mm: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Spacing in millimetres at which the network sees voxels, along the axes of volumes in `orientation`,
    or of their slices; null if unknown."""
    resample: bool | None = None
    """Whether volumes are resampled to `spacing_mm`; otherwise the network sees the voxels as they are."""
    cascade_mm: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Spacing of a low-resolution stage in 3D, whose classes are further channels; null has none."""
    clip: tuple[tuple[float, float], ...] | None = None
    """Lowest and highest file value of each channel, to which others are set. Null keeps all values."""
    dtype: str | None = None
    """Pixel type of the training images, such as `uint8`; images of another type are refused."""
    value_range: tuple[float, float] | None = None
    """Lowest and highest value of the training's pixel type or images, to which `--range` maps values."""
    smallest_maximum: float | None = None
    """Smallest maximum of a training image; images that are much darker are refused."""
    normalize_each: bool | None = None
    """Whether each image is first normalised by its own mean and standard deviation."""
    normalize_over: NormalizedOver | None = None
    """Voxels whose mean and deviation these are, for images with empty borders: `nonzero` are those that are
    not 0 in some channel, with the holes in them, and the others stay 0; `nonzero_of_channel` the same for
    each channel by itself, without holes; `nonzero_box` the box around them; null is all voxels."""
    slice_axis: Literal[0, 1, 2] | None = None
    """Axis (0 depth, 1 height, 2 width) along which volumes are cut into slices; null for anything else."""
    slice_neighbours: Annotated[int, Field(ge=0, le=8)] | None = None
    """Number of slices on each side that are further channels of a slice."""
    empty_slices: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Maximum part of the training slices that show no foreground; null uses all slices."""
    orientation: Annotated[str, Field(pattern="^[LRPAIS]{3}$")] | None = None
    """Directions of the axes (x, y, z) to which volumes are turned, such as `RAS`; null turns none."""

    @model_serializer(mode="wrap")
    def _omit_unknown(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        return {key: value for key, value in values.items() if value is not None or key == "resize"}

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, dtype: str | None) -> str | None:
        if dtype is not None and dtype not in PIXEL_TYPES:
            raise ValueError(f"dtype is one of {', '.join(PIXEL_TYPES)}")
        return dtype

    @field_validator("value_range")
    @classmethod
    def _lowest_first(cls, value_range: tuple[float, float] | None) -> tuple[float, float] | None:
        if value_range is not None and not value_range[0] < value_range[1]:
            raise ValueError("value_range is (lowest, highest)")
        return value_range

    @property
    def takes_volumes(self) -> bool:
        """Whether its images are volumes, whole or in slices."""
        return self.spatial_dims == 3 or self.slice_axis is not None

    @model_validator(mode="after")
    def _check_together(self) -> "InputPlan":
        if len(self.crop_size) != self.spatial_dims:
            raise ValueError(f"crop_size needs {self.spatial_dims} numbers, found {len(self.crop_size)}")
        if self.spacing_mm is not None and len(self.spacing_mm) != self.spatial_dims:
            raise ValueError(f"spacing_mm needs {self.spatial_dims} numbers, found {len(self.spacing_mm)}")
        if self.resample and self.spacing_mm is None:
            raise ValueError("resample needs spacing_mm, the spacing to which volumes are resampled")
        check_cascade(self.cascade_mm, self.spacing_mm if self.spatial_dims == 3 else None)
        if self.normalize_over is not None and not self.normalize_each:
            raise ValueError("normalize_over needs normalize_each: true")
        if self.reduced_decoding and (self.takes_volumes or self.normalize_each or self.clip):
            raise ValueError("reduced_decoding is for 2D images, without normalize_each and clip")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need {self.channels} numbers, one per channel")
        if self.clip is not None and len(self.clip) != self.channels:
            raise ValueError(f"clip needs {self.channels} pairs, one per channel")
        if any(not low < high for low, high in self.clip or ()):
            raise ValueError("clip is (lowest, highest) for each channel")
        return self


class LossTerm(Config):
    """One term of the weighted sum of losses."""

    name: str
    """Name of the loss; available losses depend on the task and the network's output."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the term."""
    options: dict[str, Any] = {}
    """Options of the loss, such as `smoothing`, `hard_fraction`, `alpha`, `beta`, `gamma`."""


class LossPlan(Config):
    """The loss to minimise."""

    terms: Annotated[tuple[LossTerm, ...], Field(min_length=1)] = (LossTerm(name="cross_entropy"),)
    """Losses to sum; auxiliary heads use the same ones, weighted as the network defines."""
    class_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    """Weight of each class in trained order; null weights all classes by 1."""
    teacher: str | None = None
    """Model whose outputs the `distill_...` terms learn: a model folder, a run, a checkpoint, or null."""


class OptimizerPlan(Config):
    """The optimizer."""

    name: Literal["sgd", "adam", "adamw"] = "adamw"
    """Name of the optimizer."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Maximum learning rate, before the schedule and the multipliers."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Weight decay; not applied to norms and biases."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """For sgd."""
    betas: tuple[Probability, Probability] = (0.9, 0.999)
    """For adam and adamw."""
    multipliers: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Learning-rate factors by prefix of parameter names (`{backbone: 0.1}`), or by any part (`*.out`)."""
    decay_multipliers: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Weight-decay factors by prefix of the parameter name."""


class SchedulePlan(Config):
    """The learning-rate schedule, as factors of the maximum rate."""

    name: Literal["constant", "poly", "cosine", "step", "plateau", "one_cycle"] = "poly"
    """Name of the schedule."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Number of steps of linear warm-up from `warmup_factor`."""
    warmup_factor: Probability = 0.01
    """Factor at the start of the warm-up."""
    power: Annotated[float, Field(gt=0)] = 0.9
    """Exponent of poly."""
    final_factor: Probability = 0.0
    """Final factor of poly, cosine and one_cycle."""
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.7, 0.9)
    """For step: the fractions of the run at which the rate drops."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """For step and plateau: the factor of a drop."""
    patience: Positive = 5
    """For plateau: number of validations without improvement before a drop."""


class TrainPlan(Config):
    """Duration and settings of the training."""

    steps: Positive
    """Number of optimizer steps; with `minutes`, an estimate until the run has measured its speed."""
    epochs: Annotated[float, Field(gt=0)] | None = None
    """Number of passes over the training images or slices; another unit for `steps`, null counts in steps."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Time budget of the whole schedule in minutes; null trains for `steps`."""
    batch_size: Positive
    """Number of samples per optimizer step, of all devices and accumulated parts together."""
    accumulate: Positive = 1
    """Number of parts into which a batch is split to save memory; must divide `batch_size`."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the network's arithmetic; weights stay float32."""
    sharding: Literal["none", "full"] = "none"
    """Whether several devices divide weights, gradients, optimizer state and average, so that more fits."""
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    """Maximum norm of the whole gradient."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the exponential moving average of the weights; the average is validated and saved."""
    validate_every: Positive
    """Number of steps between validations; the run also validates at its end."""
    save_every: Positive
    """Number of steps between checkpoints."""
    early_stopping: Positive | None = None
    """Number of validations without improvement after which training stops; null never stops early."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Random seed of the run."""
    balanced: bool = False
    """Draw images of each class equally often, however many there are; for classes of whole images."""
    unlabelled: str | None = None
    """Folder, list or glob of images; confident predictions of the initial weights for them are learned."""
    unlabelled_share: Part = 0.5
    """Fraction of the pixels predicted as each class there that is learned: the most confident."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Number of threads that prepare samples; affects the speed, not the result."""
    compile: bool | None = False
    """Compile the network; null tries it in the first minute of a run on an accelerator."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Trackers of losses and scores besides metrics.csv; W&B and MLflow need their libraries."""

    @model_validator(mode="after")
    def _check_accumulate(self) -> "TrainPlan":
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate {self.accumulate} must divide batch_size {self.batch_size}")
        return self


WordOutlines = Literal["boxes", "polygons"]
"""Outlines of found words."""


class InferencePlan(Config):
    """Prediction of images of any size."""

    resize: ResizePlan | None = None
    """Size to which images are resized before prediction, if not as in training; null uses `input.resize`."""
    window: tuple[Positive, ...] | None = None
    """Size of a sliding window, or null for whole images."""
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Fraction of a window that overlaps with its neighbour."""
    padding: Literal["reflection", "mean"] = "reflection"
    """Padding of images smaller than the window; `mean` is `input.mean`, zeros to the network (nnU-Net)."""
    flips: bool = False
    """Average over mirrored images too."""
    scales: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    """Average over these zooms of the image."""
    largest_component: tuple[str, ...] | None = None
    """Classes of which only the largest connected part in each image is kept; the rest becomes background.
    Null removes nothing, and lets the validation cases decide at the end of training if they are volumes."""
    outlines: WordOutlines = "boxes"
    """Outlines of found words: `boxes` are rectangles of any angle, `polygons` follow curved words."""
    word_score: Probability = 0.6
    """Minimum score of found words; by default that of DBNet's authors for ICDAR 2015."""


@dataclass(frozen=True)
class Decision:
    """One setting and why it has its value.

    Attributes:
        key: Dotted, such as ``train.batch_size``.
        value: The chosen value.
        reason: One sentence with the numbers it is based on.
        remark: What to know about the value even if the user set it, or an empty string.
    """

    key: str
    value: object
    reason: str
    remark: str = ""


class Plan(Config):
    """Every setting of a run."""

    version: Literal[1] = 1
    """Version of the file format."""
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
    """Dotted key -> reason for its value, one sentence."""

    def _repr_html_(self) -> str:
        """Return the settings that have reasons as a table, for notebooks."""
        values = self.model_dump(mode="json")
        rows = [(key, str(_value_at(values, key)), reason) for key, reason in self.reasons.items()]
        title = f"Plan of {self.data.path}: {self.task}, {self.network.name}, {self.train.steps} steps"
        return notebook_table(title, ("setting", "value", "because"), rows)

    @model_validator(mode="after")
    def _check_consistency(self) -> "Plan":
        weights, names = self.loss.class_weights, self.data.label_table.names
        if weights is not None and len(weights) != len(names):
            raise ValueError(
                f"loss.class_weights needs {len(names)} numbers, one per class ({', '.join(names)}); "
                f"found {len(weights)}"
            )
        window, dims = self.inference.window, self.input.spatial_dims
        if window is not None and len(window) != dims:
            raise ValueError(f"inference.window needs {dims} numbers; found {list(window)}")
        resizes = {"input.resize": self.input.resize, "inference.resize": self.inference.resize}
        for key, resize in resizes.items():
            if dims != 2 and resize is not None and not resize.is_noop:
                raise ValueError(f"{key} is for images in 2 dimensions")
        return self

    @property
    def cascade_classes(self) -> tuple[int, ...]:
        """Trained indices of the classes that are further channels of the input; only in a cascade."""
        return () if self.input.cascade_mm is None else self.data.label_table.foreground_indices

    @property
    def network_channels(self) -> int:
        """Number of channels of the network's input, with those of a cascade."""
        return self.input.channels + len(self.cascade_classes)

    def fill_for(self, settings: InferencePlan) -> tuple[float, ...] | None:
        """Return the value of padding in each channel for prediction with `settings`; None reflects."""
        added = (0.0,) * len(self.cascade_classes)
        return (*self.input.mean, *added) if settings.padding == "mean" else None

    def resize_for(self, settings: InferencePlan) -> ResizePlan:
        """Return the size to which images are resized for prediction with `settings`."""
        return settings.resize or self.input.resize or ResizePlan()


def _value_at(values: Any, key: str) -> Any:  # noqa: ANN401 - a setting may be anything
    """Return the value of a dotted key, whose parts may have dots themselves; None if there is none."""
    if not isinstance(values, dict) or key in values:
        return values.get(key) if isinstance(values, dict) else None
    first, _, rest = key.partition(".")
    return _value_at(values.get(first), rest) if rest else None
