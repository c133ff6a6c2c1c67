"""A run that is killed while its folder is prepared is started again under the same name."""

import pytest

import limner
from limner.api.train import resume
from limner.core.errors import ConfigError
from limner.preparation import prepared_run
from limner.storage.unfinished import UNFINISHED

SMALL = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}, "pretrained": "no"},
    "input": {"crop_size": [32, 32]},
    "train": {"steps": 2, "batch_size": 2, "validate_every": 2, "save_every": 2, "trackers": []},
}


class KilledError(BaseException):
    """Ends the process, as far as the run can tell."""


@pytest.mark.parametrize("killed", ["write_plan", "write_splits", "write_data_state"])
def test_a_half_prepared_run_is_started_again(cells, tmp_path, killed):
    def kill(*_, **__):
        raise KilledError

    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(prepared_run, killed, kill)
        limner.train(cells, run=run, settings=SMALL, device="cpu")
    (run / ".plan.yaml.12-34.part").touch()
    assert (run / UNFINISHED).is_file()
    if (run / "splits.json").is_file():
        with pytest.raises(ConfigError, match="interrupted while it was prepared"):
            resume(run, device="cpu")
    limner.train(cells, run=run, settings=SMALL, device="cpu")
    assert not (run / UNFINISHED).exists() and not [*run.glob(".*.part")]
    with pytest.raises(ConfigError, match="already in use"):
        limner.train(cells, run=run, settings=SMALL, device="cpu")
