"""nnU-Net v2 for a number of seconds: its planner, network, loss, augmentation and optimizer.

Only the loop is ours: instead of 1000 epochs, steps are taken until the time is up, and the learning rate
follows nnU-Net's polynomial over that time. Images are given to it in its own folder layout, as PNG or
NIfTI files, with the split of the comparison.
"""

import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
import torch

NUMBER, NAME = 1, "Dataset001_Rival"


def train_and_predict(train, val, labels, *, seconds: float, seed: int, work: Path):  # noqa: ANN001, ANN201
    """Return the number of steps, and the predicted labels (*S) of each validation case."""
    dims = val[0].labels.ndim
    folders = {f"nnUNet_{name}": str(work / name) for name in ("raw", "preprocessed", "results")}
    os.environ.update(folders, nnUNet_compile="false")
    names = {case.name: f"case_{index:04d}" for index, case in enumerate([*train, *val])}
    suffix = ".png" if dims == 2 else ".nii.gz"
    write_raw(work / "raw" / NAME, [*train, *val], names, labels, suffix)

    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )

    extract_fingerprints([NUMBER], num_processes=2)
    plan_experiments([NUMBER])
    configuration = "2d" if dims == 2 else "3d_fullres"
    preprocess([NUMBER], configurations=(configuration,), num_processes=(2,))
    folder = work / "preprocessed" / NAME
    split = {"train": [names[c.name] for c in train], "val": [names[c.name] for c in val]}
    (folder / "splits_final.json").write_text(json.dumps([split]))
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - nnU-Net draws from it
    trainer = _timed_trainer(
        json.loads((folder / "nnUNetPlans.json").read_text()),
        configuration,
        json.loads((folder / "dataset.json").read_text()),
        seconds,
    )
    trainer.run_training()
    trainer.perform_actual_validation()
    written = Path(trainer.output_folder) / "validation"
    return trainer.steps, [read_labels(written / f"{names[c.name]}{suffix}") for c in val]


def write_raw(folder: Path, cases, names: dict[str, str], labels, suffix: str) -> None:  # noqa: ANN001
    """Write imagesTr, labelsTr and dataset.json; nnU-Net wants a background, which is class 0."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    count, ignored = len(labels.names), any((c.labels == labels.ignore_index).any() for c in cases)
    if labels.background_index:
        raise RuntimeError("class 0 has to be the background, if there is one")
    for case in cases:
        target = np.where(case.labels == labels.ignore_index, count, case.labels).astype(np.uint8)
        if suffix == ".png":
            image = case.image[..., ::-1] if case.image.shape[-1] == 3 else case.image
            cv2.imwrite(str(folder / "imagesTr" / f"{names[case.name]}_0000.png"), image)
            cv2.imwrite(str(folder / "labelsTr" / f"{names[case.name]}.png"), target)
        else:
            for channel in range(case.image.shape[-1]):
                path = folder / "imagesTr" / f"{names[case.name]}_{channel:04d}.nii.gz"
                _write_nifti(path, case.image[..., channel], case.geometry.affine)
            _write_nifti(folder / "labelsTr" / f"{names[case.name]}.nii.gz", target, case.geometry.affine)
    content = {
        "channel_names": {str(i): f"channel {i}" for i in range(cases[0].image.shape[-1])},
        "labels": {("background" if i == 0 else labels.names[i]): i for i in range(count)}
        | ({"ignore": count} if ignored else {}),
        "numTraining": len(cases),
        "file_ending": suffix,
    }
    (folder / "dataset.json").write_text(json.dumps(content))


def read_labels(path: Path) -> np.ndarray:
    """Return written labels (*S), axes in the order of limner's arrays."""
    if path.suffix == ".png":
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    import nibabel

    return np.asarray(nibabel.load(path).dataobj).transpose(2, 1, 0)


def _write_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None) -> None:
    import nibabel

    # limner's affine is of the array's axes (z, y, x), NIfTI's of its own (x, y, z).
    turned = np.eye(4) if affine is None else affine[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), turned), path)


def _timed_trainer(plans: dict, configuration: str, dataset: dict, seconds: float):  # noqa: ANN202
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class TimedTrainer(nnUNetTrainer):
        steps = 0

        def run_training(self) -> None:
            self.on_train_start()
            self.network.train()
            start = time.perf_counter()
            while (passed := time.perf_counter() - start) < seconds:
                for group in self.optimizer.param_groups:
                    group["lr"] = self.initial_lr * (1 - passed / seconds) ** 0.9
                self.train_step(next(self.dataloader_train))
                self.steps += 1
            self.on_train_end()

    plans["continue_training"] = False
    return TimedTrainer(plans, configuration, 0, dataset, device=torch.device("cpu"))
