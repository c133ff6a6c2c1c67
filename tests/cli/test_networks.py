import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from limner.cli.app import app
from limner.networks import NETWORKS


@pytest.fixture(scope="module")
def rows():
    result = CliRunner().invoke(app, ["networks", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_every_network_is_listed_with_its_parameters(rows):
    assert {row["name"] for row in rows} == set(NETWORKS)
    counts = {(row["name"], row["variant"]): row["parameters"] for row in rows}
    assert counts["pspnet", "resnet18c"] == 12790086  # mmsegmentation's pspnet_r18-d8, 19 classes
    assert counts["deeplabv3plus", "resnet50c"] == 43589878  # mmsegmentation's deeplabv3plus_r50-d8


def test_the_table_names_paper_year_and_task():
    result = CliRunner().invoke(app, ["networks"])
    assert result.exit_code == 0, result.output
    for words in (
        "deeplabv3plus",
        "43.6 M",
        "176.2 G",
        "2018",
        "context",
        "semantic 2D",
        "Pyramid Scene Parsing Network",
    ):
        assert words in result.output


def test_the_page_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "networks.md"
    result = CliRunner().invoke(app, ["networks", "--markdown"])
    assert page.read_text("utf-8") == result.output, "run: limner networks --markdown > docs/networks.md"
