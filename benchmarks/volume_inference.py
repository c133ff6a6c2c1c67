"""Prediction of a volume in overlapping windows: time and memory of limner and of MONAI's inferer.

    python benchmarks/volume_inference.py [--size 200 256 256] [--window 80 128 128] [--classes 2 30]
    python benchmarks/volume_inference.py --size 40 64 64 --window 32 32 32 --repeats 1      # seconds

It needs MONAI, so run it with the environment of `make test-peers`. Both run the same network (a 3D U-Net of
limner with random weights) on the same windows with the same Gaussian weights, half a window apart, and end
with a label map. Window and size are chosen so that both put the windows on the same grid. Each cell is a
process of its own; seconds are processor time, so that other programs count little; memory is the peak of its
resident set above what it had with the network and the volume loaded. The largest difference is that of the
blended logits.

The last lines are of a model that sees another spacing than the file has: seconds in the network, and seconds
of all else, which is resampling the volume, blending, bringing the scores back to the grid of the file, and
writing it.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIGMA = 0.125
OVERLAP = 0.5


def main() -> None:
    """Measure all cells and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=[200, 256, 256])
    parser.add_argument("--window", type=int, nargs=3, default=[80, 128, 128])
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 30])
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        kind, _, number = arguments.cell.partition(":")
        print(json.dumps(CELLS[kind](arguments, int(number))))
        return
    size = "x".join(map(str, arguments.size))
    window = "x".join(map(str, arguments.window))
    print(f"volume {size}, windows {window}, median of {arguments.repeats}")
    print(f"{'classes':>7} {'':8} {'seconds':>8} {'MiB':>8}")
    for number in arguments.classes:
        found = {kind: run_cell(kind, number) for kind in ("limner", "monai")}
        for kind, cell in found.items():
            print(f"{number:7d} {kind:8} {cell['seconds']:8.1f} {cell['peak'] / 2**20:8.0f}")
        ours, theirs = found["limner"], found["monai"]
        ratios = [ours[key] / theirs[key] for key in ("seconds", "peak")]
        difference = run_cell("difference", number)["difference"]
        print(f"{'':7} {'ratio':8} {ratios[0]:8.2f} {ratios[1]:8.2f}   largest difference {difference:.1e}")
    for number in arguments.classes:
        cell = run_cell("resampled", number)
        print(
            f"{number} classes at 1.5 times the spacing: network {cell['network']:.1f} s, all else "
            f"{cell['else']:.1f} s ({cell['else'] / cell['network']:.2f} of it), of which the file "
            f"{cell['file']:.1f} s; peak {cell['peak'] / 2**20:.0f} MiB"
        )


def run_cell(kind: str, number: int) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--cell", f"{kind}:{number}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def build_predictor(arguments: argparse.Namespace, num_classes: int, **changes: Any) -> Any:
    """Return a predictor with random weights, the same ones each time."""
    import torch

    from limner.core.labels import LabelClass, LabelTable
    from limner.core.plan import (
        DataPlan,
        InferencePlan,
        InputPlan,
        NetworkPlan,
        OptimizerPlan,
        Plan,
        TrainPlan,
    )
    from limner.inference.predictor import Predictor
    from limner.weights.model import Model

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    labels = LabelTable(tuple(LabelClass(f"class {n}", (n,), (n, n, n)) for n in range(num_classes)))
    window = tuple(arguments.window)
    values = {
        "spatial_dims": 3,
        "channels": 1,
        "crop_size": window,
        "mean": (0.0,),
        "std": (1.0,),
        "normalize_each": False,
        "dtype": "float32",
    }
    plan = Plan(
        data=DataPlan(path="data", format="paired-folders", num_images={}, labels=labels.to_dict()),
        network=NetworkPlan(name="unet", options={"widths": arguments.widths}),
        input=InputPlan(**(values | changes)),
        optimizer=OptimizerPlan(learning_rate=0.001),
        train=TrainPlan(steps=1, batch_size=1, validate_every=1, save_every=1),
        inference=InferencePlan(window=window, overlap=OVERLAP),
    )
    return Predictor(Model.from_plan(plan).eval(), device="cpu", precision="float32")


def as_loaded(predictor: Any) -> Any:
    """Return the predictor with the memory layout and the speed that `limner.load` gives it."""
    from limner.devices.convolution_layout import choose_memory_format

    layout = choose_memory_format(predictor.device, spatial_dims=3)
    predictor.model.to(memory_format=layout)
    predictor.speed_up()
    return predictor


def volume(size: list[int]) -> Any:
    """Return noise (D, H, W, 1) float32."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((*size, 1), np.float32)


def limner_cell(arguments: argparse.Namespace, num_classes: int) -> dict[str, float]:
    """Measure limner's predictor."""
    predictor = as_loaded(build_predictor(arguments, num_classes))
    image = volume(arguments.size)
    return timed(lambda: predictor.predict(image), arguments.repeats)


def monai_cell(arguments: argparse.Namespace, num_classes: int) -> dict[str, float]:
    """Measure MONAI's sliding_window_inference, and the argmax of its scores."""
    import torch

    import_monai()
    predictor = build_predictor(arguments, num_classes)
    images = torch.from_numpy(volume(arguments.size)).movedim(-1, 0)[None].contiguous()

    def predict() -> Any:
        return monai_scores(predictor, images, arguments.window).argmax(1).to(torch.uint8)

    return timed(predict, arguments.repeats)


def import_monai() -> None:
    """Import what is measured, whose import is neither time nor memory of the prediction."""
    import monai.inferers  # noqa: F401


def monai_scores(predictor: Any, images: Any, window: list[int]) -> Any:
    """Return MONAI's blended logits (1, K, *S)."""
    import numpy as np
    import torch
    from monai.inferers import sliding_window_inference

    sides = [np.exp(-0.5 * ((np.arange(w) - (w - 1) / 2) / (SIGMA * w)) ** 2) for w in window]
    weights = torch.tensor(np.einsum("i,j,k->ijk", *sides), dtype=torch.float32)
    with torch.inference_mode():
        return sliding_window_inference(
            images,
            window,
            sw_batch_size=1,
            predictor=lambda part: predictor.model(part).logits,
            overlap=OVERLAP,
            roi_weight_map=weights,
        )


def difference_cell(arguments: argparse.Namespace, num_classes: int) -> dict[str, float]:
    """Return the largest difference of the blended logits."""
    import torch

    from limner.inference.sliding_window import sliding_window

    predictor = build_predictor(arguments, num_classes)
    images = torch.from_numpy(volume(arguments.size)).movedim(-1, 0)[None].contiguous()
    theirs = monai_scores(predictor, images, arguments.window)
    largest = 0.0
    with torch.inference_mode():
        for box, ours in sliding_window(
            lambda part: predictor.model(part).logits, images, window=arguments.window, overlap=OVERLAP
        ):
            largest = max(largest, float((ours - theirs[(..., *box)]).abs().max()))
    return {"difference": largest}


def resampled_cell(arguments: argparse.Namespace, num_classes: int) -> dict[str, float]:
    """Measure a prediction at another spacing, with its file."""
    import numpy as np

    from limner.core.picture import Geometry
    from limner.images.volumes.volume_writing import write_volume

    spacing = (1.5, 1.5, 1.5)
    predictor = as_loaded(build_predictor(arguments, num_classes, spacing_mm=spacing, resample=True))
    image = volume(arguments.size)
    place = Geometry((1.0, 1.0, 1.0), np.diag([1.0, 1.0, 1.0, 1.0]))
    seconds = {"network": 0.0, "file": 0.0}
    running = predictor.running_model
    forward = running.forward

    def timed_forward(images: Any) -> Any:
        started = time.process_time()
        outputs = forward(images)
        seconds["network"] += time.process_time() - started
        return outputs

    running.forward = timed_forward

    def predict() -> None:
        labels = predictor.predict(image, geometry=place).semantic
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            write_volume(Path(folder) / "labels.nii.gz", labels[..., None], place)
        seconds["file"] += time.process_time() - started

    found = timed(predict, 1)
    return {**seconds, "else": found["seconds"] - seconds["network"], "peak": found["peak"]}


def timed(run: Any, repeats: int) -> dict[str, float]:
    """Return the median processor time, and the peak of the resident set above what there was before."""
    gc.collect()
    before = memory_of("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # resets the peak, VmHWM
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return {"seconds": statistics.median(seconds), "peak": memory_of("VmHWM") - before}


def memory_of(name: str) -> int:
    """Return a number of bytes from the state of this process; Linux only."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


CELLS = {
    "limner": limner_cell,
    "monai": monai_cell,
    "difference": difference_cell,
    "resampled": resampled_cell,
}


if __name__ == "__main__":
    main()
