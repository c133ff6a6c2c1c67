"""What limner does on an accelerator: checks and figures in one unattended run of at most ten minutes.

    make gpu-check                                      # prints the table, and writes it to gpu_check.md
    python benchmarks/gpu_check.py                      # prints it; exits with 1 if a check fails
    python benchmarks/gpu_check.py --dry --device cpu   # in small on a CPU: does the check itself work?
    python benchmarks/gpu_check.py --only waiting kernel

Nothing is downloaded: networks have random weights, and images are drawn. limner's libraries must be there,
not limner itself; what is missing is a failure with the line that installs it.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import prod
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY / "benchmarks")]

# ruff: noqa: E402 - found by these paths
from gpu_cases import (
    DENSE,
    MATCHED,
    Setting,
    Step,
    batch_of,
    draw_images,
    fast_format,
    plan_of,
    without,
)

from limner.devices.exam import Exam
from limner.devices.installation import required_part_exam

LIMIT_SECONDS = 8.5 * 60
"""No check begins later than this; the longest takes about a minute."""

PASSED, FAILED, FIGURE, SKIPPED = "passed", "FAILED", "figure", "not run"

BOUNDS = {"float32": 1e-3, "float32 fast": 2e-2, "bfloat16": 1e-1, "float16": 2e-2}
"""Largest error of logits in each precision, by the largest logit: the mantissa has 24, 11, 8 and 11 bits."""

KERNEL_SHAPES = ((8, 3, 4, 32), (8, 4, 4, 32), (8, 1, 8, 64), (4, 3, 4, 16))
"""Heads, levels, points, and channels of a head; the first two are RT-DETR's and Deformable DETR's."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    part: str
    what: str
    found: str
    state: str


def missing_libraries() -> list[Row]:
    """Return a row for each library that is missing or too old."""
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    block = re.search(r"\ndependencies = \[\n(.*?)\n\]", text, re.DOTALL)
    assert block is not None, "pyproject.toml lists the dependencies"
    exams = map(required_part_exam, re.findall(r'^    "([^"]+)"', block[1], re.MULTILINE))
    return [_row_of(exam) for exam in exams if exam.state == "broken"]


def _row_of(exam: Exam) -> Row:
    state = {"broken": FAILED, "good": PASSED}.get(exam.state, FIGURE)
    return Row("doctor", exam.name, f"{exam.found} ({exam.fix})" if exam.fix else exam.found, state)


def check_doctor(setting: Setting) -> Iterator[Row]:
    """What `limner doctor` says of the accelerator, and what it finds broken."""
    from limner.api.doctor import doctor

    diagnosis = doctor()
    for exam in diagnosis.exams:
        if exam.group == "accelerator" or exam.state == "broken":
            yield _row_of(exam)
    yield Row("doctor", "verdict", diagnosis.verdict, PASSED if diagnosis.is_healthy else FAILED)


def check_steps(setting: Setting) -> Iterator[Row]:
    """Two steps of every task have finite losses and gradients in the device's precision."""
    precision, small = fast_format(setting), replace(setting, is_dry=True)
    for case in (*DENSE, *MATCHED):
        step = Step(plan_of(case, small, precision=precision), small)
        step()
        result = step()
        loss, norm = float(result.losses["total"]), float(result.gradient_norm)
        is_good = bool(result.is_finite()) and norm > 0
        found = f"loss {loss:.4g}, gradient norm {norm:.4g}, {precision}"
        yield Row("steps", f"{case[0]}, {case[1]}", found, PASSED if is_good else FAILED)


def check_waiting(setting: Setting) -> Iterator[Row]:
    """The host queues a step without waiting for the device."""
    import torch

    precision, small = fast_format(setting), replace(setting, is_dry=True)
    for case in DENSE:
        what = f"{case[0]}, {case[1]}"
        if not torch.cuda.is_available() or not setting.is_accelerator:
            yield Row("waiting", what, "PyTorch can watch for it on CUDA and ROCm only", SKIPPED)
            continue
        if precision == "float16":
            yield Row("waiting", what, "the gradient scaler of float16 reads its scale", SKIPPED)
            continue
        step = Step(plan_of(case, small, precision=precision), small, pinned=True)
        step()  # kernels are chosen
        torch.cuda.set_sync_debug_mode("error")
        try:
            step()
            yield Row("waiting", what, "a step queues all its work without waiting", PASSED)
        except RuntimeError as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            found = f"{str(error).splitlines()[0]} at {Path(place.filename).name}:{place.lineno}"
            yield Row("waiting", what, found, FAILED)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def check_precision(setting: Setting) -> Iterator[Row]:
    """Outputs and gradients in each precision, against float32 on the CPU."""
    import torch

    from limner.devices.machine import examine
    from limner.devices.precision import fast_float32

    small = replace(setting, is_dry=True)
    expected = _logits_and_gradient(small, "float32", device="cpu")
    machine = examine(setting.device)
    formats = {"bfloat16": machine.fast_bfloat16 or setting.is_dry, "float16": machine.fast_float16}
    contexts = {
        "float32": lambda: torch.backends.cudnn.flags(enabled=True, allow_tf32=False),  # the default has TF32
        "float32 fast": lambda: fast_float32(torch.device(setting.device)),
    }
    for name in (*contexts, *(name for name, is_fast in formats.items() if is_fast)):
        with contexts.get(name, nullcontext)():
            found = _logits_and_gradient(small, name.split()[0], device=setting.device)
        errors = [
            float((mine - theirs).abs().max() / theirs.abs().max())
            for mine, theirs in zip(found, expected, strict=True)
        ]
        text = f"largest error {errors[0]:.1g} of logits, {errors[1]:.1g} of the first gradient"
        yield Row("precision", name, text, PASSED if errors[0] <= BOUNDS[name] else FAILED)


def _logits_and_gradient(setting: Setting, precision: str, *, device: str) -> list:
    """Return logits, and the gradient of the first weight, in float32 on the CPU."""
    import torch

    from limner.devices.precision import precision_context
    from limner.weights.model import Model

    plan = plan_of(DENSE[0], setting)
    torch.manual_seed(0)
    model, images = Model.from_plan(plan).to(device), batch_of(plan).images.to(device)
    with precision_context(torch.device(device), precision):
        logits = model(images).logits.float()
    logits.square().mean().backward()
    weight = next(p for p in model.parameters() if p.grad is not None)
    return [logits.detach().cpu(), weight.grad.float().cpu()]


def check_kernel(setting: Setting) -> Iterator[Row]:
    """The Triton kernel of deformable attention equals PyTorch's operators, and how fast it is."""
    import torch

    from limner.devices.backends import compiles_triton
    from limner.layers.deformable_attention import sum_by_operators

    device = torch.device(setting.device)
    if not compiles_triton(device):
        yield from _compiled_for_others(setting)
        return
    from limner.layers.deformable_attention_kernel import try_kernel

    for heads, levels, points, depth in KERNEL_SHAPES:
        trial = try_kernel(sum_by_operators, device, heads=heads, levels=levels, points=points, depth=depth)
        what = f"{heads} heads of {depth} channels, {levels} levels, {points} points"
        used = "used" if trial.is_better else "not used"
        state = PASSED if trial.is_equal else FAILED
        yield Row("kernel", what, f"{trial.reason}; {used}", state)


def _compiled_for_others(setting: Setting) -> Iterator[Row]:
    """Without a device for Triton, compile the kernels for GPUs, which needs none of them."""
    if find_spec("triton") is None:
        yield Row("kernel", "deformable attention", "Triton is not installed", SKIPPED)
        return
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from limner.layers import deformable_attention_kernel as kernel

    numbers = dict(zip(("heads", "num_levels", "num_points", "depth"), KERNEL_SHAPES[0], strict=True))
    numbers |= {"padded": 32, "block": kernel.BLOCK}
    types = {"levels": "*i32", "num_rows": "i32", "num_queries": "i32", "num_pixels": "i32"}
    for target in (GPUTarget("cuda", 80, 32), GPUTarget("cuda", 90, 32), GPUTarget("hip", "gfx942", 64)):
        for function in (kernel._sum_forward, kernel._sum_backward):
            names = function.arg_names
            signature = {name: "constexpr" if name in numbers else types.get(name, "*fp32") for name in names}
            constants = {(names.index(name),): number for name, number in numbers.items()}
            made = triton.compile(ASTSource(function, signature, constants), target=target)
            found = f"{function.__name__.strip('_')}: {len(made.asm[list(made.asm)[-1]])} bytes of code"
            yield Row("kernel", f"compiled for {target.backend} {target.arch}, not run", found, PASSED)


def check_run(setting: Setting) -> Iterator[Row]:
    """A whole run on drawn images: it learns, and its report names the device."""
    from limner.api.predict import predict
    from limner.api.train import train

    steps, count = (4, 10) if setting.is_dry else (300, 60)
    side = setting.side // 2
    settings = {
        "network": {"name": "unet", "options": {"widths": [8, 16, 32]}},
        "input": {"crop_size": [side, side]},
        "train": {"steps": steps, "batch_size": 4, "validate_every": steps, "trackers": []},
    }
    with tempfile.TemporaryDirectory() as folder:
        data = draw_images(Path(folder) / "data", side=side, count=count)
        began = time.perf_counter()
        run = train(data, run=Path(folder) / "run", settings=settings, device=setting.device)
        seconds = time.perf_counter() - began
        name = json.loads(run.environment.read_text("utf-8"))["device_name"]
        score = json.loads((run.evaluation("val") / "scores.json").read_text("utf-8"))["mean_iou"]
        predict(run.root, data / "images", out=Path(folder) / "predicted", device=setting.device)
        is_named = name in run.report.read_text("utf-8")
    is_good = is_named and (score > 0.8 or setting.is_dry)
    found = f"{steps} steps in {seconds:.0f} s, mean IoU {score:.3f}, on {name}"
    yield Row("run", "train, evaluate, report, predict", found, PASSED if is_good else FAILED)


def check_throughput(setting: Setting) -> Iterator[Row]:
    """Images a second of training a U-Net, as limner trains it, and with one choice undone at a time."""
    import torch

    from limner.devices.host_copies import pins_memory
    from limner.devices.precision import fast_float32

    device, precision = torch.device(setting.device), fast_format(setting)
    usual, plain = plan_of(DENSE[0], setting, precision=precision), plan_of(DENSE[0], setting)
    pinned = pins_memory(device)
    ways = {
        f"as planned ({precision})": (usual, (), pinned),
        "without channels-last": (usual, ("channels-last",), pinned),
        "without fused optimizer": (usual, ("fused optimizer",), pinned),
        "without page-locked memory": (usual, (), False),
        "in float32": (plain, (), pinned),
    }
    planned = None
    for name, (plan, missing, is_pinned) in ways.items():
        with without(*missing), fast_float32(device):
            speed = setting.batch / _seconds_of(Step(plan, setting, pinned=is_pinned), setting)
        planned = planned or speed
        yield Row("throughput", name, f"{speed:.1f} images/s, {speed / planned:.2f} of as planned", FIGURE)
    if not setting.is_accelerator:
        yield Row("throughput", "compiled", "runs on a CPU are not compiled", SKIPPED)
        return
    with fast_float32(device):
        step = Step(usual, setting, pinned=pinned)
        step.learner.compile(True)
        began = time.perf_counter()
        step()
        compiling = time.perf_counter() - began
        speed = setting.batch / _seconds_of(step, setting)
    found = f"{speed:.1f} images/s, {speed / planned:.2f} of as planned; compiling took {compiling:.0f} s"
    yield Row("throughput", "compiled", found, FIGURE)


def _seconds_of(step: Step, setting: Setting) -> float:
    """Return the seconds of a step, the median of three rounds."""
    from limner.devices.device import synchronize

    device, rounds = step.learner.device, []
    for _ in range(setting.timed_steps // 4 + 1):
        step()
    for _ in range(1 if setting.is_dry else 3):
        synchronize(device)
        began = time.perf_counter()
        for _ in range(setting.timed_steps):
            step()
        synchronize(device)
        rounds.append((time.perf_counter() - began) / setting.timed_steps)
    return statistics.median(rounds)


def check_memory(setting: Setting) -> Iterator[Row]:
    """The peak memory of a step, against the plan's estimate."""
    import torch

    from limner.devices.memory import peak_bytes, release_memory, reset_peak
    from limner.planning.measurer import measure_plan

    plan = plan_of(DENSE[0], setting, precision=fast_format(setting))
    cost = measure_plan(plan, device=setting.device)
    pixels = setting.batch * prod(plan.input.crop_size)
    estimate = cost.training_bytes(pixels, optimizer="adamw", averaged=False)
    device = torch.device(setting.device)
    release_memory(device)
    reset_peak(device)
    step = Step(plan, setting)
    step()
    step()
    peak = peak_bytes(device) if setting.is_accelerator else None
    if peak is None:
        found = f"the plan's estimate is {estimate / 2**20:.0f} MiB; the device reports no peak of tensors"
        yield Row("memory", "step", found, SKIPPED)
        return
    found = f"peak {peak / 2**20:.0f} MiB, the plan's estimate is {estimate / 2**20:.0f} MiB"
    yield Row("memory", "step", found, PASSED if peak <= 1.3 * estimate else FAILED)


CHECKS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "doctor": check_doctor,
    "steps": check_steps,
    "waiting": check_waiting,
    "precision": check_precision,
    "kernel": check_kernel,
    "run": check_run,
    "throughput": check_throughput,
    "memory": check_memory,
}
"""By worth: what comes last is left out if the time is over."""


def run_checks(names: Sequence[str], setting: Setting) -> list[Row]:
    """Run checks; an error in one is a failure, and does not end the others."""
    began, rows = time.perf_counter(), []
    for name in names:
        if time.perf_counter() - began > LIMIT_SECONDS:
            rows.append(Row(name, "", "the checks before it took all the time", SKIPPED))
            continue
        started = time.perf_counter()
        try:
            for row in CHECKS[name](setting):
                rows.append(row)
                print(f"{row.state:8} {row.part}: {row.what}: {row.found}", file=sys.stderr, flush=True)
        except Exception as error:  # noqa: BLE001 - the other checks are worth more than a traceback
            traceback.print_exc()
            rows.append(Row(name, "error", f"{type(error).__name__}: {error}".splitlines()[0], FAILED))
        print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
    return rows


def table_of(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| part | what | found | result |", "|---|---|---|---|"]
    for row in rows:
        cells = (text.replace("|", "\\|") for text in (row.part, row.what, row.found, row.state))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the checks, print the table, and return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="auto", help="a device of PyTorch; auto is the accelerator")
    parser.add_argument("--dry", action="store_true", help="small sizes: whether the check itself works")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS), help="some checks")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    wanted = parser.parse_args(words)
    rows = missing_libraries()
    if not rows:
        import torch

        from limner.devices.device import choose_device

        device = choose_device(wanted.device)
        rows = run_checks(wanted.only, Setting(str(device), wanted.dry))
        if device.type == "cpu" and not wanted.dry:
            rows.insert(0, Row("device", "accelerator", "none; --dry --device cpu tries the check", FAILED))
        print(f"PyTorch {torch.__version__}, {device}\n")
    text = table_of(rows)
    print(text)
    if wanted.out is not None:
        wanted.out.write_text(f"{text}\n", "utf-8")
    return int(any(row.state == FAILED for row in rows))


if __name__ == "__main__":
    sys.exit(main())
