"""Ten networks in PyTorch, ONNX Runtime and OpenVINO: times of an image, and how outputs differ.

    python benchmarks/exported_runtimes.py                       # needs limner[openvino]
    python benchmarks/exported_runtimes.py --networks unet fcn --size 256 --repeats 5

The weights are random, which changes no time. CPU time of the process is measured beside the time that
passes, since the latter depends on what else the machine does. All use one thread unless OMP_NUM_THREADS says
otherwise.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import DataPlan, InputPlan, NetworkPlan, OptimizerPlan, Plan, TrainPlan
from limner.exporting.exported_module import ExportedModule
from limner.exporting.writing import WRITERS, trace
from limner.weights.exported import RUNTIMES
from limner.weights.model import Model

NETWORKS = (
    *("unet", "fcn", "pspnet", "deeplabv3plus", "bisenetv2"),
    *("segformer", "upernet", "encoder-unet", "enet", "semantic-fpn"),
)

CLASSES = 19


def model_of(name, size):
    labels = LabelTable(
        tuple(LabelClass(f"class {index}", (index,), (index, 0, 0)) for index in range(CLASSES))
    )
    plan = Plan(
        data=DataPlan(path="none", format="paired-folders", num_images={}, labels=labels.to_dict()),
        network=NetworkPlan(name=name),
        input=InputPlan(spatial_dims=2, channels=3, crop_size=size, mean=(120.0,) * 3, std=(60.0,) * 3),
        optimizer=OptimizerPlan(learning_rate=0.001),
        train=TrainPlan(steps=1, batch_size=1, validate_every=1, save_every=1),
    )
    torch.manual_seed(0)
    return Model.from_plan(plan).eval()


def timed(run, image, repeats):
    """Median seconds that pass, and of the processor."""
    run(image)
    passed, busy = [], []
    for _ in range(repeats):
        before = time.perf_counter(), time.process_time()
        run(image)
        passed.append(time.perf_counter() - before[0])
        busy.append(time.process_time() - before[1])
    return median(passed), median(busy)


@torch.no_grad()
def measure(name, size, repeats, folder):
    module = ExportedModule(model_of(name, size), "outputs").eval().requires_grad_(False)
    image = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (1, 3, *size)).astype(np.float32))
    expected = module(image)
    program = trace(module, image, is_free=False)
    rows = [("PyTorch", *timed(module, image, repeats), 0.0)]
    for runtime in ("onnx", "openvino"):
        path = folder / f"{name}-{runtime}{Path(RUNTIMES[runtime].file).suffix}"
        WRITERS[runtime](program, path, [f"output_{number}" for number in range(len(expected))])
        run = RUNTIMES[runtime].load(path)
        pairs = zip(expected, run(image.numpy()), strict=True)
        differs = max(float(abs(a.numpy() - b).max() / (a.max() - a.min())) for a, b in pairs)
        rows.append((RUNTIMES[runtime].title, *timed(run, image.numpy(), repeats), differs))
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    print(
        f"{asked.size} x {asked.size}, {os.environ['OMP_NUM_THREADS']} threads, PyTorch {torch.__version__}"
    )
    print("| network | runtime | ms | ms of CPU | difference of the range |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.networks:
            for title, passed, busy, differs in measure(
                name, (asked.size, asked.size), asked.repeats, Path(folder)
            ):
                print(
                    f"| {name} | {title} | {1000 * passed:.0f} | {1000 * busy:.0f} | {differs:.1g} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
