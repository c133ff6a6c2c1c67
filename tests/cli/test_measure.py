import json

import pytest
from typer.testing import CliRunner

from limner.analysis import network_speed
from limner.cli.app import app
from limner.cli.number_options import parse_size
from limner.core.errors import ConfigError


def test_tables_and_json(monkeypatch):
    monkeypatch.setattr(network_speed, "LONGEST_SECONDS", 0.0)
    command = ["measure", "enet", "--size", "64x32", "--classes", "2", "--device", "cpu"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert "1 x 3 x 64x32, 2 classes" in shown.output and "multiply-adds" in shown.output
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).output)
    assert found["size"] == [64, 32] and found["parameters"] == sum(found["parts"].values())


@pytest.mark.parametrize(
    ("text", "size"), [("512x1024", (512, 1024)), ("64", (64, 64)), ("8x9x10", (8, 9, 10))]
)
def test_sizes(text, size):
    assert parse_size(text, option="--size") == size


@pytest.mark.parametrize("text", ["ax3", "0x4", "1x2x3x4", "-3"])
def test_bad_sizes(text):
    with pytest.raises(ConfigError, match="--size expects a size"):
        parse_size(text, option="--size")
