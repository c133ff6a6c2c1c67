import pytest
from typer.testing import CliRunner

from limner.cli import console
from limner.cli.app import app, main


@pytest.fixture(autouse=True)
def _fresh_consoles():
    console.console.cache_clear()


def test_what_was_concluded_is_shown_with_its_reason(authors_file, tmp_path):
    path = authors_file("model_final_94dc52.pkl", 133)
    result = CliRunner().invoke(app, ["import", str(path), "--out", str(tmp_path / "model")])
    assert result.exit_code == 0, result.output
    for said in (
        "written by the authors' code (Detectron2)",
        "panoptic (the file's name is in the authors' list of models)",
        "person, bicycle, car, motorcycle, airplane, ...",
        "shorter side 800, longer side at most 1333",
        "CC-BY-NC-4.0 (the authors' licence of all their weights: no commercial use)",
        "limner predict",
    ):
        assert said in result.output
    assert (tmp_path / "model" / "weights.safetensors").is_file()


def test_a_refusal_is_a_message_and_exit_code_2(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["limner", "import", str(tmp_path), "--out", str(tmp_path / "model")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("limner: The folder contains no checkpoint")
