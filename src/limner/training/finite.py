"""Handling of a loss or gradient that is not finite: save the batch and compose the error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from limner.core.batch import Batch
from limner.core.errors import TrainingError, describe
from limner.core.run_folder import RunFolder
from limner.storage.whole_files import open_whole
from limner.training.step_log import BadStep


def bad_batch_path(run_root: Path, step: int, *, process: int = 0) -> Path:
    """Return the path for the saved batch of a step; each process has its own."""
    return run_root / (f"bad_batch_{step}.npz" if process == 0 else f"bad_batch_{step}_process_{process}.npz")


def save_batch(path: Path, batch: Batch) -> None:
    """Save a batch as numpy arrays with the names of `Batch.arrays`."""
    with open_whole(path) as file:
        np.savez_compressed(file, **cast("dict[str, Any]", batch.arrays()))


def non_finite_error(batch: Batch, bad: BadStep, *, saved: Path | None, precision: str) -> TrainingError:
    """Compose the error of a step whose loss or gradient is not finite.

    Args:
        batch: The batch of the step.
        bad: Values of the step.
        saved: Path of the saved batch, or None if saving failed.
        precision: Precision of the plan.
    """
    broken = "gradient" if np.isfinite(bad.losses["total"]) else "loss"
    losses = ", ".join(f"{name} {value:g}" for name, value in bad.losses.items())
    found = f"loss {losses}; gradient norm {bad.gradient_norm:g}; learning rate {bad.learning_rate:g}"
    found += f"; {precision}"
    images = bad_images(batch)
    if images:
        found += f"; pixels that are not finite numbers in: {', '.join(images)}"
    return TrainingError(
        describe(
            f"Training stopped at step {bad.step}, because its {broken} is not a finite number",
            where=f"images {', '.join(batch.names)}" + (f"; the batch is saved in {saved}" if saved else ""),
            found=found,
            expected="finite numbers; the last checkpoint was written before this step",
            fix=_advice(images, precision),
        )
    )


def broken_weights_error(names: Sequence[str], *, step: int, run: RunFolder, precision: str) -> TrainingError:
    """Compose the error of weights that are not finite, though loss and gradient were.

    Args:
        names: Names of the tensors.
        step: The last step.
        run: The run.
        precision: Precision of the plan.
    """
    return TrainingError(
        describe(
            f"Training stopped after step {step}, because weights are not finite numbers",
            where=run.root,
            found=f"{len(names)} tensors, such as {', '.join(names[:3])}",
            expected="finite numbers; no checkpoint of this step was written, so the one before stays",
            fix=_advice([], precision),
        )
    )


def bad_images(batch: Batch) -> list[str]:
    """Return the names of the images that hold NaN or infinite values."""
    if not batch.images.is_floating_point():
        return []
    good = torch.isfinite(batch.images).flatten(1).all(dim=1).tolist()
    return [name for name, is_good in zip(batch.names, good, strict=True) if not is_good]


def _advice(images: list[str], precision: str) -> str:
    if images:
        return "Fix these images (limner check DATA lists all of them), then resume the run."
    steps = ["a smaller optimizer.learning_rate (a third, say)", "train.gradient_clip=1.0"]
    if precision == "float16":
        steps.append("train.precision=bfloat16 or float32")
    return f"Start again with --set {', or --set '.join(steps)}."
