"""Augmented patches of volumes per second against MONAI's CacheDataset and nnU-Net's batchgeneratorsv2.

    /path/with/monai+nnunetv2/bin/python benchmarks/patch_pipeline.py

Needs limner, monai 1.6 and nnunetv2 2.8 in one environment. All three draw patches of prepared volumes, a
third of them centred on the foreground, with the kinds, ranges and frequencies of nnU-Net's augmentation:
rotation and zoom (each in 20 % of the patches), mirrors, noise, blur, brightness, contrast, low resolution,
gamma.
limner and nnU-Net map volumes from files, which the system keeps in memory; MONAI holds them in memory. One
thread each; the rounds take turns, so that a busy machine slows all of them, and the medians are shown.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch start their threads

import numpy as np
import torch

SHAPE, NUM_VOLUMES, NUM_CLASSES = (160, 192, 160), 6, 3
ROTATION, ZOOM = 30.0, (0.7, 1.4)

Draw = Callable[[int], object]


def write_volumes(folder: Path) -> None:
    """Write volumes of smooth noise with two balls, normalised, channels last."""
    for number in range(NUM_VOLUMES):
        rng = np.random.default_rng(number)
        coarse = torch.from_numpy(rng.normal(size=(1, 1, 20, 24, 20)).astype(np.float32))
        image = torch.nn.functional.interpolate(coarse, SHAPE, mode="trilinear")[0, 0].numpy()
        labels = np.zeros(SHAPE, np.uint8)
        places = np.indices(SHAPE)
        for value in (1, 2):
            centre = rng.uniform(40, 120, 3)[:, None, None, None]
            labels[((places - centre) ** 2).sum(0) < (30 / value) ** 2] = value
        image = (image - image.mean()) / image.std() + 0.1 * rng.normal(size=SHAPE) + labels
        np.save(folder / f"{number}-image.npy", image.astype(np.float32)[..., None])
        np.save(folder / f"{number}-labels.npy", labels)


def load(folder: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return image (D, H, W, C) and labels of a volume, mapped."""
    return tuple(np.load(folder / f"{number}-{part}.npy", mmap_mode="r") for part in ("image", "labels"))


def limner_draw(folder: Path, patch: tuple[int, ...]) -> Draw:
    """Return a function that draws a patch of limner's pipeline."""
    from limner.core.augment_plan import AugmentPlan
    from limner.core.label_map import LabelMap
    from limner.core.labels import LabelClass, LabelTable
    from limner.core.plan import InputPlan
    from limner.core.sample import Sample
    from limner.loading.pipeline import build_pipeline

    names = ("background", "large", "small")
    table = LabelTable(tuple(LabelClass(n, (i,), (i, i, i)) for i, n in enumerate(names)))
    augment = AugmentPlan(
        **{"rotation": ROTATION, "scale": ZOOM, "affine_probability": 0.2, "flip_axes": (0, 1, 2)},
        **{"brightness": 0.25, "contrast": 0.25, "gamma": (0.7, 1.5), "noise": 0.1, "blur": 1.0},
        **{"low_resolution": 0.5, "foreground_probability": 1 / 3, "saturation": 0, "hue": 0},
    )
    values = InputPlan(spatial_dims=3, channels=1, crop_size=patch, mean=(0.0,), std=(1.0,))
    pipeline = build_pipeline(augment, values, table)
    samples = []
    for number in range(NUM_VOLUMES):
        image, labels = load(folder, number)
        target = LabelMap(labels).with_places(0)
        samples.append(Sample(str(number), image, (target,), (1.0, 1.0, 1.0)))

    def draw(number: int) -> object:
        return pipeline(samples[number % NUM_VOLUMES], np.random.default_rng(number))

    return draw


def monai_draw(folder: Path, patch: tuple[int, ...]) -> Draw:
    """Return a function that draws a patch of MONAI's CacheDataset."""
    from monai import transforms as mt
    from monai.data import CacheDataset

    keys, angle = ("image", "label"), np.deg2rad(ROTATION)
    cases = []
    for number in range(NUM_VOLUMES):
        image, labels = load(folder, number)
        cases.append({"image": np.moveaxis(np.array(image), -1, 0), "label": np.array(labels)[None]})
    both = {"mode": ("bilinear", "nearest"), "padding_mode": "zeros", "spatial_size": patch}
    chain = mt.Compose(
        [
            mt.ToTensord(keys),
            mt.FgBgToIndicesd("label"),
            mt.RandCropByPosNegLabeld(
                keys,
                label_key="label",
                spatial_size=patch,
                **{"pos": 1, "neg": 2, "num_samples": 1, "allow_smaller": True},
                fg_indices_key="label_fg_indices",
                bg_indices_key="label_bg_indices",
            ),
            # Rotation and zoom apart: 20 % each.
            mt.RandAffined(keys, prob=0.2, rotate_range=(angle,) * 3, **both),
            mt.RandAffined(keys, prob=0.2, scale_range=((-0.3, 0.4),) * 3, **both),
            *(mt.RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in range(3)),
            mt.RandGaussianNoised("image", prob=0.1, std=0.2),
            mt.RandGaussianSmoothd("image", (0.5, 1), (0.5, 1), (0.5, 1), prob=0.1),
            mt.RandScaleIntensityd("image", factors=0.25, prob=0.15),
            mt.RandScaleIntensityFixedMeand("image", factors=0.25, prob=0.15),
            mt.RandSimulateLowResolutiond("image", prob=0.125, zoom_range=(0.5, 1)),
            mt.RandAdjustContrastd("image", 0.1, (0.7, 1.5), invert_image=True, retain_stats=True),
            mt.RandAdjustContrastd("image", 0.3, (0.7, 1.5), retain_stats=True),
        ]
    )
    chain.set_random_state(0)
    dataset = CacheDataset(cases, chain, num_workers=1, progress=False)
    return lambda number: dataset[number % NUM_VOLUMES]


def nnunet_draw(folder: Path, patch: tuple[int, ...]) -> Draw:
    """Return a function that draws a patch as nnU-Net's loader does, with its training transforms."""
    for name in ("raw", "preprocessed", "results"):
        os.environ.setdefault(f"nnUNet_{name}", str(folder))
    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    limits = (-float(np.deg2rad(ROTATION)), float(np.deg2rad(ROTATION)))
    transforms = nnUNetTrainer.get_training_transforms(patch, limits, None, (0, 1, 2), False, [False])
    first = get_patch_size(patch, limits, limits, limits, (0.85, 1.25))
    cases = [load(folder, number) for number in range(NUM_VOLUMES)]
    places = [[np.argwhere(labels == value) for value in (1, 2)] for _, labels in cases]
    rng = np.random.default_rng(0)

    def draw(number: int) -> object:
        (image, labels), found = cases[number % NUM_VOLUMES], places[number % NUM_VOLUMES]
        wanted = np.array(first)
        low, high = np.minimum(0, np.array(SHAPE) - wanted), np.maximum(0, np.array(SHAPE) - wanted)
        start = rng.integers(low, high + 1)
        if rng.random() < 1 / 3:
            of_class = found[rng.integers(2)]
            start = np.clip(of_class[rng.integers(len(of_class))] - wanted // 2, low, high)
        inside = tuple(slice(max(0, s), min(n, s + w)) for s, w, n in zip(start, wanted, SHAPE, strict=True))
        edges = [(b.start - s, s + w - b.stop) for b, s, w in zip(inside, start, wanted, strict=True)]
        part = np.pad(np.moveaxis(image[inside], -1, 0), [(0, 0), *edges])
        known = np.pad(labels[inside][None].astype(np.int16), [(0, 0), *edges], constant_values=-1)
        return transforms(image=torch.from_numpy(part), segmentation=torch.from_numpy(known))

    return draw


CONTESTANTS = {"limner": limner_draw, "MONAI CacheDataset": monai_draw, "batchgeneratorsv2": nnunet_draw}


def main() -> None:
    """Print one row for each patch size and contestant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--only", choices=CONTESTANTS, help="Measure one contestant, such as where others lack."
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {name: make for name, make in CONTESTANTS.items() if args.only in (None, name)}
    print("| patch | pipeline | patches / s | limner / this |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_volumes(folder)
        for patch, count in (((96, 96, 96), 12), ((40, 56, 40), 60)):
            draws = {label: make(folder, patch) for label, make in chosen.items()}
            times: dict[str, list[float]] = {label: [] for label in draws}
            for turn in range(args.rounds + 1):
                for label, draw in draws.items():
                    began = perf_counter()
                    for number in range(count):
                        draw(turn * count + number)
                    if turn:  # the first round warms up
                        times[label].append((perf_counter() - began) / count)
            speeds = {label: 1 / statistics.median(taken) for label, taken in times.items()}
            for label, speed in speeds.items():
                ratio = f"{speeds['limner'] / speed:.2f}" if "limner" in speeds else "-"
                print(f"| {'x'.join(map(str, patch))} | {label} | {speed:.1f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
