"""Plans of volumes against nnU-Net's own planner on 20 made fingerprints: spacing, patch, stages, batch.

    python benchmarks/volume_planning.py --peer-python /path/with/nnunetv2/bin/python

Needs limner and nnunetv2 2.8 there. A fingerprint is the spacing and size of each training case;
both sides plan for 8 GB. The script prints a table in Markdown, a line for each fingerprint, with the
difference in the last column.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Made:
    """A made data set: the usual spacing and size, and how much both vary."""

    name: str
    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    cases: int = 40
    spacing_varies: float = 0.0
    shape_varies: float = 0.1
    classes: int = 3
    channels: int = 1


MADE = (
    Made("hippocampus MR", (1, 1, 1), (36, 50, 35), 260),
    Made("brain MR, 4 channels", (1, 1, 1), (140, 170, 137), 480, channels=4, classes=4),
    Made("heart MR, thick slices", (10, 1.5, 1.5), (9, 250, 220), 200, 0.3),
    Made("prostate MR", (3.6, 0.62, 0.62), (20, 320, 320), 32, 0.1, channels=2),
    Made("liver CT", (1, 0.77, 0.77), (432, 512, 512), 130, 0.3),
    Made("pancreas CT", (2.5, 0.8, 0.8), (93, 512, 512), 280, 0.2),
    Made("colon CT", (5, 0.78, 0.78), (95, 512, 512), 126, 0.3),
    Made("lung CT", (1.24, 0.79, 0.79), (252, 512, 512), 63, 0.3),
    Made("kidney CT", (0.8, 0.8, 0.8), (500, 512, 512), 200, 0.2),
    Made("whole body CT, 104 classes", (1.5, 1.5, 1.5), (260, 250, 250), 1000, classes=105),
    Made("spine MR, sagittal", (0.6, 0.6, 4.4), (512, 512, 17), 200, 0.1, classes=20),
    Made("knee MR", (0.7, 0.36, 0.36), (160, 384, 384), 100),
    Made("vessels, angiography", (0.5, 0.4, 0.4), (100, 512, 512), 50),
    Made("microscopy, thick", (1.0, 0.1, 0.1), (40, 1024, 1024), 20),
    Made("microscopy, isotropic", (0.01, 0.01, 0.01), (165, 768, 1024), 10),
    Made("tiny", (1, 1, 1), (12, 14, 10), 60),
    Made("few slices", (6, 0.9, 0.9), (5, 256, 256), 60),
    Made("long", (0.5, 2, 2), (1200, 64, 64), 30),
    Made("huge", (0.3, 0.3, 0.3), (1000, 1000, 1000), 12),
    Made("two thick axes", (3, 3, 0.7), (60, 60, 300), 40),
)


def cases_of(made: Made, seed: int) -> tuple[list[tuple[float, ...]], list[tuple[int, ...]]]:
    """Return spacing and size of each case; those with larger voxels have fewer of them."""
    rng = np.random.default_rng(seed)
    spacings, shapes = [], []
    for _ in range(made.cases):
        factor = np.exp(rng.normal(0, made.spacing_varies, 3)) if made.spacing_varies else np.ones(3)
        sides = np.array(made.shape) / factor * np.exp(rng.normal(0, made.shape_varies, 3))
        spacings.append(tuple(float(s) for s in np.array(made.spacing) * factor))
        shapes.append(tuple(max(1, round(float(side))) for side in sides))
    return spacings, shapes


def our_plan(made: Made, seed: int) -> dict[str, object]:
    """Return limner's plan for 8 GiB."""
    from limner.planning.patch_size import batch_of_patches, plan_patch, reference_elements
    from limner.planning.rules.volumes import target_spacing
    from limner.planning.volume_fingerprint import VolumeFingerprint

    spacings, shapes = cases_of(made, seed)
    volumes = VolumeFingerprint(tuple(shapes), tuple(spacings))
    spacing, _ = target_spacing(volumes)
    median = [float(np.median(sides)) for sides in zip(*volumes.shapes_at(spacing), strict=True)]
    most = reference_elements(8 * 2**30)

    def elements(topology: object) -> float:
        return float(topology.map_elements(num_classes=made.classes))

    topology = plan_patch(spacing, median, lambda one: elements(one) <= most)
    batch = batch_of_patches(elements(topology), most, topology.patch, prod(median) * made.cases)
    return {
        "spacing": [round(step, 4) for step in spacing],
        "patch": [*topology.patch],
        "stages": len(topology.strides),
        "strides": [[*stride] for stride in topology.strides],
        "kernels": [[*kernel] for kernel in topology.kernels],
        "batch": batch,
    }


def their_plan(made: Made, seed: int) -> dict[str, object]:
    """Return nnU-Net's plan of its `3d_fullres`, with the axes in the order of the data."""
    root = Path(tempfile.mkdtemp())
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(root / name)
    import torch
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape

    spacings, shapes = cases_of(made, seed)
    planner = ExperimentPlanner.__new__(ExperimentPlanner)
    # What its constructor sets, without the files that it looks for.
    for key, value in {
        **{"anisotropy_threshold": 3, "UNet_base_num_features": 32, "UNet_featuremap_min_edge_length": 4},
        **{"UNet_reference_val_3d": 560000000, "UNet_reference_val_2d": 85000000},
        **{"UNet_reference_val_corresp_GB": 8, "UNet_reference_val_corresp_bs_2d": 12},
        **{"UNet_reference_val_corresp_bs_3d": 2, "UNet_vram_target_GB": 8, "UNet_min_batch_size": 2},
        **{"UNet_max_features_2d": 512, "UNet_max_features_3d": 320, "max_dataset_covered": 0.05},
        **{"UNet_blocks_per_stage_encoder": (2,) * 14, "UNet_blocks_per_stage_decoder": (2,) * 13},
        **{"preprocessor_name": "", "suppress_transpose": False, "overwrite_target_spacing": None},
    }.items():
        setattr(planner, key, value)
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    planner.UNet_class = PlainConvUNet
    planner.dataset_json = {
        "channel_names": {str(c): "MR" for c in range(made.channels)},
        "labels": {str(k): k for k in range(made.classes)},
    }
    planner.dataset_fingerprint = {
        "spacings": spacings,
        "shapes_after_crop": shapes,
        "median_relative_size_after_cropping": 1.0,
    }
    forward, backward = planner.determine_transpose()
    spacing = planner.determine_fullres_target_spacing()
    sizes = [compute_new_shape(s, old, spacing) for old, s in zip(spacings, shapes, strict=True)]
    median = np.median(sizes, 0)[forward]
    voxels = float(np.prod(median)) * made.cases
    with torch.device("meta"):
        plan = planner.get_plans_for_configuration(spacing[forward], median, "", voxels, {})
    shape = plan["architecture"]["arch_kwargs"]

    def in_order(numbers: list[int]) -> list[int]:
        return [int(numbers[axis]) for axis in backward]

    return {
        "spacing": [round(float(step), 4) for step in spacing],
        "patch": in_order(plan["patch_size"]),
        "stages": shape["n_stages"],
        "strides": [in_order(stride) for stride in shape["strides"]],
        "kernels": [in_order(kernel) for kernel in shape["kernel_sizes"]],
        "batch": int(plan["batch_size"]),
    }


def differences(ours: dict[str, object], theirs: dict[str, object]) -> str:
    """Return the keys that differ, with both values."""
    return "; ".join(f"{key} {ours[key]} / {theirs[key]}" for key in ours if ours[key] != theirs[key])


def main() -> None:
    """Print the table, or one side's plans as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", default=sys.executable, help="Python with limner and nnunetv2.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        plan = our_plan if args.side == "ours" else their_plan
        print("\n" + json.dumps([plan(made, args.seed) for made in MADE]))
        return
    plans = {}
    for side, python in (("ours", sys.executable), ("theirs", args.peer_python)):
        command = [python, __file__, "--side", side, "--seed", str(args.seed)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        plans[side] = json.loads(done.stdout.splitlines()[-1])
    print("| data | spacing | patch | stages | batch | different (limner / nnU-Net) |")
    print("|---|---|---|---|---|---|")
    equal = 0
    for made, ours, theirs in zip(MADE, plans["ours"], plans["theirs"], strict=True):
        different = differences(ours, theirs)
        equal += not different
        spacing, patch = (" x ".join(f"{n:g}" for n in ours[key]) for key in ("spacing", "patch"))
        print(
            f"| {made.name} | {spacing} | {patch} | {ours['stages']} | {ours['batch']} | {different or '-'} |"
        )
    print(f"\n{equal} of {len(MADE)} plans are equal.")


if __name__ == "__main__":
    main()
