"""Small jobs of every command that writes, each with how it is done again after a kill or on a full disk.

A job works in a folder of its own, on the data and the runs that `inputs` made. `content` returns what must
be equal in the end: every file, less the times in it.
"""

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from safetensors import safe_open
from task_data import TASK_DATA, settings_of

import limner
from limner.analysis import run_costs  # noqa: F401
from limner.api import (  # noqa: F401 - what the forked processes need
    browse,
    check,
    compare,
    compare_networks,
    convert,
    cross_validate,
    evaluate,
    explain,
    export,
    import_checkpoint,
    plan,
    predict,
    report,
    split,
    train,
    tune,
)
from limner.cli import app  # noqa: F401
from limner.core.plan_text import plan_to_yaml
from limner.inference.load_predictor import load_predictor
from limner.reporting import check_report, page, run_comparison  # noqa: F401
from limner.storage.own_outputs import write_own_file
from limner.storage.unfinished import UNFINISHED
from limner.training import fit_run, rate_test  # noqa: F401

SMALL = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}, "pretrained": "no"},
    "input": {"crop_size": [32, 32]},
    "train": {
        "steps": 6,
        "batch_size": 2,
        "save_every": 1,
        "validate_every": 2,
        "workers": 0,
        "trackers": [],
    },
}
COMPARED = {
    **SMALL,
    "network": {"name": "espnet", "pretrained": "no"},
    "train": {**SMALL["train"], "steps": 2},
}
IN_FOLDS = {**SMALL, "train": {**SMALL["train"], "steps": 2}}
"""Settings of trainings that take a second."""

LEFT_OUT = (".limner-files.json", "speed.json", ".limner-lock")
"""Files that are about times alone, and what a process leaves that is killed after its last file."""

TIMES = {"seconds", "peak", "time", "created", "sha256", "memory", "per", "speed"}
"""Words in names of values that differ between equal runs; files with hashes are compared themselves."""

rate_test.run_rate_test.__kwdefaults__["num_steps"] = 8


@dataclass(frozen=True)
class Job:
    """A command with its arguments.

    Attributes:
        start: Does the job in an empty folder, given that of the inputs.
        again: Does it again after an interruption; defaults to the same.
        output: What it writes, below its folder.
        copied: What of the inputs it changes, so that it gets a copy.
        timed: Names of outputs that have times in every part; they have to be there.
    """

    start: Callable[[Path], object]
    again: Callable[[Path], object] | None = None
    output: str = "out"
    copied: str = ""
    timed: tuple[str, ...] = ()


def inputs(folder: Path) -> None:
    """Write a dataset of discs, a finished run on it, and another one; corrections; and unlabelled images."""
    _write_discs(folder / "data")
    _write_unlabelled(folder / "unlabelled")
    _write_corrections(folder / "data", folder / "corrections")
    for name in ("run", "other"):
        settings = {**SMALL, "optimizer": {"learning_rate": 0.001 if name == "run" else 0.01}}
        limner.train(folder / "data", run=folder / name, settings=settings, device="cpu")


def task_names(folder: Path) -> list[str]:
    """Return the names of `TASK_DATA`."""
    return list(TASK_DATA)


def task_inputs(folder: Path, name: str) -> None:
    """Write the data of a task, and a finished run on it."""
    TASK_DATA[name].write(folder / name / "data")
    _train_on(name, folder, folder / name / "run")


def _write_discs(folder: Path, count: int = 12) -> None:
    draw = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rows, columns = np.mgrid[:40, :48]
    for n in range(count):
        disc = (rows - 12 - n) ** 2 + (columns - 30 + n) ** 2 < (7 + n % 4) ** 2
        noise = (draw.integers(0, 90, (40, 48, 3)) + 130 * disc[..., None]).astype(np.uint8)
        cv2.imwrite(str(folder / f"images/cell_{n:02}.png"), noise)
        cv2.imwrite(str(folder / f"masks/cell_{n:02}.png"), disc.astype(np.uint8) * 255)
    classes = "classes:\n- {name: background, value: 0}\n- {name: cell, value: 255}\n"
    (folder / "dataset.yaml").write_text(f"{classes}splits: {{val: 0.2, test: 0.2}}\n", "utf-8")


def _write_unlabelled(folder: Path) -> None:
    folder.mkdir()
    for n in range(4):
        noise = np.random.default_rng(90 + n).integers(0, 220, (40, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"new_{n}.png"), noise)


def _write_corrections(data: Path, folder: Path) -> None:
    """Write what a client sends: NAME is an image, and NAME.labels the numbers of its classes as a PNG."""
    folder.mkdir()
    for number, name in enumerate(("cell_00.png", "cell_01.png", "cell_02.png", "cell_01.bmp")):
        image = cv2.imread(str(data / f"images/cell_{number:02}.png"))
        assert cv2.imwrite(str(folder / name), image)
        mask = cv2.imread(str(data / f"masks/cell_{number:02}.png"), cv2.IMREAD_UNCHANGED)
        (folder / f"{name}.labels").write_bytes(cv2.imencode(".png", mask // 255)[1].tobytes())


def _is_unfinished(name: str = "out") -> bool:
    return Path(name, UNFINISHED).exists()


def _is_done() -> bool:
    """Tell whether a job was killed after its end, so that its folder would be refused as taken."""
    return any(path.is_file() for path in Path("out").rglob("[!.]*")) and not _is_unfinished()


def _convert(given: Path) -> None:
    _convert_to("voc", given / "data")


def _convert_to(name: str, data: Path) -> None:
    if not _is_done():
        limner.convert(data, "out", to=name, lossy=True, resume=_is_unfinished())


def _predict(given: Path) -> None:
    limner.predict(given / "run", given / "data/images", out="out", device="cpu", resume=_is_unfinished())


def _predict_shared(given: Path) -> None:
    limner.predict(given / "run", given / "data/images", out="out", device="cpu", processes=1)


def _predict_packed(given: Path) -> None:
    limner.predict(given / "run", given / "data/images", out="out", device="cpu", pack="tar")


def _train(given: Path) -> None:
    limner.train(given / "data", run=Path("out").absolute(), settings=SMALL, device="cpu")


def _train_on(name: str, given: Path, out: Path) -> None:
    data = given / name / "data"
    limner.train(data, run=out, task=TASK_DATA[name].task, settings=settings_of(name), device="cpu")


def _resumed(start: Callable[[Path], object]) -> Callable[[Path], object]:
    """Resume a training, or start again what was killed before it was prepared, as the messages say."""

    def again(given: Path) -> object:
        if Path("out/environment.json").is_file():
            return train.resume("out", device="cpu")
        return start(given)

    return again


def _task_jobs(name: str) -> "dict[str, Job]":
    """Return the jobs on the data of a task."""

    def trained(given: Path) -> None:
        _train_on(name, given, Path("out").absolute())

    def predicted(given: Path) -> None:
        data, run = given / name / "data", given / name / "run"
        limner.predict(run, data, out="out", device="cpu", resume=_is_unfinished())

    def evaluated(given: Path) -> None:
        limner.evaluate(given / name / "run", split="val", out="out", device="cpu")

    return {
        f"{name}: train": Job(trained, _resumed(trained), timed=("report.html",)),
        f"{name}: predict": Job(predicted),
        f"{name}: evaluate": Job(evaluated),
    }


def _plan(given: Path) -> None:
    Path("out").mkdir(exist_ok=True)
    made = limner.plan(given / "data", settings=SMALL, device="cpu")
    write_own_file(Path("out/plan.yaml"), plan_to_yaml(made), by="plan")


def _export(given: Path) -> None:
    limner.export(given / "run", to="torch", out="out/export", size=(32, 32))


def _import(given: Path) -> None:
    weights = given / "run/model/weights.safetensors"
    settings = {"network": {"options": SMALL["network"]["options"]}}
    options = {"task": "semantic", "network": "unet", "classes": ["background", "cell"], "settings": settings}
    for _ in range(2):  # the second replaces the first
        limner.import_checkpoint(weights, out="out/model", **options)


def _folds(given: Path) -> None:
    limner.cross_validate(
        given / "data", folds=2, run=Path("out").absolute(), settings=IN_FOLDS, device="cpu"
    )


def _correct(given: Path) -> None:
    """Send corrections as a client does that was not answered: again, and with `replace` if they are there.

    The last one replaces the second by another image of the same name.
    """
    from limner.serving.corrections import Corrections
    from limner.serving.refusal import Refusal
    from limner.serving.served_models import load_served_models
    from limner.serving.uploads import Upload

    sent = {path: path.with_name(f"{path.name}.labels") for path in _images_of(given / "corrections")}
    _refuse_mixed_pairs(sent)
    (model,) = models = load_served_models([given / "run"], device="cpu")
    kept = Corrections(Path("out").absolute())
    kept.refuse_unsuitable(models)
    with kept.held():
        for name in ("cell_00.png", "cell_01.png", "cell_02.png", "cell_01.bmp"):
            image = given / "corrections" / name
            uploads = Upload(name, image), Upload("labels.png", sent[image])
            try:
                kept.save(model, *uploads, replace=False)
            except Refusal:
                kept.save(model, *uploads, replace=True)


def _images_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[!.]*") if path.suffix != ".labels")


def _refuse_mixed_pairs(sent: dict[Path, Path]) -> None:
    """Fail if an image is in `out` with labels of another one, or is none of those that were `sent`."""
    labels_of = {image.read_bytes(): labels for image, labels in sent.items()}
    for image in _images_of(Path("out/images")):
        numbers = cv2.imread(str(labels_of[image.read_bytes()]), cv2.IMREAD_UNCHANGED)
        mask = Path("out/masks", f"{image.stem}.png")
        if mask.is_file():
            assert np.array_equal(cv2.imread(str(mask), cv2.IMREAD_UNCHANGED), numbers * 255), image


def _split(_: Path) -> None:
    limner.split("data", val=0.3, test=0.2, seed=1, overwrite=True)


def _tune(given: Path) -> None:
    limner.tune(given / "data", out="out", settings=SMALL, device="cpu")


def _compare_networks(given: Path) -> None:
    names = ["espnet", "enet"]
    limner.compare_networks(given / "data", names, out="out", settings=COMPARED, device="cpu")


def _explain(given: Path) -> None:
    image = given / "data/images/cell_03.png"
    options = {"class_name": "background", "point": (20, 20), "out": "out", "device": "cpu"}
    limner.explain(given / "run", image, **options)


def _predict_all_of_volumes(given: Path) -> None:
    data, run = given / "volumes/data", given / "volumes/run"
    also = {"probabilities": True, "animation": True, "sizes": True, "compare": data}
    limner.predict(run, data / "test", out="out", device="cpu", resume=_is_unfinished(), **also)


def _explain_volume(given: Path) -> None:
    predictor = load_predictor(given / "volumes/run", device="cpu", precision="float32")
    (image,) = (given / "volumes/data/val/images").glob("case2*")
    options = {"class_name": predictor.labels.names[-1], "point": (6, 5, 3), "out": "out"}
    limner.explain(predictor, image, **options)


def _browse(given: Path) -> None:
    Path("out").mkdir(exist_ok=True)
    limner.browse(given / "data", out="out/gallery.png")


def _draft(given: Path) -> None:
    options = {"to": "labelme", "resume": _is_unfinished(), "device": "cpu"}
    if not _is_done():
        limner.predict(given / "run", given / "data/images", out="out", **options)


def _predict_uncertain(given: Path) -> None:
    options = {"uncertain": 4, "resume": _is_unfinished(), "device": "cpu"}
    limner.predict(given / "run", given / "data/images", out="out", **options)


def _train_itself(given: Path) -> None:
    """Train on the dataset, and on what a finished run predicts in images without labels."""
    settings = {key: value for key, value in SMALL.items() if key != "network"}
    more = {"weights": given / "run", "unlabelled": given / "unlabelled"}
    limner.train(given / "data", run=Path("out").absolute(), settings=settings, device="cpu", **more)


def _check_page(given: Path) -> None:
    from limner.reporting.check_report import write_check_report

    Path("out").mkdir(exist_ok=True)
    write_check_report(limner.check(given / "data"), Path("out/check.html"))


JOBS = {
    "train": Job(_train, _resumed(_train), timed=("report.html",)),
    "predict": Job(_predict),
    "predict shared": Job(_predict_shared),
    "predict packed": Job(_predict_packed),
    "convert": Job(_convert),
    "webdataset": Job(lambda given: _convert_to("webdataset", given / "data")),
    "split": Job(_split, output="data", copied="data"),
    "evaluate": Job(
        lambda given: limner.evaluate("run", split="test", device="cpu"), output="run", copied="run"
    ),
    "evaluate --out": Job(lambda given: limner.evaluate(given / "run", out="out", device="cpu")),
    "report": Job(lambda given: limner.report("run"), output="run", copied="run"),
    "tune": Job(_tune),
    "compare-networks": Job(
        _compare_networks, timed=("report.html", "comparison.html", "comparison.csv", "comparison.svg")
    ),
    "compare": Job(lambda given: limner.compare([given / "run", given / "other"], out="out")),
    "explain": Job(_explain),
    "browse": Job(_browse),
    "check --page": Job(_check_page),
    "drafts": Job(_draft),
    "uncertain": Job(_predict_uncertain),
    "self-training": Job(_train_itself, _resumed(_train_itself), timed=("report.html",)),
    "plan": Job(_plan),
    "export": Job(_export, timed=("model.pt2",)),
    "import": Job(_import),
    "folds": Job(_folds, timed=("report.html",)),
    "corrections": Job(_correct),
    "volumes: predict everything": Job(_predict_all_of_volumes),
    "volumes: explain": Job(_explain_volume),
    "volumes: convert": Job(lambda given: _convert_to("nnunet-raw", given / "volumes/data")),
} | {name: job for task in TASK_DATA for name, job in _task_jobs(task).items()}


def prepare(folder: Path, job: str, given: str) -> None:
    """Copy the inputs that a job changes, without what it writes."""
    copied = JOBS[job].copied
    if not copied:
        return
    shutil.copytree(Path(given, copied), folder / copied)
    if job == "evaluate":
        shutil.rmtree(folder / copied / "evaluation/test")
    if job == "report":
        (folder / copied / "report.html").unlink()


def start(folder: Path, job: str, given: str) -> None:
    """Do a job."""
    JOBS[job].start(Path(given))


def again(folder: Path, job: str, given: str) -> None:
    """Do a job that was interrupted, or whose disk was full."""
    chosen = JOBS[job]
    (chosen.again or chosen.start)(Path(given))


def content(folder: Path, job: str) -> dict[str, str]:
    """Return the outputs of a job: file -> hash of its content less times."""
    root, timed = folder / JOBS[job].output, JOBS[job].timed
    files = {path.relative_to(root): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): "written" if name.name in timed else hashlib.sha256(_without_times(path)).hexdigest()
        for name, path in files.items()
        if name.name not in LEFT_OUT and "splits-before" not in name.parts
    }


def _without_times(path: Path) -> bytes:
    if path.suffix == ".safetensors":
        return _tensors(path)
    if path.name == "metrics.csv":
        return _values(path.read_text("utf-8"))
    if path.name == "plan.yaml":  # its comments tell how much memory was free
        lines = path.read_bytes().splitlines()
        return b"\n".join(line for line in lines if not line.strip().startswith(b"#"))
    if path.name in ("model.json", "export.json"):
        told = json.loads(path.read_bytes())
        return json.dumps(_less_times(told)).encode()
    return path.read_bytes()


def _less_times(value: object) -> object:
    """Leave out what is called a time, and hashes of files, which are compared themselves."""
    if isinstance(value, dict):
        return {key: _less_times(item) for key, item in value.items() if not TIMES & {*key.split("_")}}
    return value


def _tensors(path: Path) -> bytes:
    with safe_open(path, "np") as file:
        return b"".join(name.encode() + file.get_tensor(name).tobytes() for name in sorted(file.keys()))


def _values(text: str) -> bytes:
    """Return the rows of metrics.csv without their seconds, and without those that are times or memory."""
    rows = csv.reader(io.StringIO(text))
    kept = [
        (step, name, value)
        for step, _, name, value in rows
        if not TIMES & {*name.replace("/", "_").split("_")}
    ]
    return json.dumps(kept).encode()
