"""Trainings in two processes, forked from this one, which has imported everything.

``python ranks.py FOLDER NAME ...``: each name is a function below. Both processes call it, as if
`limner train --devices 2` had started them, and each prints into ``FOLDER/NAME-RANK.txt``. Names with ``+``
between them run at the same time. How they ended is printed as JSON: name -> exit codes, seconds.
"""

import atexit
import errno
import itertools
import json
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path

import tiny_run
import torch
import torch._dynamo
import torch.distributed.fsdp
import torch.distributed.nn
import torch.distributed.tensor

import limner.api.train  # noqa: F401 - what the forked processes need
from limner.api import evaluate  # noqa: F401
from limner.cli import app
from limner.core.errors import LimnerError, StoppedBySignal
from limner.core.run_folder import RunFolder
from limner.devices.launcher import environment_of
from limner.loading.dataset import Dataset
from limner.training import checkpoints, fit, process_watch
from limner.training.budget import Budget
from limner.training.checkpoints import Checkpoints
from limner.training.learner import Learner
from limner.training.loop import Loop
from limner.training.sharded_model import is_sharded, local_part
from limner.weights.tensors import tensors_hash

SECONDS = 120
"""Longest scenario."""

SOON = (0.1, 3.0, 4.0, 60.0, 1.0)
"""Times of a watch that a test can wait for."""

learners = []
"""What trained in this process, in order."""

PLAIN = {
    "optimizer": {"name": "sgd"},
    "augment": {"scale": (1.0, 1.0)},
    "train": {"ema_decay": 0.9, "steps": 8, "gradient_clip": 1.0, "validate_every": 2},
}
"""SGD, since Adam would make a whole step of a rounding error where the gradient is near zero; without zoom,
which leaves ignored borders: a mean of means is the mean only over equally many pixels."""

BATCHES = {
    "even": {"batch_size": 4},
    "uneven": {"batch_size": 5},
    "parts": {"batch_size": 6, "accumulate": 3},
    "uneven_parts": {"batch_size": 5, "accumulate": 5},
}


def plan_of(batch, **train):
    """A plan for one process and for two."""
    return tiny_run.tiny_plan(**{**PLAIN, "train": {**PLAIN["train"], **BATCHES[batch], **train}})


def exact(folder, rank):
    """Train with several batches, without batch norm and dropout, which differ between processes."""
    for batch in BATCHES:
        tiny_run.run_tiny(folder / batch, plan_of(batch), plain=True)


def resumed(folder, rank):
    """Go on with a run that one process has begun."""
    tiny_run.run_tiny(folder / "begun", plan_of("uneven"), plain=True, resume=True)


def old(folder, rank):
    """Go on with a run of two processes that had a batch of 2 each, as an early version saved it."""
    tiny_run.run_tiny(folder / "old", old_plan(), plain=True, resume=True)


def old_plan():
    return tiny_run.tiny_plan(**{**PLAIN, "train": {**PLAIN["train"], "batch_size": 2}})


def sharded(folder, rank):
    """Train with the model divided between the processes, with several batches, and count what each holds."""
    for batch in BATCHES:
        learners.clear()
        plan = plan_of(batch, sharding="full")
        tiny_run.run_tiny(folder / f"sharded_{batch}", plan, build=tiny_run.BlockNetwork)
    (learner,) = learners
    tensors = [value for name, value in learner._tensors().items() if name.startswith("model/network")]
    print("holds", sum(local_part(value).numel() for value in tensors if is_sharded(value)))


def sharded_and_resumed(folder, rank):
    """Go on with a run of one process, with a divided model, and stop another one in the middle."""
    plan = plan_of("uneven", sharding="full")
    tiny_run.run_tiny(folder / "begun_alone", plan, build=tiny_run.BlockNetwork, resume=True)
    network = disturbed(rank, 1, stop_this_process, base=tiny_run.BlockNetwork)
    with suppress(StoppedBySignal):
        tiny_run.run_tiny(folder / "begun_sharded", plan, network=network)
        raise AssertionError("nothing stopped it")


def sharded_again(folder, rank):
    """As `again`, with a divided model and an optimizer with more state."""
    plan = tiny_run.tiny_plan(train={**PLAIN["train"], "batch_size": 4, "sharding": "full"})
    tiny_run.run_tiny(folder / "sharded_whole", plan, build=tiny_run.BlockNetwork)
    network = disturbed(rank, 1, stop_this_process, base=tiny_run.BlockNetwork)
    with suppress(StoppedBySignal):
        tiny_run.run_tiny(folder / "sharded_stopped", plan, network=network)
        raise AssertionError("nothing stopped it")
    tiny_run.run_tiny(folder / "sharded_stopped", plan, build=tiny_run.BlockNetwork, resume=True)


def agreement(folder, rank):
    """Train where the processes could disagree, and print what each thinks."""
    still = tiny_run.tiny_plan(
        optimizer={"learning_rate": 1e-9}, train={"steps": 12, "validate_every": 2, "early_stopping": 2}
    )
    think("stops early", tiny_run.run_tiny(folder / "early", still, plain=True))
    train = Loop.run

    def note_average(loop):
        outcome = train(loop)
        averages = {n: t for n, t in learners[-1].tensors().items() if n.startswith("average")}
        print("thinks: the average is", tensors_hash(averages))
        return outcome

    Loop.run = note_average
    timed = tiny_run.tiny_plan(train={"minutes": 0.03, "steps": 40, "ema_decay": 0.9, "workers": 0})
    for jumping in (0, 1):
        fit.Budget = partial(Budget, clock=jumping_clock(jumps=rank == jumping))
        think(f"clock {jumping} jumps", tiny_run.run_tiny(folder / f"jump_{jumping}", timed))


def think(what, result):
    print(
        "thinks:", what, result.steps, result.best_step, result.stopped_early, sorted(result.scores.items())
    )


def jumping_clock(*, jumps):
    """A clock that may jump ahead an hour in the middle of a run, as that of a machine that was suspended."""
    calls = itertools.count()
    return lambda: time.monotonic() + 3600 * (jumps and next(calls) > 30)


def again(folder, rank):
    """Train to the end, and once more with a signal to one process, after which a checkpoint is damaged."""
    plan = tiny_run.tiny_plan(train={"steps": 12, "batch_size": 4, "save_every": 2})
    tiny_run.run_tiny(folder / "whole", plan)
    with suppress(StoppedBySignal):
        tiny_run.run_tiny(folder / "stopped", plan, network=disturbed(rank, 1, stop_this_process))
        raise AssertionError("nothing stopped it")
    last = Checkpoints(RunFolder(folder / "stopped")).last
    if rank == 0:
        last.write_bytes(last.read_bytes()[:-100])
    torch.distributed.barrier()
    tiny_run.run_tiny(folder / "stopped", plan, resume=True)


def command(folder, rank):
    """Run the command line on images."""
    os.chdir(folder)
    settings = ("network.name=unet", "network.options.widths=[4,6]", "input.crop_size=[32,32]")
    settings += ("train.steps=2", "train.batch_size=2", "train.workers=0", "train.trackers=[]")
    sys.argv = ["limner", "train", "data", "--run", "run", "--device", "cpu", "--devices", "2"]
    sys.argv += [f"--set={setting}" for setting in settings]
    app.main()


def second(folder, rank):
    """Train in a folder that another process holds."""
    process_watch.Pace.__init__.__defaults__ = SOON
    tiny_run.run_tiny(folder / "held", tiny_run.tiny_plan())


def out_of_memory(folder, rank):
    """Memory runs out in the second process."""

    def fail():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    fail_in(folder / "out_of_memory", rank, 1, fail)


def hang(folder, rank):
    """The second process sleeps for ever."""
    fail_in(folder / "hang", rank, 1, lambda: time.sleep(SECONDS))


def hang_sharded(folder, rank):
    """The same with a sharded model, for whose weights the first process waits at the same step."""
    process_watch.Pace.__init__.__defaults__ = SOON
    network = disturbed(rank, 1, lambda: time.sleep(SECONDS), base=tiny_run.BlockNetwork)
    tiny_run.run_tiny(folder / "hang_sharded", failing_plan(sharding="full"), network=network)


def killed(folder, rank):
    """The second process is killed."""
    fail_in(folder / "killed", rank, 1, lambda: os.kill(os.getpid(), signal.SIGKILL))


def first_killed(folder, rank):
    """The first process is killed, through which the others talk."""
    fail_in(folder / "first_killed", rank, 0, lambda: os.kill(os.getpid(), signal.SIGKILL))


def no_data(folder, rank):
    """The server of the second process's images answers ten times, then never again."""
    read, calls = Dataset.__getitem__, []

    def answer(dataset, index):
        calls.append(index)
        if rank == 1 and len(calls) > 10:
            time.sleep(SECONDS)
        return read(dataset, index)

    Dataset.__getitem__ = answer
    fail_in(folder / "no_data", rank, None, None)


def slow_data(folder, rank):
    """The server of the second process's images is slow."""
    read = Dataset.__getitem__

    def answer(dataset, index):
        time.sleep(0.1 * rank)
        return read(dataset, index)

    Dataset.__getitem__ = answer
    fail_in(folder / "slow_data", rank, None, None)


def full_disk(folder, rank):
    """The disk of the first process is full when it writes its second checkpoint."""
    save, calls = checkpoints.save_file, []

    def fail(*given):
        calls.append(given)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*given)

    checkpoints.save_file = fail
    fail_in(folder / "full_disk", rank, None, None)


def full_disk_elsewhere(folder, rank):
    """The disk of the second process is full, which writes nothing."""
    if rank == 1:
        checkpoints.save_file = None
    fail_in(folder / "full_disk_elsewhere", rank, None, None)


def steady(folder, rank):
    """Train, or go on, for a time in which the processes can be killed at any moment."""
    process_watch.Pace.__init__.__defaults__ = SOON
    plan = tiny_run.tiny_plan(train={"steps": 60, "save_every": 5, "validate_every": 10, "ema_decay": 0.9})
    tiny_run.run_tiny(folder / "run", plan, resume=(folder / "run").exists())


def fail_in(run, rank, failing, do):
    """Train, and do something in the fifth step of one process."""
    process_watch.Pace.__init__.__defaults__ = SOON
    tiny_run.run_tiny(run, failing_plan(), network=disturbed(rank, failing, do))


def failing_plan(**train):
    return tiny_run.tiny_plan(
        train={"steps": 8, "save_every": 2, "validate_every": 100, "workers": 0, **train}
    )


def disturbed(rank, failing, do, *, base=tiny_run.TinyNetwork):
    """A network that does something in its fifth training pass in one process."""

    class Disturbed(base):
        passes = 0

        def forward(self, images):
            self.passes += self.training
            if self.training and self.passes == 5 and rank == failing:
                do()
            return super().forward(images)

    torch.manual_seed(1)
    return Disturbed()


def stop_this_process():
    os.kill(os.getpid(), signal.SIGTERM)


def start_ranks(folder, name, count=2):
    """Fork the processes, and return their ids."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    return [fork(folder, name, rank, environment_of(rank, count, port, 0)) for rank in range(count)]


def run_ranks(folder, name):
    """Fork the processes, and return their exit codes and the seconds until the last one ended."""
    return run_together(folder, [name])[name]


def run_together(folder, names):
    """Run scenarios at the same time; return name -> exit codes, and the seconds until all of it ended."""
    began = time.monotonic()
    started = {name: start_ranks(folder, name) for name in names}
    return {name: [*map(wait, pids), time.monotonic() - began] for name, pids in started.items()}


def fork(folder, name, rank, environment):
    pid = os.fork()
    if pid:
        return pid
    out = os.open(folder / f"{name}-{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(environment)
    atexit.register(tiny_run.print_threads)  # after everything that is registered later
    code = 0
    try:
        globals()[name](folder, rank)
    except LimnerError as error:
        print(f"limner: {error}")
        code = 2
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    learners.clear()  # which hold the group
    atexit._run_exitfuncs()  # the rest of a usual end takes seconds, for modules of the other process
    sys.stdout.flush()
    os._exit(code)


def wait(pid):
    end = time.monotonic() + SECONDS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            return f"still running after {SECONDS} s, status {os.waitpid(pid, 0)[1]}"
        time.sleep(0.02)


def note_learners():
    """Let `learners` have every learner that is built."""
    build = Learner.__init__

    def noted(learner, *arguments, **options):
        learners.append(learner)
        build(learner, *arguments, **options)

    Learner.__init__ = noted


if __name__ == "__main__":
    torch.set_num_threads(1)
    note_learners()
    folder, *groups = sys.argv[1:]
    ended = {}
    for names in groups:
        ended |= run_together(Path(folder), names.split("+"))
    print(json.dumps(ended))
