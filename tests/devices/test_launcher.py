"""Processes of a line of Python each: what they are told, and how all end when one does."""

import json
import os
import signal
import sys
import threading
import time

import pytest

from limner.devices.launcher import run_together

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")


def program(source):
    """The command of a program, without what slows the start of Python."""
    return [sys.executable, "-S", "-E", "-c", source]


@pytest.fixture
def _no_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("_no_threads")
def test_processes_are_told_their_ranks_and_one_address(tmp_path):
    source = f"import os, json; json.dump(dict(os.environ), open(f'{tmp_path}/' + os.environ['RANK'], 'w'))"
    assert run_together(program(source), 3, attempt=2) is None
    told = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(3)]
    for rank, found in enumerate(told):
        assert (found["RANK"], found["LOCAL_RANK"]) == (str(rank), str(rank))
        assert (found["WORLD_SIZE"], found["LOCAL_WORLD_SIZE"]) == ("3", "3")
        assert found["TORCHELASTIC_RESTART_COUNT"] == "2"
        assert int(found["OMP_NUM_THREADS"]) >= 1
    assert len({(found["MASTER_ADDR"], found["MASTER_PORT"]) for found in told}) == 1


def test_one_process_is_not_told_of_others(tmp_path):
    source = f"import os, json; json.dump(dict(os.environ), open('{tmp_path}/one', 'w'))"
    assert run_together(program(source), 1) is None
    told = json.loads((tmp_path / "one").read_text())
    assert "WORLD_SIZE" not in told or "WORLD_SIZE" in os.environ
    assert told["LIMNER_LAUNCHED"] == "1"


def test_the_first_one_that_fails_is_named_and_ends_the_others(tmp_path, capfd):
    source = (
        "import os, sys, time\n"
        "print('rank', os.environ['RANK'], flush=True)\n"
        f"if os.environ['RANK'] == '0': os.mkdir('{tmp_path}/printed')\n"
        "if os.environ['RANK'] == '1':\n"
        f"  while not os.path.exists('{tmp_path}/printed'): time.sleep(0.01)\n"
        "  print('out of memory', file=sys.stderr); sys.exit(3)\n"
        "time.sleep(60)"
    )
    began = time.monotonic()
    death = run_together(program(source), 3)
    assert time.monotonic() - began < 20
    assert (death.rank, death.count, death.code, death.exit_code) == (1, 3, 3, 3)
    assert death.lines == ("rank 1", "out of memory")
    assert not death.is_wanted
    assert capfd.readouterr().out == "rank 0\n"  # that of the first process, as it was printed


def test_processes_that_do_not_listen_are_killed(tmp_path):
    source = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open(f'{tmp_path}/' + os.environ['RANK'], 'w').write(str(os.getpid()))\n"
        f"while not os.path.exists('{tmp_path}/0'): time.sleep(0.01)\n"
        "if os.environ['RANK'] == '1': os.kill(os.getpid(), signal.SIGKILL)\n"
        "time.sleep(60)"
    )
    death = run_together(program(source), 2, patience=0.3)
    assert (death.rank, death.code, death.exit_code) == (1, -signal.SIGKILL, 137)
    assert "killed by SIGKILL" in death.how and "memory" in death.how
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "0").read_text()), 0)


def test_a_signal_is_passed_on_once_and_all_may_save(tmp_path):
    source = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: (time.sleep(0.2), sys.exit(130)))\n"
        f"open(f'{tmp_path}/' + os.environ['RANK'], 'w').close()\n"
        "time.sleep(60)"
    )

    def interrupt():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    death = run_together(program(source), 2)
    assert death.is_wanted and death.exit_code == 130
