"""Commands of limner on the stand-in device, in a process of its own: python stand_in_run.py DATA RUN."""

import json
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
    }
    (run.parent / "found.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
