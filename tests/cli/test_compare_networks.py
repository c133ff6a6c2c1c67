from pathlib import Path

from typer.testing import CliRunner

from limner.api import compare_networks as api
from limner.cli.app import app
from limner.core.network_comparison import ComparedNetwork, Comparison


def test_the_table_is_shown_best_first_and_failures_are_named(tmp_path, monkeypatch):
    rows = (
        ComparedNetwork("a", scores={"mean_iou": 0.5}, parameters=1_500_000, steps=7),
        ComparedNetwork("b", scores={"mean_iou": 0.75}, parameters=2_000_000, predict_seconds=0.0125),
        ComparedNetwork("c", problem="DataError: no"),
    )
    seen = {}

    def compare(data, names, **named):
        seen.update(data=data, names=names, minutes=named["minutes"])
        return Comparison(tmp_path, "d", "val", 3, (64, 64), "mean_iou", rows)

    monkeypatch.setattr(api, "compare_networks", compare)
    result = CliRunner().invoke(app, ["compare-networks", "d", "--networks", "a, b,c", "--minutes", "2"])
    assert seen == {"data": Path("d"), "names": ["a", "b", "c"], "minutes": 2}
    lines = result.output.splitlines()
    order = [next(i for i, line in enumerate(lines) if line.strip().startswith(name)) for name in "bac"]
    assert order == sorted(order)
    assert "0.7500" in lines[order[0]]
    assert "12 ms" in lines[order[0]] or "13 ms" in lines[order[0]]
    assert "c: DataError: no" in result.output
    assert result.exit_code == 1
