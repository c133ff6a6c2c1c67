"""Prediction of many images by several processes, here and on other hosts, which share one folder or address.

Each process works on shards of the images, see `limner.storage.shard_ledger`. The results are those of one
process: the same files, and the same order in the files about all images.
"""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from limner.api.image_writer import DESCRIBED, ImageWriter
from limner.api.prediction_packs import kind_of
from limner.api.prediction_result import Failure, PredictResult, json_and_csv
from limner.api.prediction_sinks import Destination, ShardSink, Sink, work_folder
from limner.api.ray_work import RayCluster, require_ray, work_on_ray
from limner.api.shared_work import num_lost, refuse_count, refuse_unsendable, started, work_on
from limner.core.errors import DataError
from limner.core.picture import Picture
from limner.core.progress import Track
from limner.images.read_image import read_image
from limner.inference.image_paths import ImagePath, image_rows
from limner.inference.reading_ahead import read_ahead
from limner.storage.file_states import file_state
from limner.storage.remote_files import is_remote
from limner.storage.remote_requests import address_of
from limner.storage.shard_ledger import ShardLedger, open_ledger, read_summary
from limner.storage.user_paths import user_path
from limner.storage.whole_files import guard_writes

BY = "predict"


@dataclass(frozen=True)
class Sharing:
    """How processes share the work.

    Attributes:
        destination: Where the results go.
        processes: Number of processes here, of which this one is the first, or of tasks on a cluster; None
            if the user did not choose.
        cluster: The cluster whose tasks work instead of processes here; None without.
    """

    destination: Destination
    processes: int | None
    cluster: RayCluster | None = None

    @property
    def is_shared(self) -> bool:
        """Whether the work is shared at all, if only with processes to come."""
        is_asked = self.processes is not None or self.cluster is not None
        return is_asked or not self.destination.is_plain

    @property
    def num_local(self) -> int:
        """Number of processes here that predict."""
        return 1 if self.processes is None or self.cluster is not None else self.processes


def sharing_of(destination: Destination, processes: int | None, ray: str | None, *, device: str) -> Sharing:
    """Return how the work is shared.

    Args:
        destination: Where the results go.
        processes: As in `Sharing`.
        ray: Address of a Ray cluster, or None.
        device: ``auto``, or a PyTorch device name.

    Raises:
        ConfigError: The number of processes is out of range.
        MissingPartError: Ray is not installed.
    """
    refuse_count(processes)
    if ray is not None:
        require_ray()
    return Sharing(destination, processes, None if ray is None else RayCluster(ray, processes, device))


def predict_shared(
    writer: ImageWriter,
    named: Sequence[str | Path],
    sharing: Sharing,
    *,
    join: Callable[[], object],
    compare: Path | str | None,
    track: Track,
) -> PredictResult:
    """Predict images together with all processes that are given the same request and folder.

    Args:
        writer: Predicts and writes each image; its folder is replaced by one for temporary files if results
            go elsewhere.
        named: The images, as users name them.
        sharing: How they share the work, and where results go.
        join: What another process calls to work too.
        compare: The labelled folder with their truth, or None.
        track: Shows the progress of all processes.

    Raises:
        ConfigError: The folder holds something else, or the prediction of another request; or this one cannot
            be sent to other processes.
        DataError: There are no images.
        UnreachableError: A server fails; the same command continues.
        WriteError: A file cannot be written; the same command continues.
    """
    destination, others = sharing.destination, sharing.num_local - 1
    if others or sharing.cluster is not None:
        refuse_unsendable(join, "Pass the model by its path, and settings as an InferencePlan.")
    asked = writer.asked(_state_of_sources(named), compare)
    asked |= {} if destination.pack is None else {"pack": destination.pack.suffix}
    writer.predictor.share_cores(sharing.num_local)
    with work_folder(destination) as work:
        writer = replace(writer, folder=replace(writer.folder, root=work))
        sink = Sink(destination, work, kinds=_kinds_of_files(writer))
        rows = partial(image_rows, named)
        ledger = open_ledger(destination.place, asked, rows, by=BY, min_shards=sink.min_shards)
        with started([] if ledger is None else [join] * others) as helpers:
            if ledger is not None:
                steps = _steps(ledger, writer, sink, join, sharing.cluster)
                for _ in track(steps, "Predicting", ledger.head.num_items):
                    pass
            lost = num_lost(helpers)
    summary = read_summary(destination.place, asked, by=BY)
    assert summary is not None, "the ledger is removed when its summary is written"
    return _result(Path(destination.place.where), summary, lost)


def _steps(
    ledger: ShardLedger,
    writer: ImageWriter,
    sink: Sink,
    join: Callable[[], object],
    cluster: RayCluster | None,
) -> Iterator[None]:
    """Work here, or wait for the tasks of a cluster; yield once for each image."""
    if cluster is not None:
        return work_on_ray(ledger, join, cluster)
    predict_shard = partial(_predict_shard, ledger, writer=writer, sink=sink)
    return work_on(ledger, predict_shard, partial(_sum_up, ledger, writer, sink))


def _kinds_of_files(writer: ImageWriter) -> tuple[str, ...]:
    """Return the kinds of the files that are written for each image."""
    files = writer.files(ImagePath(Path("image.png"), "image"))
    return tuple(kind_of(path.relative_to(writer.folder.root).as_posix(), "image") for path in files)


def _predict_shard(ledger: ShardLedger, number: int, writer: ImageWriter, sink: Sink) -> Iterator[None]:
    """Predict the images of a shard, yield after each of them, and record the shard."""
    lines: list[dict[str, Any]] = []
    items = [ImagePath(Path(path), output) for path, output in ledger.rows(number)]
    with sink.shard(number, ledger.beat) as shard:
        reduce = writer.predictor.reduce
        for item, picture in read_ahead(items, lambda image: read_image(image.path, reduce=reduce)):
            lines.append(_predict_image(item, picture, writer, shard))
            ledger.beat()
            yield
        lines[-1].setdefault("files", []).extend(shard.finish().items())
    ledger.commit(number, lines)


def _predict_image(
    item: ImagePath, picture: Callable[[], Picture], writer: ImageWriter, shard: ShardSink
) -> dict[str, Any]:
    """Predict an image, and return its line of the record."""
    written = _WrittenFiles(writer.folder.root)
    try:
        with guard_writes(written):
            entry = writer.write(item, picture())
        kept = shard.add(item, entry.pop(DESCRIBED, {}), written.sizes)
        return {"item": item.output, "entry": entry, "files": [*kept.items()]}
    except DataError as error:
        shard.fail(item, str(error))
        return {"item": item.output, "path": str(item.path), "failed": str(error)}


def _sum_up(ledger: ShardLedger, writer: ImageWriter, sink: Sink) -> dict[str, Any]:
    """Write the files about all images, and return the summary."""
    files = _WrittenFiles(writer.folder.root)
    with guard_writes(files):
        written = writer.finish(_Entries(ledger))
    sink.bring(files.sizes)
    failures = [(line["path"], line["failed"]) for line in ledger.lines() if "failed" in line]
    return {
        "num_predicted": ledger.head.num_items - len(failures),
        "written": None if written is None else written.name,
        "failures": failures,
    }


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
        if path.is_relative_to(self._root):  # not of a cache
            self.sizes[path.relative_to(self._root).as_posix()] = aside.stat().st_size


def _result(root: Path, summary: Mapping[str, Any], lost: int) -> PredictResult:
    failures = tuple(Failure(Path(path), reason) for path, reason in summary["failures"])
    written = None if summary["written"] is None else root / summary["written"]
    tables = json_and_csv(written)
    return PredictResult(root, (), failures, *tables, summary["num_predicted"], num_lost=lost)


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
