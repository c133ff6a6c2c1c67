"""`limner.browse(augment=...)`: what the training of a plan will see, beside the images themselves."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from limner.api.browse import Browsed
from limner.api.gallery import save_picture
from limner.api.palettes import repainted
from limner.api.plan import make
from limner.core.errors import ConfigError, DataError
from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, LabelTable
from limner.core.plan import Plan
from limner.core.progress import Track, silent
from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.drawing.colors import class_keys
from limner.drawing.grid import Row, sheet
from limner.drawing.labelled import labelled
from limner.drawing.panels import Panel
from limner.loading.dataset import Dataset
from limner.loading.pipeline import Pipeline, build_pipeline
from limner.loading.sampler import ShuffledOrder

Mode = Literal["steps", "side-by-side", "final", "original"]


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
    """Draw the first images that a training by this plan will see, as it will see them.

    The plan, the order of the images and each draw are those of `limner.train` with the same settings: image
    number n is the n-th that training takes.

    Args:
        path: The dataset folder, a recipe, or a run's plan.yaml.
        mode: ``steps`` shows the original and what each transform makes of it; ``side-by-side`` the original
            and the end; ``final`` and ``original`` only one of them.
        out: The PNG to write; None writes none.
        images: How many.
        first: Number of the first, to look at later ones.
        seed: Of the draws; None takes the plan's own.
        palette: A name in `PALETTES`, or a file of names and colours.
        side: Pixels of the longer side of each picture.
        columns: Pictures beside each other, for ``final`` and ``original``.
        settings: Parts of the plan to decide yourself, as in `limner.plan`.
        workers: Reading threads.
        track: Shows the progress.

    Raises:
        DataError: The folder cannot be read, or a check found an error in it.
        ConfigError: A setting or the palette cannot be used; or the images are volumes.
    """
    planned = make(path, settings=settings, workers=workers, track=track)
    plan, source = planned.plan, planned.checked.source
    if plan.input.spatial_dims != 2:
        raise ConfigError("Only the augmentation of 2D images can be drawn.")
    table = plan.data.label_table
    records = planned.checked.splits.get("train", ())
    if not records:
        raise DataError(f"There is no training image in {source.root}.")
    dataset = Dataset(source, records, table, cache=None)
    shown = repainted(table, palette)
    seed = plan.train.seed if seed is None else seed
    pipeline = build_pipeline(plan.augment, plan.input, table)
    order = ShuffledOrder(len(dataset), seed)
    rows, names, maps = [], [], []
    for slot in range(first, first + images):
        steps = _steps(pipeline, dataset[order.index_of(slot)], seed, slot)
        names.append(steps[0][1].name)
        picked = _picked(steps, mode)
        rows.append(_row(picked, shown, side, f"{slot}: {names[-1]}"))
        maps += [labels for _, sample in picked if (labels := _labels(sample)) is not None]
    if mode in ("final", "original"):
        titled = [replace(row.panels[0], title=row.heading) for row in rows]
        rows = [Row("", tuple(titled))]
    columns = min(columns, images) if mode in ("final", "original") else max(len(row.panels) for row in rows)
    picture = sheet(
        rows, columns=columns, side=side, title=_title(plan, seed), legend=class_keys(shown, *maps)
    )
    return Browsed(picture, tuple(names), save_picture(picture, out))


def _steps(pipeline: Pipeline, sample: Sample, seed: int, slot: int) -> list[tuple[str, Sample]]:
    """Return the original and the result of each transform, named; those that change nothing say so."""
    _, params = pipeline.record(sample, generator(seed, "augment", slot))
    samples = pipeline.steps(sample, params)
    named = [("original", sample)]
    for transform, before, after in zip(pipeline.transforms, samples, samples[1:], strict=False):
        unchanged = np.array_equal(before.image, after.image)
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(transform).__name__).lower()
        named.append((f"{name} (no change)" if unchanged else name, after))
    return named


def _picked(steps: list[tuple[str, Sample]], mode: Mode) -> list[tuple[str, Sample]]:
    original, final = steps[0], ("as trained", steps[-1][1])
    return {
        "steps": steps,
        "side-by-side": [original, final],
        "final": [final],
        "original": [original],
    }[mode]


def _row(picked: list[tuple[str, Sample]], table: LabelTable, side: int, heading: str) -> Row:
    panels = [
        Panel(
            f"{name}, {s.image.shape[1]} x {s.image.shape[0]}",
            labelled(s.image, _labels(s), table, side=side),
        )
        for name, s in picked
    ]
    return Row(heading, tuple(panels))


def _labels(sample: Sample) -> LabelArray | None:
    label_map = sample.get(LabelMap)
    return None if label_map is None else label_map.labels


def _title(plan: Plan, seed: int) -> str:
    crop = " x ".join(str(side) for side in reversed(plan.input.crop_size))
    return f"{plan.data.path}: training with crops of {crop}, seed {seed}"
