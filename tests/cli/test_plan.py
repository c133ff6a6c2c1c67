import shlex
from pathlib import Path

from limner.cli.plan import _train_command


def test_the_command_trains_what_was_planned():
    settings = ["network.options={widths: [8, 16]}", "train.steps=5"]
    command = _train_command(
        Path("my data"),
        task=None,
        network="unet",
        weights=Path("a run"),
        teacher=Path("large"),
        minutes=2.5,
        spatial="2d",
        settings=settings,
        device="cpu",
    )
    assert shlex.split(command) == [
        *("limner", "train", "my data", "--network", "unet", "--weights", "a run"),
        *("--teacher", "large", "--minutes", "2.5", "--spatial", "2d", "--device", "cpu"),
        *("--set", settings[0], "--set", settings[1]),
    ]
    plain = _train_command(
        Path("data"),
        task=None,
        network=None,
        weights=None,
        teacher=None,
        minutes=None,
        spatial=None,
        settings=(),
        device="auto",
    )
    assert plain == "limner train data"
