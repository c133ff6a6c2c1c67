"""What surface distances of volumes cost, against MONAI.

    .venv-peers/bin/python benchmarks/surface_distance_speed.py [--small] [--repeats 5]

Random smooth structures with anisotropic voxels, and predictions that are a voxel or two off, as of a trained
model, or far off. One thread, medians; the times of both are of one process. All results must be equal to
0.001 mm. Reading files is not included, nor is MONAI's conversion of labels to one channel for each class.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, shift

from limner.metrics.case_scores import Ruler, case_scores, count_case

TOLERANCE = 1.0
BACKGROUND = 0


def structures(shape: tuple[int, ...], num_classes: int, seed: int) -> np.ndarray:
    """Return (D, H, W) uint8: an uneven ellipsoid of each class 1..K-1 somewhere on a background."""
    draw = np.random.default_rng(seed)
    labels = np.full(shape, BACKGROUND, np.uint8)
    places = np.stack(np.meshgrid(*(np.linspace(0, 1, side) for side in shape), indexing="ij"), -1)
    bumps = gaussian_filter(draw.normal(size=shape), min(shape) / 12)
    for index in range(1, num_classes):
        middle, radii = draw.uniform(0.25, 0.75, 3), draw.uniform(0.1, 0.22, 3)
        labels[(((places - middle) / radii) ** 2).sum(-1) + 0.4 * bumps / bumps.std() < 1] = index
    return labels


def moved(labels: np.ndarray, steps: float) -> np.ndarray:
    """Return the labels moved by some voxels along every axis."""
    return shift(labels, [steps] * labels.ndim, order=0, cval=BACKGROUND)


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of `work`, after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> None:
    """Time both and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="only volumes that take a second")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    cases = {
        "36 x 50 x 35, 3 classes": ((36, 50, 35), 3, (1.0, 1.0, 1.0)),
        "60 x 160 x 160, 5 classes": ((60, 160, 160), 5, (3.0, 0.8, 0.8)),
        "128 x 256 x 256, 20 classes": ((128, 256, 256), 20, (2.5, 0.7, 0.7)),
    }
    print("| volume | prediction | limner, all | MONAI, HD95 | MONAI, all | HD95 ratio | ratio of all |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (shape, num_classes, spacing) in list(cases.items())[: 2 if arguments.small else None]:
        truth = structures(shape, num_classes, seed=0)
        for what, steps in (("1 voxel off", 1), ("6 voxels off", 6)):
            predicted = moved(truth, steps)
            ruler = Ruler(spacing, TOLERANCE, BACKGROUND)
            one_hot = [
                torch.nn.functional.one_hot(torch.from_numpy(labels).long(), num_classes)
                .movedim(-1, 0)[None]
                .float()
                for labels in (predicted, truth)
            ]
            options = {"include_background": False, "spacing": spacing}

            def ours() -> object:
                return count_case(truth, predicted, num_classes, ruler)  # noqa: B023

            def hd95() -> torch.Tensor:
                return compute_hausdorff_distance(*one_hot, percentile=95, **options)  # noqa: B023

            def everything() -> list[torch.Tensor]:
                limits = [TOLERANCE] * (num_classes - 1)  # noqa: B023
                return [
                    hd95(),
                    compute_average_surface_distance(*one_hot, symmetric=True, **options),  # noqa: B023
                    compute_surface_dice(*one_hot, class_thresholds=limits, **options),  # noqa: B023
                ]

            found = case_scores(ours()).by_class()
            for key, theirs in zip(("hd95", "surface_distance", "surface_dice"), everything(), strict=True):
                np.testing.assert_allclose(found[key][1:], theirs[0].numpy(), atol=1e-3)
            times = [median_seconds(work, arguments.repeats) for work in (ours, hd95, everything)]
            first = " | ".join(f"{seconds:.3f} s" for seconds in times)
            ratios = " | ".join(f"{seconds / times[0]:.1f}" for seconds in times[1:])
            print(f"| {name} | {what} | {first} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
