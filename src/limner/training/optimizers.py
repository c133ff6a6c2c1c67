"""Optimizers: parameter groups with their own learning rate and weight decay, and fused kernels."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from limner.core.errors import ConfigError, did_you_mean
from limner.core.plan import OptimizerPlan
from limner.devices.backends import has_fused_optimizers
from limner.training.sharded_model import is_sharded, shard_like

NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
)
"""Layers whose weight is a scale, which weight decay would push towards zero."""

ANYWHERE = "*."
"""Start of a prefix that matches a part of names at any depth."""


def build_optimizer(module: nn.Module, plan: OptimizerPlan) -> Optimizer:
    """Build the optimizer of a module's trainable parameters.

    Args:
        module: Module on its final device; parameters with ``requires_grad=False`` are omitted.
        plan: Name and hyperparameters of the optimizer.

    Raises:
        ConfigError: A multiplier's prefix matches no parameter, or there are no trainable parameters.
    """
    groups = parameter_groups(module, plan)
    devices = {parameter.device for group in groups for parameter in group["params"]}
    # Not every fused kernel takes sharded parameters, and PyTorch would update them one by one.
    sharded = any(is_sharded(parameter) for group in groups for parameter in group["params"])
    fused = True if all(map(has_fused_optimizers, devices)) and not sharded else None
    each = True if sharded else None
    if plan.name == "sgd":
        return SGD(groups, lr=plan.learning_rate, momentum=plan.momentum, fused=fused, foreach=each)
    if plan.name == "adam":
        return Adam(groups, lr=plan.learning_rate, betas=plan.betas, fused=fused, foreach=each)
    return AdamW(groups, lr=plan.learning_rate, betas=plan.betas, fused=fused, foreach=each)


def add_parameters(optimizer: Optimizer, parameters: Mapping[str, nn.Parameter], plan: OptimizerPlan) -> None:
    """Train further parameters, such as those of a loss, with the plan's rate and decay.

    Args:
        optimizer: From `build_optimizer`.
        parameters: By name.
        plan: As of `build_optimizer`.
    """
    rate = plan.learning_rate
    group = {"params": list(parameters.values()), "names": list(parameters), "lr": rate}
    optimizer.add_param_group({**group, "largest_rate": rate, "weight_decay": plan.weight_decay})


def parameter_groups(module: nn.Module, plan: OptimizerPlan) -> list[dict[str, Any]]:
    """Group the trainable parameters by learning rate and weight decay.

    Returns:
        Optimizer groups; each also has ``names`` (in the order of ``params``) and ``largest_rate``.
        Norm parameters and biases have no decay. If several prefixes match, the longest one counts.
    """
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not parameters:
        raise ConfigError("The network has no trainable parameters: every one has requires_grad=False.")
    without_decay = _without_decay(module)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in parameters.items():
        rate = plan.learning_rate * _multiplier(name, plan.multipliers)
        decay = (
            0.0 if name in without_decay else plan.weight_decay * _multiplier(name, plan.decay_multipliers)
        )
        group = groups.setdefault(
            (rate, decay),
            {"params": [], "names": [], "lr": rate, "largest_rate": rate, "weight_decay": decay},
        )
        group["params"].append(parameter)
        group["names"].append(name)
    for setting in ("multipliers", "decay_multipliers"):
        _refuse_unmatched(f"optimizer.{setting}", getattr(plan, setting), dict(module.named_parameters()))
    return list(groups.values())


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set the learning rate of every group to `factor` times its maximum."""
    for group in optimizer.param_groups:
        group["lr"] = group["largest_rate"] * factor


def named_state(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """Return the optimizer's state as ``parameter name/key`` -> tensor."""
    return {
        f"{name}/{key}": value
        for name, parameter in _named_parameters(optimizer)
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def load_named_state(optimizer: Optimizer, state: Mapping[str, torch.Tensor]) -> None:
    """Load the result of `named_state` as whole tensors, which get their parameter's device and layout."""
    parameters = dict(_named_parameters(optimizer))
    for full_name, value in state.items():
        name, _, key = full_name.rpartition("/")
        parameter = parameters[name]
        if is_sharded(parameter) and value.shape == parameter.shape:
            held = shard_like(parameter, value)
        elif value.shape == parameter.shape and value.ndim > 0:
            # Fused kernels operate on raw memory, so the layout must be that of the parameter.
            held = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
        else:
            held = value.to(parameter.device) if key != "step" or _is_fused(optimizer) else value.clone()
        optimizer.state[parameter][key] = held


def _named_parameters(optimizer: Optimizer) -> list[tuple[str, torch.Tensor]]:
    return [pair for g in optimizer.param_groups for pair in zip(g["names"], g["params"], strict=True)]


def _is_fused(optimizer: Optimizer) -> bool:
    return bool(optimizer.param_groups[0].get("fused"))


def _without_decay(module: nn.Module) -> set[str]:
    biases = {name for name, _ in module.named_parameters() if name.rpartition(".")[2] == "bias"}
    scales = {
        f"{prefix}.{name}" if prefix else name
        for prefix, layer in module.named_modules()
        if isinstance(layer, NORMS) or type(layer).__name__.endswith("Norm")
        for name, _ in layer.named_parameters(recurse=False)
    }
    return biases | scales


def _multiplier(name: str, multipliers: Mapping[str, float]) -> float:
    fitting = [prefix for prefix in multipliers if _starts(name, prefix)]
    return multipliers[max(fitting, key=len)] if fitting else 1.0


def _starts(name: str, prefix: str) -> bool:
    """Return whether `name` is `prefix` or inside it; the wrapper's ``network.`` may be omitted.

    A prefix of ``*.part`` is any part of this name, however deep.
    """
    if prefix.startswith(ANYWHERE):
        return f".{prefix.removeprefix(ANYWHERE)}." in f".{name}."
    return any(name == full or name.startswith(f"{full}.") for full in (prefix, f"network.{prefix}"))


def _refuse_unmatched(setting: str, multipliers: Mapping[str, float], names: Mapping[str, Any]) -> None:
    for prefix in multipliers:
        if not any(_starts(name, prefix) for name in names):
            parts = sorted({name.removeprefix("network.").partition(".")[0] for name in names})
            raise ConfigError(
                f"{setting}: no parameter of the network starts with {prefix!r}"
                f"{did_you_mean(prefix, parts)}. Its parts are: {', '.join(parts)}."
            )
