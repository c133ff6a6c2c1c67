"""Training of a model from a plan: the entry point of training."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from limner.core.errors import ConfigError, ModelError
from limner.core.execution import Execution
from limner.core.plan import Plan
from limner.core.plan_text import plan_to_yaml
from limner.core.randomness import torch_seed
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher, Watchers
from limner.devices.host_copies import pins_memory
from limner.devices.memory import peak_bytes
from limner.devices.precision import fast_float32
from limner.devices.retained_memory import retain_freed_memory
from limner.inference.component_choice import choose_components, chooses_components
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.loading.loader import training_batches
from limner.loading.pipeline import build_mixing, build_pipeline
from limner.loading.pseudo_labelled import JoinedDataset, build_views
from limner.networks import NETWORKS
from limner.planning.missing_weights import without_pretrained
from limner.storage.folder_lock import locked_folder
from limner.storage.output_folder import make_output_folder
from limner.storage.whole_files import remove_leftovers, write_whole
from limner.storage.whole_folders import tidy_after_kill
from limner.tasks import find_task
from limner.tracking.trackers import build_tracker
from limner.training.accelerator import build_accelerator
from limner.training.as_run import as_run
from limner.training.budget import Budget
from limner.training.checkpoints import Checkpoints, RunCheckpoint
from limner.training.disk_refusals import stopping_training
from limner.training.first_stage import first_stage
from limner.training.initial_weights import load_initial_weights, read_initial_weights
from limner.training.learner import Learner
from limner.training.linear_probe import fit_probe
from limner.training.loop import Batches, Loop, Outcome
from limner.training.metrics_file import MetricsFile
from limner.training.process_watch import watched_processes
from limner.training.run_state import RunState
from limner.training.teaching import build_criterion, read_teacher
from limner.training.validation import Validation
from limner.weights.bundle import save_model
from limner.weights.model import Model


@dataclass(frozen=True)
class FitResult:
    """Result of a training run.

    Attributes:
        run: The run folder.
        steps: Number of optimizer steps done.
        seconds: Seconds of training, including those before a resume.
        best_score: The best validation score, or None without validation images.
        best_step: The step whose weights are in the model folder.
        scores: Scores of the last validation by name; empty without one.
        stopped_early: Whether training stopped because the score did not improve.
    """

    run: RunFolder
    steps: int
    seconds: float
    best_score: float | None
    best_step: int
    scores: dict[str, float]
    stopped_early: bool


def fit(
    plan: Plan,
    *,
    train: Dataset,
    val: Dataset | None,
    run: RunFolder,
    network: nn.Module | None = None,
    resume: bool = False,
    execution: Execution = Execution(),  # noqa: B008 (immutable)
) -> FitResult:
    """Train and validate a model, and write the model folder.

    Args:
        plan: Every setting.
        train: Training data.
        val: Validation data, to select the best weights; None keeps the last ones.
        run: The run folder to write.
        network: A custom network, instead of the plan's.
        resume: Continue from the run's checkpoint. A run without one starts from the beginning.
        execution: Device and observers of the run.

    Raises:
        TrainingError: The loss is not finite, memory or disk space ran out, or another process failed.
        ConfigError: The device or the plan is unsuitable, or another process trains in the folder.
    """
    budget = Budget(plan.train)
    accelerator = build_accelerator(execution.device, precision=plan.train.precision)
    is_main = accelerator.is_main_process
    with watched_processes(run.root) as watch, _held(run, accelerator), stopping_training(run):
        checkpoint, remark = _checkpoint(run, resume=resume, is_main=is_main)
        state = _state(checkpoint, plan, accelerator)
        watcher = _watchers(plan, run, execution.watchers, run_id=state.tracker_id) if is_main else Watcher()
        with _closed(watcher), _unnoticed_by_caller(accelerator):
            is_fresh = checkpoint is None
            learner = _learner(plan, network, run, accelerator, state, is_fresh=is_fresh, say=watcher.say)
            plan = learner.model.plan
            validator = None if val is None else Validation(val, accelerator=accelerator, watch=watch)
            if _is_probe(plan):
                outcome = _fit_probe(learner, train, val, validator, watcher)
            else:
                loop = Loop(
                    learner,
                    state=state,
                    plan=plan,
                    run=run,
                    accelerator=accelerator,
                    batches=build_batches(plan, train, accelerator, samples_per_step=state.samples_per_step),
                    validator=validator,
                    watcher=watcher,
                    budget=budget,
                    watch=watch,
                )
                loop.start(checkpoint, remark=remark)
                outcome = loop.run()
            watch.at("writing the model", allowed=inf)
            _deliver(learner, plan, run, outcome, val=val, say=watcher.say, is_main=is_main)
            watch.at("the end", allowed=inf)
            accelerator.wait_for_everyone()
    return _result(run, outcome)


def _state(checkpoint: RunCheckpoint | None, plan: Plan, accelerator: Accelerator) -> RunState:
    """Return the state of a checkpoint, or a new one."""
    if checkpoint is None:
        return RunState(tracker_id=uuid.uuid4().hex, samples_per_step=plan.train.batch_size)
    state = checkpoint.state
    if not state.samples_per_step:  # of an earlier version, where each process had a batch of its own
        state.samples_per_step = plan.train.batch_size * accelerator.num_processes
    return state


def _is_probe(plan: Plan) -> bool:
    """Return whether only the last layer is fitted; custom networks are trained as a whole."""
    entry = NETWORKS.get(plan.network.name)
    return entry is not None and entry.is_probe


def _fit_probe(
    learner: Learner, train: Dataset, val: Dataset | None, validator: Validation | None, watcher: Watcher
) -> Outcome:
    """Fit the last layer of the learner's model."""
    return fit_probe(
        learner.model,
        learner.model.plan,
        train=train,
        val=val,
        validator=validator,
        device=learner.device,
        watcher=watcher,
    )


@contextmanager
def _held(run: RunFolder, accelerator: Accelerator) -> Iterator[None]:
    """Hold the run's folder, so that no other training writes there, and tidy up after killed ones.

    The main process holds it for all; until it does, the others touch nothing.
    """
    if not accelerator.is_main_process:
        accelerator.wait_for_everyone()
        yield
        return
    make_output_folder(run.root)
    with locked_folder(run.root, what="training"):
        remove_leftovers(run.root)
        tidy_after_kill(run.model)
        accelerator.wait_for_everyone()
        yield


@contextmanager
def _closed(watcher: Watcher) -> Iterator[None]:
    """Close the watcher at the end; after an error, its own errors are not reported."""
    try:
        yield
    except BaseException:
        with suppress(Exception):
            watcher.close()
        raise
    watcher.close()


@contextmanager
def _unnoticed_by_caller(accelerator: Accelerator) -> Iterator[None]:
    """Train with memory kept for reuse and fast matrix products; restore the caller's settings afterwards."""
    memory = retain_freed_memory() if accelerator.device.type == "cpu" else nullcontext()
    threads = torch.get_num_threads()
    try:
        with memory, fast_float32(accelerator.device), torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def _learner(
    plan: Plan,
    network: nn.Module | None,
    run: RunFolder,
    accelerator: Accelerator,
    state: RunState,
    *,
    is_fresh: bool,
    say: Callable[[str], None],
) -> Learner:
    """Build the model with its initial weights, its losses and its learner; write the resulting plan."""
    _refuse_sharding(plan)
    model = build_model(plan, network, is_fresh=is_fresh, say=say)
    model.set_low_resolution(first_stage(plan, run))
    plan = model.plan
    if is_fresh and network is None and plan.network.weights is not None:
        writes = run if accelerator.is_main_process else None
        load_initial_weights(Path(plan.network.weights), model, writes, say=say)
    if accelerator.is_main_process:
        _write_plan(run, plan)
    recorded = run if accelerator.is_main_process else None
    criterion = build_criterion(plan, recorded, say=say)
    if criterion.distillation is not None and criterion.distillation.teacher is not None:
        criterion.distillation.attach(model, _example_images(plan))
    criterion = criterion.to(accelerator.device)
    return Learner(
        model,
        plan=plan,
        criterion=criterion,
        accelerator=accelerator,
        say=say,
        samples_per_step=state.samples_per_step,
    )


def _refuse_sharding(plan: Plan) -> None:
    """Refuse to shard a compiled network or a linear probe.

    Raises:
        ConfigError: The plan shards one.
    """
    if plan.train.sharding == "full" and plan.train.compile:
        raise ConfigError(
            "A sharded model is not compiled. Use --set train.compile=false, or train.sharding=none."
        )
    if plan.train.sharding == "full" and _is_probe(plan):
        raise ConfigError(
            f"train.sharding=full: only the last layer of {plan.network.name!r} is trained. Use none."
        )


def _example_images(plan: Plan) -> torch.Tensor:
    """Return (1, C, *S) images in file values, of the size of a crop."""
    return torch.zeros(1, plan.network_channels, *plan.input.crop_size)


def build_model(
    plan: Plan, network: nn.Module | None = None, *, is_fresh: bool = True, say: Callable[[str], None]
) -> Model:
    """Build the model with initial weights, which depend only on the plan's seed.

    The model's own plan records whether the encoder is really pretrained.

    Args:
        plan: Specifies the network, its options and the pretrained encoder weights.
        network: A custom network with its own weights.
        is_fresh: Whether the initial weights matter; those of a resumed run come from its checkpoint.
        say: Called with a message if pretrained weights are unavailable.

    Raises:
        LimnerError: Pretrained weights are required (``yes`` or a file) but unavailable.
    """
    wanted = plan.network.pretrained if is_fresh and network is None else "no"
    seed = torch_seed(plan.train.seed, "weights")
    torch.manual_seed(seed)
    if wanted != "no":
        try:
            return Model.from_plan(plan, pretrained=True if wanted in ("auto", "yes") else Path(wanted))
        except (ConfigError, ModelError) as error:
            if wanted != "auto":
                raise
            say(f"Training starts from random weights, so it needs more images and steps. {error}")
            plan = without_pretrained(plan)
            torch.manual_seed(seed)
    return Model.from_plan(plan, network)


def _checkpoint(run: RunFolder, *, resume: bool, is_main: bool) -> tuple[RunCheckpoint | None, str]:
    """Return the checkpoint to resume from, and a remark about it; a new run removes existing ones."""
    checkpoints = Checkpoints(run)
    if not resume:
        if is_main:
            checkpoints.remove()
        return None, ""
    found = checkpoints.latest()
    if found is None:
        return None, "There is no checkpoint yet, so the run starts from the beginning."
    step = found.checkpoint.state.step
    remark = f"{found.problem}\nTraining continues from {found.path.name}, of step {step}."
    return found.checkpoint, remark if found.problem else ""


def _watchers(plan: Plan, run: RunFolder, extra: Sequence[Watcher], *, run_id: str) -> Watcher:
    trackers = [build_tracker(name, run, run_id=run_id) for name in plan.train.trackers]
    return Watchers([MetricsFile(run), *trackers, *extra])


def build_batches(
    plan: Plan, dataset: Dataset, accelerator: Accelerator, *, samples_per_step: int | None = None
) -> Batches:
    """Return a function of the first step that yields this process's endless training batches.

    Args:
        plan: Batch size, augmentation, seed and workers.
        dataset: The training images.
        accelerator: Rank and number of processes.
        samples_per_step: Number of samples in a step, of all processes together; defaults to the plan's.
    """
    build = build_views if isinstance(dataset, JoinedDataset) else build_pipeline
    pipeline = build(plan.augment, plan.input, plan.data.label_table)
    return lambda first_step: training_batches(
        dataset,
        pipeline,
        batch_size=samples_per_step or plan.train.batch_size,
        seed=plan.train.seed,
        first_step=first_step,
        workers=plan.train.workers,
        replica=accelerator.process_index,
        num_replicas=accelerator.num_processes,
        pin_memory=pins_memory(accelerator.device),
        balanced=plan.train.balanced,
        mix=build_mixing(plan.augment, plan.data.label_table),
    )


def _deliver(
    learner: Learner,
    plan: Plan,
    run: RunFolder,
    outcome: Outcome,
    *,
    val: Dataset | None,
    say: Callable[[str], None],
    is_main: bool,
) -> None:
    """Write the plan as it was actually run, and the model folder with the best weights.

    All processes must call this together, and the main one writes.
    """
    state = outcome.state
    plan = as_run(plan, state)
    with learner.evaluating() as best_model:
        if not is_main:
            return
        if state.best_step not in (-1, state.step):
            try:
                learner.load_eval_model(Checkpoints(run).read_best(state.best_step), best_model)
            except ModelError as error:
                say(f"{error}\nThe model folder contains the last weights instead of the best.")
        best_model.plan = plan if val is None else _with_components(best_model, plan, val, learner.device)
        _write_plan(run, best_model.plan)
        origin = {
            "data": plan.data.path,
            "num_images": plan.data.num_images,
            "steps": state.step,
            "seconds": round(state.seconds, 1),
            "weights_of_step": state.step if state.best_step == -1 else state.best_step,
            "weights_are_averaged": plan.train.ema_decay is not None,
            "validation_score": state.best_score,
            "pretrained": plan.network.pretrained,
            "peak_bytes": peak_bytes(learner.device),
        }
        initial = read_initial_weights(run)
        licence = initial.pop(
            "licence", None
        )  # the licence of the initial weights also applies to derived ones
        save_model(run.model, best_model, origin=origin | initial | read_teacher(run), licence=licence)


def _with_components(model: Model, plan: Plan, val: Dataset, device: torch.device) -> Plan:
    """Return the plan with the classes of which only the largest part is kept, by the validation cases."""
    has_label_maps = find_task(plan.task).has_label_maps
    if not has_label_maps or not chooses_components(plan, model.labels):
        return plan
    predictor = Predictor(model, device=device, precision=plan.train.precision, settings=plan.inference)
    decision = choose_components(predictor, val)
    inference = plan.inference.model_copy(update={"largest_component": decision.value})
    reasons = plan.reasons | {decision.key: decision.reason}
    return plan.model_copy(update={"inference": inference, "reasons": reasons})


def _write_plan(run: RunFolder, plan: Plan) -> None:
    with stopping_training(run):
        write_whole(run.plan, plan_to_yaml(plan), durable=True)


def _result(run: RunFolder, outcome: Outcome) -> FitResult:
    state = outcome.state
    return FitResult(
        run=run,
        steps=state.step,
        seconds=state.seconds,
        best_score=state.best_score,
        best_step=state.best_step if state.best_step >= 0 else state.step,
        scores=outcome.scores,
        stopped_early=outcome.stopped_early,
    )
