"""Fixtures that several folders share."""

import gc
import importlib.util
import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

# What takes seconds to import, PyTorch and limner, is imported by the fixtures: with pytest-xdist this file
# is read by another process too, which starts the workers and needs neither.

# A time limit of 0.2 s for each example would make tests fail on a busy machine.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")


def pytest_addoption(parser):
    parser.addoption(
        "--peers-required",
        action="store_true",
        help="a skipped peer test fails, unless for want of mmsegmentation, whose releases ended",
    )


def pytest_configure(config):
    # A shell starts background jobs with Ctrl-C ignored, which tests of interruptions and their children
    # need.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    gc.disable()  # almost all that importing makes stays
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish(session):
    # What importing made stays, and most of the rest frees itself: looking through both for garbage again and
    # again took a tenth of all time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    is_required = item.config.getoption("--peers-required") and item.get_closest_marker("peer")
    if is_required and report.skipped and "mmsegmentation" not in str(report.longrepr):
        report.outcome, report.longrepr = "failed", f"is required here, and was skipped: {report.longrepr}"
    return report


@pytest.fixture(autouse=True, scope="session")
def _brief():
    """Nothing waits for the disk, as no test cuts the power; how long a network takes is measured briefly."""
    from limner.planning import cost

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(cost, "_needs_another", lambda times: not times)
        yield


@pytest.fixture
def make_tree(tmp_path):
    """Write files below one folder, see `write_tree`; returns the folder."""
    root = tmp_path / "data"
    root.mkdir()
    return lambda files: write_tree(root, files)


def write_tree(root, files):
    """Write files: relative path -> array (an image, or NPY), text, or bytes."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif path.suffix == ".npy":
            np.save(path, np.asarray(content))
        else:
            Image.fromarray(np.asarray(content)).save(path)
    return root


@pytest.fixture
def two_labels():
    """Background is 0 and a cell is 255 in the mask files."""
    from limner.core.labels import LabelClass, LabelTable

    return LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell", (255,), (255, 0, 0))))


@pytest.fixture
def cells(tmp_path):
    """Six images with masks, for one test."""
    return draw_cells(tmp_path)


@pytest.fixture(scope="module")
def module_cells(tmp_path_factory):
    """The same for all tests of a module, which leave them as they are."""
    return draw_cells(tmp_path_factory.mktemp("cells"))


def draw_cells(folder):
    """Six images with 0/255 masks, named by their classes in dataset.yaml; cell_5 has no mask."""
    import cv2

    draw = np.random.default_rng(0)
    (folder / "data" / "images").mkdir(parents=True)
    (folder / "data" / "masks").mkdir()
    for number in range(6):
        image = draw.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "data" / "images" / f"cell_{number}.png"), image)
        mask = (image[..., 0] > 128).astype(np.uint8) * 255
        if number < 5:
            cv2.imwrite(str(folder / "data" / "masks" / f"cell_{number}.png"), mask)
    (folder / "data" / "dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: cell, value: 255}\n", "utf-8"
    )
    return folder / "data"


@pytest.fixture
def tiny_plan(two_labels):
    """Makes the plan of a U-Net of some hundred weights, in 2D or 3D."""
    from limner.core.plan import (
        DataPlan,
        InferencePlan,
        InputPlan,
        NetworkPlan,
        OptimizerPlan,
        Plan,
        TrainPlan,
    )

    def make(*, labels=two_labels, channels=3, spatial_dims=2, data="data", **inference):
        return Plan(
            data=DataPlan(path=str(data), format="paired-folders", num_images={}, labels=labels.to_dict()),
            network=NetworkPlan(name="unet", options={"widths": [4, 6]}),
            input=InputPlan(
                spatial_dims=spatial_dims,
                channels=channels,
                crop_size=(64,) * spatial_dims,
                mean=(100.0,) * channels,
                std=(50.0,) * channels,
            ),
            optimizer=OptimizerPlan(learning_rate=0.001),
            train=TrainPlan(steps=1, batch_size=1, validate_every=1, save_every=1),
            inference=InferencePlan(**inference),
        )

    return make


@pytest.fixture
def tiny_model(tiny_plan):
    """Makes a model with random weights, the same ones each time, in evaluation mode."""
    import torch

    from limner.weights.model import Model

    def make(**plan):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Model.from_plan(tiny_plan(**plan)).eval()

    return make


@dataclass(frozen=True)
class Ended:
    """A command as `subprocess.run` returns it."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command_line(monkeypatch, capsys):
    """Run `limner WORDS` in this process; one of its own would take seconds to load PyTorch."""
    from limner.cli import console
    from limner.cli.app import main

    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # as the command sets it, and takes back here

    def run(*words):
        for one in (console.console, console.messages):
            one.cache_clear()
        monkeypatch.setattr(sys, "argv", ["limner", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data, which not every machine has."""
    repository = Path(__file__).parents[1]
    default = repository.parent / "shared" / "data"
    folder = Path(os.environ.get("LIMNER_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; name it with LIMNER_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def authors_names():
    """Lists what Mask2Former's authors call the tensors of a network."""
    path = Path(__file__).parent / "weights" / "authors_names.py"
    spec = importlib.util.spec_from_file_location("authors_names", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.authors_names


@pytest.fixture(scope="session")
def authors_state(authors_names):
    """Makes the tensors of a very small Mask2Former by the authors' names; the network is there too."""
    import torch

    from limner.networks import build_network
    from limner.weights.renaming import our_name
    from limner.weights.sources.queries.mask2former_names import DETECTRON2

    @cache
    def make(num_classes=3):
        torch.manual_seed(0)
        network = build_network(
            "mask2former",
            num_classes=num_classes,
            backbone="resnet18",
            backbone_norm="frozen",
            channels=32,
            pixel_layers=1,
            decoder_layers=1,
            num_queries=5,
            pixel_feedforward=16,
            decoder_feedforward=16,
        ).eval()
        ours = network.state_dict()
        names = authors_names(resnet=((2, 2, 2, 2), 2), pixel_layers=1, decoder_layers=1)
        return {name: ours[our_name(name, DETECTRON2)] for name in names}, network

    def fresh(num_classes=3):  # a table of its own for each test, which may take tensors out
        state, network = make(num_classes)
        return dict(state), network

    return fresh


@pytest.fixture
def authors_file(authors_state, tmp_path):
    """Makes a .pkl like those of the authors, with changed tensors."""

    def make(name="model_final.pkl", num_classes=3, **changed):
        state, _ = authors_state(num_classes)
        state = {key: value for key, value in (state | changed).items() if value is not None}
        path = tmp_path / name
        arrays = {key: value.numpy() for key, value in state.items()}
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "MaskFormer"}))
        return path

    return make


KILLED = """
import importlib, json, os, signal, sys
import limner
from limner.storage import whole_files

move = whole_files.move_file

def kill_at(number, after):
    count = 0
    def moved(aside, path):
        nonlocal count
        count += 1
        if count < number or after:
            move(aside, path)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
    whole_files.move_file = moved

for line in sys.stdin:
    asked, ends = json.loads(line), []
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    for number, after, verb, arguments, options in asked["commands"]:
        importlib.import_module(f"limner.api.{verb}")
        if verb == "predict":
            limner.load(arguments[0], device="cpu")  # imports what the children need
        if os.fork() == 0:
            os.dup2(2, 1)
            kill_at(number, after)
            getattr(limner, verb)(*arguments, **options)
            os._exit(0)
        ends.append(os.wait()[1])
    print(json.dumps(ends), flush=True)
"""
"""Runs commands, each in its own process, which is killed before or after its n-th file gets its name."""


@pytest.fixture(scope="session")
def kill():
    """Run (n-th file, whether after its renaming, verb, arguments, options), each until it is killed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", KILLED], **pipes) as process:

        def run(*commands):
            asked = {"commands": commands, "environment": dict(os.environ), "folder": str(Path.cwd())}
            print(json.dumps(asked), file=process.stdin, flush=True)
            assert json.loads(process.stdout.readline()) == [signal.SIGKILL] * len(commands), commands

        yield run
