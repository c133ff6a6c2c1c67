import json

import numpy as np
import pytest
from PIL import Image as PillowImage


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "my data" / part).mkdir(parents=True)
    for n in range(12):
        mask = np.zeros((40, 40), np.uint8)
        mask[5 : 10 + n, 5:30] = 255
        picture = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        PillowImage.fromarray(picture).save(tmp_path / "my data/images" / f"{n}.png")
        PillowImage.fromarray(mask).save(tmp_path / "my data/masks" / f"{n}.png")
    return tmp_path / "my data"


@pytest.fixture
def limner(tmp_path, monkeypatch, command_line):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    return command_line


def test_an_open_question_is_exit_code_1_and_the_last_line_says_what_to_do(limner, folder):
    done = limner("check", folder)
    assert done.returncode == 1, done.stderr
    assert "mask-is-0-255" in done.stdout and "foreground" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1] == f"Next: limner check '{folder}' --accept"
    assert "\x1b[" not in done.stdout  # no colours where nobody watches


def test_accepting_ends_with_training_as_the_next_step(limner, folder):
    done = limner("check", folder, "--accept")
    assert done.returncode == 0, done.stderr
    assert (folder / "dataset.yaml").is_file() and "Written to" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1] == f"Next: limner train '{folder}'"


def test_json_is_all_there_is_on_stdout(limner, folder):
    done = limner("check", folder, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["proposal"]["classes"][1] == {"name": "foreground", "value": 255}


def test_the_schema_needs_no_data(limner):
    done = limner("check", "--schema")
    assert done.returncode == 0 and "mask_encoding" in json.loads(done.stdout)["properties"]


def test_a_missing_folder_is_a_message_and_no_traceback(limner, tmp_path):
    done = limner("check", tmp_path / "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stderr and "Traceback" not in done.stderr


def test_file_names_are_no_markup(limner, folder):
    (folder / "images/[red]x.png").write_text("no image")
    done = limner("check", folder)
    assert "[red]x.png" in done.stdout
