import shlex
from pathlib import Path

from limner.cli.plan import train_command
from limner.cli.plan_options import PlanOptions


def test_the_command_trains_what_was_planned():
    settings = ["network.options={widths: [8, 16]}", "train.steps=5"]
    command = train_command(
        Path("my data"),
        PlanOptions(
            network="unet",
            weights=Path("a run"),
            teacher=Path("large"),
            minutes=2.5,
            spatial="2d",
            settings=settings,
        ),
        device="cpu",
    )
    assert shlex.split(command) == [
        *("limner", "train", "my data", "--network", "unet", "--weights", "a run"),
        *("--teacher", "large", "--minutes", "2.5", "--spatial", "2d"),
        *("--set", settings[0], "--set", settings[1], "--device", "cpu"),
    ]
    assert train_command(Path("data"), PlanOptions(), device="auto") == "limner train data"
