"""Images of requests are deleted, also those of a server that was killed."""

import errno
import os
import subprocess
import sys
import tempfile
import time

from limner.core.errors import DataError
from limner.serving.uploads import TEMPORARY, remove_abandoned
from limner.storage.folder_lock import process_space

HERE = f"{TEMPORARY}{process_space()}"


def test_images_of_a_killed_server_are_removed_and_those_of_a_running_one_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, own, other = (
        tmp_path / name for name in (f"{HERE}-{ended.pid}-a", f"{HERE}-{os.getpid()}-b", f"{TEMPORARY}mine")
    )
    for folder in (left, own, other):
        folder.mkdir()
        (folder / "image.png").write_bytes(b"an image")
    remove_abandoned()
    assert sorted(tmp_path.iterdir()) == sorted((own, other))


def test_images_of_a_server_in_another_container_stay_for_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    fresh, old = (tmp_path / f"{TEMPORARY}0123456789ab-{ended.pid}-{name}" for name in ("fresh", "old"))
    for folder, hours in ((fresh, 23), (old, 25)):
        folder.mkdir()
        (folder / "image.png").write_bytes(b"an image")
        os.utime(folder, (time.time() - 3600 * hours,) * 2)
    remove_abandoned()
    assert list(tmp_path.iterdir()) == [fresh]


def test_a_full_disk_is_reported_to_the_client(make_client, photo_file, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("limner.serving.uploads.shutil.copyfileobj", full)
    answer = make_client().post("/predict", files=[photo_file])
    assert answer.status_code == 500
    assert "no space left on the disk" in answer.text


def test_a_request_in_progress_has_a_folder_of_the_server(make_client, photo_file, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    seen = []

    def look(path, **options):
        seen.extend(folder.name for folder in place.iterdir())
        raise DataError(f"no image: {path}")

    monkeypatch.setattr("limner.serving.uploads.read_image", look)
    make_client().post("/predict", files=[photo_file])
    assert seen and all(name.startswith(f"{HERE}-{os.getpid()}-") for name in seen)
    assert not list(place.iterdir())
