"""Commands of limner on the stand-in device, in a process of its own: python stand_in_run.py DATA RUN."""

import json
import os
import sys
from pathlib import Path

import stand_in_device

SETTINGS = (
    "network.name=unet",
    "network.options={widths: [4, 6]}",
    "input.crop_size=[32, 32]",
    "train.steps=2",
    "train.batch_size=2",
    "train.trackers=[]",
    "train.workers=0",
)


def limner(*words):
    """Run a command in this process, and return its code."""
    from limner.cli.app import main

    sys.argv = ["limner", *map(str, words)]
    try:
        main()
    except SystemExit as ended:
        return ended.code or 0
    return 0


def step_without_waiting(run):
    """Take two steps as training does, and read the loss of the last, where nothing may wait for the device.

    Returns:
        The loss, and the error of reading it.
    """
    import torch

    from limner.core.batch import Batch
    from limner.core.label_map import LabelMap
    from limner.core.plan_text import plan_from_yaml
    from limner.tasks import find_task
    from limner.training.accelerator import build_accelerator
    from limner.training.learner import Learner
    from limner.weights.model import Model

    plan = plan_from_yaml((run / "plan.yaml").read_text("utf-8"))
    accelerator = build_accelerator("auto", precision=plan.train.precision)
    learner = Learner(
        Model.from_plan(plan),
        plan=plan,
        criterion=find_task(plan.task).criterion(plan).to(accelerator.device),
        accelerator=accelerator,
        say=print,
    )
    labels = torch.zeros(2, 32, 32, dtype=torch.uint8)
    labels[0, :9] = 255  # ignored
    labels[1, 9:] = 1
    batch = Batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), ("a", "b"), {LabelMap: labels})
    for number in (1, 2):
        with stand_in_device.forbid_waiting():
            result = learner.gradients(batch, step=number, factor=1.0)
            learner.apply(step=number)
    said = ""
    try:
        with stand_in_device.forbid_waiting():
            float(result.losses["total"])
    except RuntimeError as error:
        said = str(error)
    return {"loss": float(result.losses["total"]), "waiting": said}


def losses_that_wait():
    """Compute losses and gradients of drawn outputs on the device, and on the CPU.

    Returns:
        Name -> the total loss on either, and what waited for the device.
    """
    import torch

    from limner.core.batch import Batch
    from limner.core.label_map import LabelMap
    from limner.core.labels import LabelClass, LabelTable
    from limner.core.plan import LossPlan, LossTerm
    from limner.tasks import find_task

    labels = LabelTable(tuple(LabelClass(f"class {i}", (i,), (0, 0, i)) for i in range(3)))
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    maps = torch.arange(64 * 64).reshape(64, 64).remainder(2).to(torch.uint8).repeat(2, 1, 1)
    maps[0, :9] = 255  # ignored; class 2 is in no image
    label_maps = Batch(images, (), {LabelMap: maps})
    cases = {
        "lovasz": ("semantic", "lovasz", label_maps, dense),
        "text": ("text-detection", "differentiable_binarization", None, texts),
        "centres": ("instance", "centre_offset", None, centre_offsets),
        "points": ("detection", "point_boxes", None, point_boxes),
        "boxes": ("detection", "box_set", None, query_boxes),
        "segments": ("instance", "segment_set", None, query_masks),
        "regions": ("semantic", "segment_set", label_maps, query_masks),
    }
    found = {}
    for name, (task, loss, batch, outputs) in cases.items():
        options = {"num_points": 200} if loss == "segment_set" else {}
        plan = LossPlan(terms=(LossTerm(name=loss, options=options),))
        objective = find_task(task).objective(plan)
        criterion = objective.criterion(plan, labels=labels)
        batch = batch or objective.example(images)
        totals = {}
        for device in ("cpu", stand_in_device.NAME):
            on_device, on_it = batch.to(torch.device(device)), criterion.to(torch.device(device))
            made = outputs(torch.Generator().manual_seed(0), torch.device(device))
            torch.manual_seed(0)
            with stand_in_device.count_waiting() as waited:
                total = on_it.loss(made, on_device).total
                total.backward()
            totals[device] = float(total.detach())
        found[name] = {"totals": list(totals.values()), "waited": waited}
    return found


def drawn(generator, device, *shape):
    import torch

    return torch.randn(shape, generator=generator).to(device).requires_grad_()


def dense(generator, device):
    from limner.core.outputs import DenseLogits

    return DenseLogits(drawn(generator, device, 2, 3, 64, 64))


def texts(generator, device):
    from limner.core.outputs import TextMaps

    return TextMaps(*(drawn(generator, device, 2, 1, 16, 16) for _ in range(2)))


def centre_offsets(generator, device):
    from limner.core.outputs import CentreOffsets

    return CentreOffsets(*(drawn(generator, device, 2, channels, 64, 64) for channels in (4, 1, 2)))


def query_masks(generator, device):
    from limner.core.outputs import QueryMasks

    shapes = ((2, 30, 4), (2, 30, 8), (2, 8, 16, 16))
    first = QueryMasks(*(drawn(generator, device, *shape) for shape in shapes))
    return QueryMasks(*(drawn(generator, device, *shape) for shape in shapes), (first,))


def point_boxes(generator, device):
    import torch

    from limner.core.outputs import PointBoxes

    middles = torch.cartesian_prod(torch.arange(4.0, 64, 8), torch.arange(4.0, 64, 8))
    points = torch.cat((middles, torch.full((64, 1), 8.0)), 1).to(device)
    sides = drawn(generator, device, 2, 64, 4).exp() * 8
    boxes = torch.cat((points[:, :2] - sides[..., :2], points[:, :2] + sides[..., 2:]), 2)
    return PointBoxes(drawn(generator, device, 2, 64, 3), boxes, points)


def query_boxes(generator, device):
    import torch

    from limner.core.outputs import NOTHING, DenoisedBoxes, QueryBoxes

    def some(count):
        places = drawn(generator, device, 2, count, 4).sigmoid()
        return QueryBoxes(drawn(generator, device, 2, count, 3), places)

    number = torch.arange(32)
    truth = torch.where(number < 9, number, NOTHING).repeat(2, 1).to(device)  # of 9 boxes an image
    return QueryBoxes(
        some(30).class_logits, some(30).boxes, (some(30),), some(50), DenoisedBoxes((some(32),), truth, 1)
    )


def main(data, run):
    stand_in_device.register()
    from limner.api.doctor import doctor
    from limner.devices import host_copies
    from limner.planning import cost

    # Times mean nothing here.
    host_copies.TIMED_BYTES, cost.CLOCK_SECONDS, cost.LONGEST_CLOCK = 2**20, 0.0, 0.0

    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    found = {
        "doctor": doctor().to_dict(),
        "plan": limner("plan", data, "--out", run.parent / "plan.yaml", *sets),
        "train": limner("train", run.parent / "plan.yaml", "--run", run),
        "predict": limner("predict", run / "model", data / "images", "--out", run.parent / "predicted"),
        "report": limner("report", run),
        **step_without_waiting(run),
        "losses": losses_that_wait(),
    }
    (run.parent / "found.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    # PyTorch's thread for backward passes may still drop tensors of a device made in Python while Python
    # ends, which aborts the process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
