import json
import os

import pytest

from limner.storage.folder_lock import this_process
from limner.storage.shared_folder import DiskFolder
from limner.storage.work_claims import BEAT_SECONDS, EMPTY_SECONDS, SILENT_SECONDS, WorkClaims


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def take(claims, part="7"):
    return claims.try_take(part, claims.latest().get(part))


def write_claim(folder, **changed):
    """A claim on part 7 as another process leaves it."""
    (folder / "7.0").write_text(json.dumps(this_process("") | changed), "utf-8")


ELSEWHERE = {"host": "elsewhere", "boot": "another", "space": "another"}


def test_one_process_has_a_part_until_it_gives_it_back(tmp_path):
    one, two = WorkClaims(DiskFolder(tmp_path)), WorkClaims(DiskFolder(tmp_path))
    assert take(one) and not take(two) and take(two, "8")
    one.release("7")
    assert take(two)


def test_a_process_that_ended_here_is_replaced_at_once_and_once_only(tmp_path):
    write_claim(
        tmp_path, started="long ago"
    )  # its number is that of this process, which began at another time
    one, two = WorkClaims(DiskFolder(tmp_path)), WorkClaims(DiskFolder(tmp_path))
    seen = two.latest()["7"]
    assert take(one)
    assert not two.try_take("7", seen)  # it looked before the other took over
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7.0", "7.1"]


def test_a_host_that_was_started_anew_runs_none_of_its_processes(tmp_path):
    write_claim(tmp_path, boot="before", space="before")
    assert take(WorkClaims(DiskFolder(tmp_path)))


def test_another_host_is_believed_until_it_is_silent(tmp_path, clock):
    write_claim(tmp_path, **ELSEWHERE)
    claims = WorkClaims(DiskFolder(tmp_path), clock=clock)
    assert not take(claims)
    clock.now = SILENT_SECONDS - 1
    os.utime(tmp_path / "7.0", (5, 5))  # a sign of life, by a clock that is decades behind
    assert not take(claims)
    clock.now += SILENT_SECONDS - 1
    assert not take(claims)
    clock.now += 2
    assert take(claims)


def test_an_empty_claim_is_one_that_is_being_written(tmp_path, clock):
    (tmp_path / "7.0").touch()
    claims = WorkClaims(DiskFolder(tmp_path), clock=clock)
    assert not take(claims)
    clock.now = EMPTY_SECONDS + 1
    assert take(claims)


def test_a_working_process_renews_its_claims(tmp_path, clock):
    claims = WorkClaims(DiskFolder(tmp_path), clock=clock)
    assert take(claims)
    os.utime(tmp_path / "7.0", (5, 5))
    claims.beat()
    assert (tmp_path / "7.0").stat().st_mtime == 5
    clock.now = BEAT_SECONDS
    claims.beat()
    assert (tmp_path / "7.0").stat().st_mtime > 1e9


def test_claims_of_finished_work_are_gone(tmp_path):
    with pytest.raises(FileNotFoundError):
        WorkClaims(DiskFolder(tmp_path / "gone")).latest()
