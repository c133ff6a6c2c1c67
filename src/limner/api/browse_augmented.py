"""Augmented training images of a plan on one sheet, beside the originals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from limner.api.browse import Browsed
from limner.core.boxes import Boxes
from limner.core.errors import ConfigError, DataError
from limner.core.execution import Execution
from limner.core.label_map import LabelMap
from limner.core.plan import Plan
from limner.core.progress import Track, silent
from limner.core.words import Words
from limner.datasets.augmented_images import AugmentedImage, Mode, augmented_images
from limner.datasets.palettes import repainted
from limner.drawing.colors import class_keys
from limner.drawing.grid import Row, sheet
from limner.drawing.png import save_picture
from limner.loading.pipeline import build_pipeline
from limner.loading.training_dataset import training_dataset
from limner.preparation.planned import Planned, plan_data
from limner.storage.own_outputs import refuse_taken_file
from limner.tasks import find_task

DRAWN = frozenset({LabelMap, Boxes, Words})
"""Kinds of targets that are drawn; of other tasks the label maps are."""


def browse_augmented(
    path: Path | str,
    *,
    mode: Mode = "steps",
    out: Path | str | None = None,
    images: int = 4,
    first: int = 0,
    seed: int | None = None,
    palette: str = "own",
    side: int = 300,
    columns: int = 4,
    settings: Mapping[str, Any] | None = None,
    workers: int | None = None,
    track: Track = silent,
) -> Browsed:
    """Draw the first training images of a plan, as augmented in training.

    The plan, the order of the images and the random draws are those of `limner.train` with the same settings:
    image number n is the n-th training image.

    Args:
        path: The dataset folder, a recipe, or a run's plan.yaml.
        mode: ``steps`` shows the original and the result of each transform; ``side-by-side`` the original and
            the final image; ``final`` and ``original`` only one of them.
        out: The PNG to write; None writes none.
        images: Number of images.
        first: Number of the first image.
        seed: Random seed; defaults to that of the plan.
        palette: A name in `PALETTES`, or a file of names and colours.
        side: Pixels of the longer side of each picture.
        columns: Number of columns, for ``final`` and ``original``.
        settings: Values of the plan to set, as in `limner.plan`.
        workers: Number of reading threads.
        track: Shows progress.

    Raises:
        DataError: The folder cannot be read, or the check found an error.
        ConfigError: A setting or the palette is invalid, or the images are volumes.
    """
    if out is not None:
        refuse_taken_file(out, by="browse")
    planned = plan_data(path, settings or {}, Execution(track=track), workers=workers)
    plan = planned.plan
    seed = plan.train.seed if seed is None else seed
    shown, rows, names, maps = repainted(plan.data.label_table, palette), [], [], []
    for image in _augmented(planned, range(first, first + images), mode, seed):
        rows.append(image.row(shown, side))
        names.append(image.name)
        maps += image.label_maps
    legend = class_keys(shown, *maps)
    rows, columns = _arranged(rows, columns) if mode in ("final", "original") else (rows, _widest(rows))
    picture = sheet(rows, columns=columns, side=side, title=_title(plan, seed), legend=legend)
    return Browsed(picture, tuple(names), save_picture(picture, out))


def _augmented(planned: Planned, slots: range, mode: Mode, seed: int) -> Iterator[AugmentedImage]:
    """Yield the training images of a plan, as augmented in training."""
    plan, source = planned.plan, planned.checked.source
    if plan.input.spatial_dims != 2:
        raise ConfigError("Only the augmentation of 2D images can be drawn.")
    records = planned.checked.splits.get("train", ())
    if not records:
        raise DataError(f"There is no training image in {source.root}.")
    table = plan.data.label_table
    pipeline = build_pipeline(plan.augment, plan.input, table)
    task = find_task(plan.task)
    are_drawn = task.sees_whole_images or DRAWN.issuperset(task.targets)
    targets = task.targets if are_drawn else (LabelMap,)
    at_full_size = plan.input.model_copy(update={"reduced_decoding": None})  # labels are drawn on the images
    dataset = training_dataset(source, records, table, at_full_size, targets=targets)
    balanced = plan.train.balanced
    return augmented_images(dataset, pipeline, slots, mode=mode, seed=seed, balanced=balanced)


def _arranged(rows: Sequence[Row], columns: int) -> tuple[list[Row], int]:
    """Merge rows of one picture each into a single row, and return it with its number of columns."""
    pictures = tuple(replace(row.panels[0], title=row.heading) for row in rows)
    return [Row("", pictures)], min(columns, len(rows))


def _widest(rows: Sequence[Row]) -> int:
    return max(len(row.panels) for row in rows)


def _title(plan: Plan, seed: int) -> str:
    crop = " x ".join(str(side) for side in reversed(plan.input.crop_size))
    return f"{plan.data.path}: training with crops of {crop}, seed {seed}"
