"""Images of requests are deleted, also those of a server that was killed."""

import os
import subprocess
import sys
import tempfile

from limner.core.errors import DataError
from limner.serving.uploads import TEMPORARY, remove_abandoned


def test_images_of_a_killed_server_are_removed_and_those_of_a_running_one_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, own, other = (
        tmp_path / name
        for name in (f"{TEMPORARY}{ended.pid}-a", f"{TEMPORARY}{os.getpid()}-b", f"{TEMPORARY}mine")
    )
    for folder in (left, own, other):
        folder.mkdir()
        (folder / "image.png").write_bytes(b"an image")
    remove_abandoned()
    assert sorted(tmp_path.iterdir()) == sorted((own, other))


def test_a_request_in_progress_has_a_folder_of_the_server(make_client, photo_file, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    seen = []

    def look(path):
        seen.extend(folder.name for folder in place.iterdir())
        raise DataError(f"no image: {path}")

    monkeypatch.setattr("limner.serving.uploads.read_image", look)
    make_client().post("/predict", files=[photo_file])
    assert seen and all(name.startswith(f"{TEMPORARY}{os.getpid()}-") for name in seen)
    assert not list(place.iterdir())
