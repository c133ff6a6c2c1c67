import pytest
from typer.testing import CliRunner

import limner
from limner.cli.app import app


def test_the_version_is_said():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0 and result.output.strip() == f"limner {limner.__version__}"


@pytest.mark.parametrize(
    "verb",
    [
        "check",
        "browse",
        "stats",
        "split",
        "convert",
        "plan",
        "train",
        "evaluate",
        "predict",
        "report",
        "doctor",
        "import",
        "tune",
    ],
)
def test_the_help_names_every_verb(verb):
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0 and f" {verb} " in result.output
