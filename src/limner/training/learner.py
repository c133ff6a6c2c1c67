"""A model with its optimizer and weight average, trained one step at a time."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from math import ceil

import torch
from accelerate import Accelerator
from torch import nn

from limner.core.batch import Batch
from limner.core.errors import ConfigError, TrainingError, describe
from limner.core.plan import Plan
from limner.core.randomness import torch_seed
from limner.devices.convolution_layout import choose_memory_format, prefers_winograd
from limner.devices.host_copies import HostCopies
from limner.devices.memory import is_out_of_memory, more_parts, release_memory
from limner.layers.onednn_convolution import use_onednn
from limner.layers.single_pixels import pad_single_pixels
from limner.layers.training_progress import notify_progress
from limner.layers.winograd import use_winograd
from limner.tasks.objective import Criterion
from limner.training.averaging import WeightAverage
from limner.training.checkpoints import RunCheckpoint
from limner.training.optimizers import (
    add_parameters,
    build_optimizer,
    load_named_state,
    named_state,
    set_learning_rate,
)
from limner.training.sharded_model import (
    gather_whole,
    gathered_weights,
    load_whole,
    local_part,
    shard,
    without_weights,
)
from limner.training.step import StepResult, compute_gradients
from limner.weights.model import Model

ENOUGH_FOR_STATISTICS = 8
"""Minimum number of samples of a device whose batch normalisation is not synchronised with the others."""


class Learner:
    """Trains the weights of a model.

    Args:
        model: Model with initial weights; it is moved to the device and set to training mode.
        plan: Optimizer, clipping, averaging, seed.
        criterion: The losses.
        accelerator: Device, precision and communication between processes.
        say: Called with messages for the user.
        samples_per_step: Number of samples in a step, of all processes together; defaults to the plan's.

    Raises:
        ConfigError: The plan freezes a part that the network does not have, or all of it; or there are more
            processes than samples in a step; or the plan shards a model that cannot be sharded.

    Attributes:
        model: The model in training, unwrapped.
        is_sharded: Whether weights, gradients, optimizer state and average are divided between processes.
        accumulate: Number of parts a batch is split into; grows when memory runs out.
    """

    def __init__(
        self,
        model: Model,
        *,
        plan: Plan,
        criterion: Criterion,
        accelerator: Accelerator,
        say: Callable[[str], None],
        samples_per_step: int | None = None,
    ) -> None:
        self._samples_per_step = samples_per_step or plan.train.batch_size
        _refuse_idle(accelerator.num_processes, self._samples_per_step)
        self._plan = plan
        self._criterion = criterion
        self._accelerator = accelerator
        self._say = say
        self.accumulate = plan.train.accumulate
        self.is_sharded = plan.train.sharding == "full" and accelerator.num_processes > 1
        self._layout = choose_memory_format(
            accelerator.device, spatial_dims=plan.input.spatial_dims, training=True
        )
        self._copies = HostCopies(accelerator.device)
        self.model = _with_shared_statistics(model, accelerator, samples=self._samples_at_once()).train()
        if not self.is_sharded:
            self.model = self.model.to(accelerator.device).to(memory_format=self._layout)
        self.model.freeze()
        if prefers_winograd(accelerator.device) and not plan.train.compile and not self.is_sharded:
            use_winograd(self.model)
        if accelerator.device.type == "cpu" and not plan.train.compile and not self.is_sharded:
            use_onednn(self.model)  # for validation
        if accelerator.device.type == "cpu" and plan.train.precision == "bfloat16":
            pad_single_pixels(self.model)
        decay = plan.train.ema_decay
        self._average = None if decay is None else WeightAverage(self.model, decay=decay)
        self._whole = self._shard() if self.is_sharded else None
        self._optimizer = build_optimizer(self.model, plan.optimizer)
        self._adapters = {name: p for name, p in criterion.named_parameters() if p.requires_grad}
        if self._adapters:
            _refuse_several(accelerator.num_processes)
            named = {f"criterion.{name}": p for name, p in self._adapters.items()}
            add_parameters(self._optimizer, named, plan.optimizer)
        # Wrapped for float16, where the gradient scaler may skip steps.
        self._infinite_by_design = frozenset(self._infinite())
        self._stepper = accelerator.prepare_optimizer(self._optimizer, device_placement=False)
        if plan.train.compile:
            self.compile(True)
        is_alone = accelerator.num_processes == 1
        is_exchanging = not is_alone and not self.is_sharded  # a sharded model exchanges its gradients itself
        self._prepared: nn.Module = accelerator.prepare_model(self.model) if is_exchanging else self.model

    @property
    def device(self) -> torch.device:
        """The training device."""
        return torch.device(self._accelerator.device)

    def _shard(self) -> Model:
        """Divide the model and its average between the processes; return the copy that is validated."""
        whole = without_weights(self.model, self.device)
        shard(self.model, self.device)
        if self._average is not None:
            shard(self._average.module, self.device)
        return whole

    @property
    def eval_model(self) -> Model:
        """Holder of the weights that are validated and saved: the average if there is one."""
        if self._average is None:
            return self.model
        averaged = self._average.module
        assert isinstance(averaged, Model)
        return averaged

    @contextmanager
    def evaluating(self) -> Iterator[Model]:
        """Yield the model that is validated and saved, with all weights.

        All processes must enter the block together: if the model is sharded, they gather its weights for as
        long as the block lasts.
        """
        if self._whole is None:
            yield self.eval_model
            return
        with gathered_weights(self._whole, held_by=self.eval_model):
            yield self._whole

    def compile(self, wanted: bool) -> None:
        """Compile the network from the next step on, or stop; what cannot be compiled runs as it is."""
        network = self.model.network
        if wanted:
            import torch._dynamo  # seconds, only for runs that compile

            torch._dynamo.config.suppress_errors = True
            network.compile()
        else:
            network._compiled_call_impl = None

    def eager(self) -> AbstractContextManager[object]:
        """Return a context without compiling, for validation, which would compile for each size of image."""
        if self.model.network._compiled_call_impl is None:
            return nullcontext()
        stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
        return stance

    def set_average_decay(self, decay: float | None) -> None:
        """Set the final decay of the weight average, if there is one."""
        if self._average is not None and decay is not None:
            self._average.decay = decay

    def set_progress(self, progress: float) -> None:
        """Notify layers that depend on training progress, in [0, 1]."""
        notify_progress(self.model, progress)
        if self._average is not None:
            notify_progress(self._average.module, progress)
        if self._whole is not None:
            notify_progress(self._whole, progress)

    def gradients(
        self,
        batch: Batch,
        *,
        step: int,
        factor: float,
        before_exchange: Callable[[], None] = lambda: None,
    ) -> StepResult:
        """Compute the gradient of step number `step`, in more parts if memory runs out.

        Args:
            batch: Batch of this process.
            step: Seeds the network's randomness, such as dropout, so that a resumed run is identical.
            factor: Factor of the maximum learning rate.
            before_exchange: Called before this process waits for others, to exchange gradients.

        Raises:
            TrainingError: Memory runs out even with single samples, or in one of several processes.
        """
        set_learning_rate(self._optimizer, factor)
        # Convert the layout before the transfer; on a CPU this moves bytes instead of floats.
        batch = replace(batch, images=batch.images.contiguous(memory_format=self._layout))
        while True:
            torch.manual_seed(
                torch_seed(self._plan.train.seed, "step", step, self._accelerator.process_index)
            )
            self._optimizer.zero_grad(set_to_none=True)
            try:
                return compute_gradients(
                    self._prepared,
                    batch,
                    criterion=self._criterion,
                    accelerator=self._accelerator,
                    parts=self._parts(len(batch.names)),
                    share=self._share(len(batch.names)),
                    clip=self._plan.train.gradient_clip,
                    copy=self._copies,
                    before_exchange=before_exchange,
                )
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                problem = str(error).splitlines()[0] if str(error) else type(error).__name__
            # Outside of the handler: the exception's frames would keep the tensors of the failed pass alive.
            self._split_further(problem, step=step)

    def _parts(self, samples: int) -> int:
        """Return the number of parts of a batch of this process, each as small as with a single process."""
        processes, batch = int(self._accelerator.num_processes), self._plan.train.batch_size
        if processes == 1:
            return self.accumulate
        if self.is_sharded:  # as many in each process, since all gather weights for each part
            fewest, most = self._samples_per_step // processes, ceil(self._samples_per_step / processes)
            return min(ceil(most * self.accumulate / batch), fewest)
        return ceil(samples * self.accumulate / batch)

    def _share(self, samples: int) -> float:
        """Return the number of samples of this process, divided by the mean over the processes."""
        processes = self._accelerator.num_processes
        return 1.0 if processes == 1 else samples * processes / self._samples_per_step

    def _samples_at_once(self) -> int:
        """Return the number of samples that go through the network of a process at once."""
        processes = int(self._accelerator.num_processes)
        samples = max(self._samples_per_step // processes, 1)
        return samples // self._parts(samples)

    def apply(self, *, step: int) -> None:
        """Apply the optimizer step and update the average."""
        try:
            self._stepper.step()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise self._out_of_memory("the optimizer's state did not fit", step=step) from error
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None and not self._accelerator.optimizer_step_was_skipped:
            self._average.update(self.model, step=step)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return all tensors for a checkpoint: ``model/...``, ``average/...`` and ``optimizer/...``.

        All processes must call this together: the first one gets the parts of all others if the model is
        sharded, on the CPU, and the others get nothing.
        """
        if not self.is_sharded:
            return self._tensors()
        gathered: dict[str, torch.Tensor] = {}
        for name, tensor in self._tensors().items():
            whole = gather_whole(tensor)
            if self._accelerator.is_main_process:
                gathered[name] = whole.cpu()
        return gathered

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of a checkpoint, or this process's parts of them."""
        parts = {"model": self.model.state_dict(), "optimizer": named_state(self._optimizer)}
        if self._average is not None:
            parts["average"] = self._average.module.state_dict()
        if self._adapters:
            parts["criterion"] = {name: p.detach() for name, p in self._adapters.items()}
        return {f"{part}/{name}": value for part, tensors in parts.items() for name, value in tensors.items()}

    def broken_tensors(self) -> list[str]:
        """Return the names of tensors that are not finite, after a step that went wrong."""
        return [name for name in self._infinite() if name not in self._infinite_by_design]

    def _infinite(self) -> list[str]:
        """Return the names of tensors with values that are not finite, waiting for the device once.

        If the model is sharded, all processes must call this together, and get the names of all parts.
        """
        floats = {name: local_part(t) for name, t in self._tensors().items() if t.is_floating_point()}
        device = self._accelerator.device
        broken = torch.stack([(~t.isfinite().all()).to(device) for t in floats.values()]).int()
        if self.is_sharded:
            broken = self._accelerator.reduce(broken, "sum")
        return [name for name, count in zip(floats, broken.tolist(), strict=True) if count]

    def load(self, checkpoint: RunCheckpoint) -> None:
        """Restore the state from a checkpoint."""
        load_whole(self.model, checkpoint.part("model"))
        for name, saved in checkpoint.part("criterion").items() if self._adapters else ():
            self._adapters[name].data.copy_(saved)
        load_named_state(self._optimizer, checkpoint.part("optimizer"))
        if self._average is not None:
            load_whole(self._average.module, checkpoint.part("average"))
        # `accumulate` in the run folder's plan may have been increased after this checkpoint was written.
        self.accumulate = max(self.accumulate, checkpoint.state.accumulate)
        if checkpoint.state.scaler and self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(checkpoint.state.scaler)

    def load_eval_model(self, checkpoint: RunCheckpoint, model: Model) -> None:
        """Load only the weights of the model that `evaluating` yields, at the end of a run."""
        model.load_state_dict(checkpoint.part("model" if self._average is None else "average"))

    def scaler_state(self) -> dict[str, float]:
        """Return the float16 gradient scaler's state; empty without one."""
        scaler = self._accelerator.scaler
        return {} if scaler is None else dict(scaler.state_dict())

    def _split_further(self, problem: str, *, step: int) -> None:
        parts = more_parts(self.accumulate, self._plan.train.batch_size)
        if parts is None or self._accelerator.num_processes > 1:
            raise self._out_of_memory(problem, step=step)
        self._optimizer.zero_grad(set_to_none=True)
        release_memory(self._accelerator.device)
        before, now = (self._plan.train.batch_size // p for p in (self.accumulate, parts))
        self._say(
            f"Memory ran out at step {step} ({problem}). From now on a batch of "
            f"{self._plan.train.batch_size} is computed in {parts} parts of {now} instead of {before}; "
            "the step is repeated, and the learning rate does not change."
        )
        self.accumulate = parts

    def _out_of_memory(self, problem: str, *, step: int) -> TrainingError:
        plan, processes = self._plan, self._accelerator.num_processes
        parts = processes * self._parts(max(self._samples_per_step // processes, 1))
        finer = more_parts(parts, plan.train.batch_size) if processes > 1 else None
        size = " x ".join(str(side) for side in plan.input.crop_size)
        return TrainingError(
            describe(
                f"Training stopped at step {step}, because memory ran out",
                where=str(self._accelerator.device),
                found=f"{problem}; crops of {size}, {self._samples_at_once()} at a time",
                expected="a training step that fits",
                fix=(
                    "Use smaller crops (--set input.crop_size=...) or a smaller network."
                    if finer is None
                    else f"Set accumulate: {finer} under train: in plan.yaml of the run, which only saves "
                    "memory, and resume."
                ),
            )
        )


def _refuse_several(num_processes: int) -> None:
    """Refuse losses with parameters in several processes, which exchange those of the model alone.

    Raises:
        ConfigError: There are several.
    """
    if num_processes > 1:
        raise ConfigError(
            "The loss 'distill_features' trains a convolution of its own, which several processes do not "
            "exchange. Train on one device, or use distill_cwd, which compares outputs."
        )


def _refuse_idle(num_processes: int, samples: int) -> None:
    """Refuse a step in which a process would have no sample.

    Raises:
        ConfigError: There are more processes than samples.
    """
    if num_processes > samples:
        raise ConfigError(
            f"A batch of {samples} cannot be shared by {num_processes} processes: train.batch_size is that "
            f"of all together. Use --set train.batch_size={num_processes} or more, or fewer processes."
        )


def _with_shared_statistics(model: Model, accelerator: Accelerator, *, samples: int) -> Model:
    """Let batch norm use the samples of all accelerators if each has few."""
    is_shared = accelerator.num_processes > 1 and accelerator.device.type != "cpu"
    norm = model.plan.network.norm
    if is_shared and (norm == "sync" or (norm is None and samples < ENOUGH_FOR_STATISTICS)):
        convert: Callable[[Model], Model] = nn.SyncBatchNorm.convert_sync_batchnorm
        model = convert(model)
    return model
