"""Trainings in two processes, one of which is killed at a random moment, again and again until the end.

`python rank_kills.py FOLDER KILLS SEED` prints JSON: the number of kills, and the faults: a process that
does not end within a minute of the other's death, a run that cannot be resumed, weights that differ from
those of a training that nobody disturbed.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

import ranks

MOST_SECONDS = 60.0
"""How long the other process may live on."""


def weights(folder):
    return (folder / "run" / "model" / "weights.safetensors").read_bytes()


def disturb(folder, draw, seconds):
    """Start or resume the training, kill one process at a random moment; return kills and what was wrong."""
    pids = ranks.start_ranks(folder, "steady")
    victim = draw.randrange(2)
    time.sleep(draw.uniform(0, seconds))
    os.kill(pids[victim], signal.SIGKILL)  # ended or not: nobody has waited for it yet
    began = time.monotonic()
    codes = [ranks.wait(pid) for pid in pids]
    taken = time.monotonic() - began
    said = [(folder / f"steady-{rank}.txt").read_text("utf-8", "replace")[-2000:] for rank in (0, 1)]
    if taken > MOST_SECONDS:
        return codes, f"the other process lived on for {taken:.0f} s: {codes} {said}"
    if codes[victim] == -signal.SIGKILL and "Traceback" in said[1 - victim]:
        return codes, f"no message, but a traceback: {codes} {said}"
    return codes, ""


def main(folder, num_kills, seed):
    draw, kills, faults = random.Random(seed), 0, []
    whole = folder / "whole"
    whole.mkdir()
    began = time.monotonic()
    codes = ranks.run_ranks(whole, "steady")
    seconds = time.monotonic() - began
    assert codes[:2] == [0, 0], (whole / "steady-0.txt").read_text("utf-8")
    while kills < num_kills:
        place = folder / "broken"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        while kills < num_kills:
            codes, fault = disturb(place, draw, 1.2 * seconds)
            kills += -signal.SIGKILL in codes
            faults += [fault] if fault else []
            if codes == [0, 0]:
                break
        codes = ranks.run_ranks(place, "steady")
        if codes[:2] != [0, 0] or weights(place) != weights(whole):
            faults.append(f"seed {seed}, after {kills} kills: not the same weights, or {codes}")
    print(json.dumps({"kills": kills, "faults": faults}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
