"""Prediction of many images by several processes, here and on other hosts, which share one output folder.

Each process works on shards of the images, see `limner.storage.shard_ledger`. The results are those of one
process: the same files, and the same order in the files about all images.
"""

import glob
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from limner.api.image_writer import ImageWriter
from limner.api.prediction_result import Failure, PredictResult, json_and_csv
from limner.core.errors import ConfigError, DataError, LimnerError
from limner.core.progress import Track
from limner.devices.host import cores_of_each
from limner.images.read_image import read_image
from limner.inference.image_paths import ImagePath, image_rows
from limner.inference.reading_ahead import read_ahead
from limner.storage.file_states import file_state
from limner.storage.remote_files import address_of, is_remote
from limner.storage.shard_ledger import WAIT_SECONDS, ShardLedger, open_ledger, read_summary
from limner.storage.user_paths import user_path
from limner.storage.whole_files import guard_writes

BY = "predict"

THREADS = "OMP_NUM_THREADS"
"""Environment variable with the number of threads of a process."""


def predict_shared(
    writer: ImageWriter,
    named: Sequence[str | Path],
    *,
    compare: Path | str | None,
    processes: int,
    join: Callable[[], object],
    track: Track,
) -> PredictResult:
    """Predict images together with all processes that are given the same request and folder.

    Args:
        writer: Predicts and writes each image.
        named: The images, as users name them.
        compare: The labelled folder with their truth, or None.
        processes: Number of processes here; this one is the first of them.
        join: What another process calls to work too.
        track: Shows the progress of all processes.

    Raises:
        ConfigError: The folder holds something else, or the prediction of another request; or this one cannot
            be sent to other processes.
        DataError: There are no images.
        UnreachableError: A server fails; the same command continues.
        WriteError: A file cannot be written; the same command continues.
    """
    if processes > 1:
        _refuse_unsendable(join)
    root = writer.folder.root
    asked = writer.asked(_state_of_sources(named), compare)
    writer.predictor.share_cores(processes)
    ledger = open_ledger(root, asked, lambda: image_rows(named), by=BY)
    with _started(join, 0 if ledger is None else processes - 1) as helpers:
        if ledger is not None:
            for _ in track(_work(ledger, writer), "Predicting", ledger.head.num_items):
                pass
        num_lost = sum(helper.exitcode not in (None, 0) for helper in helpers)
    summary = read_summary(root, asked, by=BY)
    assert summary is not None, "the ledger is removed when its summary is written"
    return _result(root, summary, num_lost=num_lost)


def _work(ledger: ShardLedger, writer: ImageWriter) -> Iterator[None]:
    """Work on shards until all images are done, also those of other processes; yield once for each image."""
    shown = 0
    while not ledger.is_finished:
        _stop_without_parent()
        for _ in range(shown, ledger.num_done):  # by other processes
            shown += 1
            yield
        try:
            number = ledger.take()
            if number is not None:
                for _ in _predict_shard(ledger, number, writer):
                    shown += 1
                    yield
            elif not (ledger.is_done and _finish(ledger, writer)):
                time.sleep(WAIT_SECONDS)
        except FileNotFoundError:
            if not ledger.is_finished:
                raise
    yield from (None for _ in range(shown, ledger.head.num_items))


def _predict_shard(ledger: ShardLedger, number: int, writer: ImageWriter) -> Iterator[None]:
    """Predict the images of a shard, yield after each of them, and record the shard."""
    lines: list[dict[str, Any]] = []
    try:
        items = [ImagePath(Path(path), output) for path, output in ledger.rows(number)]
        for item, picture in read_ahead(items, lambda image: read_image(image.path)):
            written = _WrittenFiles(ledger.root)
            try:
                with guard_writes(written):
                    entry = writer.write(item, picture())
                lines.append({"item": item.output, "entry": entry, "files": [*written.sizes.items()]})
            except DataError as error:
                lines.append({"item": item.output, "path": str(item.path), "failed": str(error)})
            ledger.beat()
            yield
        ledger.commit(number, lines)
    except BaseException:
        ledger.release(number)
        raise


def _finish(ledger: ShardLedger, writer: ImageWriter) -> bool:
    """Write what is about all images, unless another process does; return whether this one did."""
    if not ledger.take_finish():
        return False
    try:
        written = writer.finish(_Entries(ledger))
        failures = [(line["path"], line["failed"]) for line in ledger.lines() if "failed" in line]
        ledger.finish(
            {
                "num_predicted": ledger.head.num_items - len(failures),
                "written": None if written is None else written.name,
                "failures": failures,
            }
        )
    except BaseException:
        ledger.release_finish()
        raise
    return True


class _Entries:
    """What was written about each image, in their order; read again each time."""

    def __init__(self, ledger: ShardLedger) -> None:
        self._ledger = ledger

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self._ledger.lines():
            self._ledger.beat()
            if "entry" in line:
                yield line["entry"]


class _WrittenFiles:
    """Notes the files that are written for an image, relative to the output folder, and their sizes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.sizes: dict[str, int] = {}

    def before(self, path: Path) -> None:
        """Allow every file: the folder holds nothing else."""

    def replacing(self, aside: Path, path: Path) -> None:
        """Note a written file."""
        self.sizes[path.relative_to(self._root).as_posix()] = aside.stat().st_size


def _result(root: Path, summary: Mapping[str, Any], *, num_lost: int) -> PredictResult:
    failures = tuple(Failure(Path(path), reason) for path, reason in summary["failures"])
    written = None if summary["written"] is None else root / summary["written"]
    tables = json_and_csv(written)
    return PredictResult(root, (), failures, *tables, summary["num_predicted"], num_lost=num_lost)


@contextmanager
def _started(join: Callable[[], object], number: int) -> Iterator[Sequence[SpawnProcess]]:
    """Start processes that work too; they are ended when the block is, since nothing is left to do then."""
    helpers: list[SpawnProcess] = []
    context = multiprocessing.get_context("spawn")
    try:
        with _fewer_threads(number + 1):
            for _ in range(number):
                helper = context.Process(target=_join, args=(join,))
                helper.start()
                helpers.append(helper)
        yield helpers
    finally:
        for helper in helpers:
            helper.terminate()
        for helper in helpers:
            helper.join()


@contextmanager
def _fewer_threads(processes: int) -> Iterator[None]:
    """Give processes that are started in the block their part of the cores, unless the user chose."""
    if THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = str(cores_of_each(processes))
    try:
        yield
    finally:
        del os.environ[THREADS]


def _join(join: Callable[[], object]) -> None:
    """Work in a process that was started for it; its error ends it with a message."""
    try:
        join()
    except LimnerError as error:
        raise SystemExit(str(error)) from None


def _stop_without_parent() -> None:
    """End a process that was started to help, and whose command was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit("The command that started this process has ended.")


def _refuse_unsendable(join: Callable[[], object]) -> None:
    """Refuse a request that cannot be sent to another process.

    Raises:
        ConfigError: It has an object or function in it.
    """
    try:
        pickle.dumps(join)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"The prediction cannot be sent to other processes ({error}). Pass the model by its path, and "
            "settings as an InferencePlan."
        ) from None


def _state_of_sources(named: Iterable[str | Path]) -> str:
    """Return what the user named, and a hash of the names in folders and of the states of single files.

    It is fast also for a million images, so that further processes join within seconds.
    """
    digest = blake2b(digest_size=8)
    places = []
    for one in named:
        address = address_of(str(one))
        is_there = address is not None and is_remote(Path(one))
        places.append(str(address) if is_there else str(user_path(one).absolute()))
        for line in () if is_there else _states(user_path(one)):
            digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return f"{', '.join(places)}, state {digest.hexdigest()}"


def _states(path: Path) -> Iterator[str]:
    if path.is_dir():
        for folder, folders, files in os.walk(path):
            folders.sort()
            yield folder
            yield from sorted(files)
    elif path.exists() or not glob.has_magic(str(path)):
        yield f"{path} {file_state(path)}"
    else:
        yield from (
            f"{match} {file_state(Path(match))}"
            for match in sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute
        )
