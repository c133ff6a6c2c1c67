"""Transfer of weights to a network of the same kind, possibly with other classes.

Tensors of the same name and shape are copied. Tensors whose shape depends on the number of classes are found
by building the network with one more class; only their rows for classes of the same name are copied, and the
row for "no object" if there is one.

Shape legend: K classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from limner.core.errors import ModelError, describe
from limner.core.plan import Plan
from limner.layers.norm import replace_norms
from limner.networks import build_network
from limner.networks.weightless import weightless
from limner.weights.model import Model

SHOWN = 3
"""Number of example names in the report."""


@dataclass(frozen=True)
class Transfer:
    """Result of a transfer.

    Attributes:
        loaded: Tensors that were copied completely.
        by_class: Tensors of which some classes' rows were copied.
        carried: Classes whose rows were copied.
        fresh: Classes whose rows keep their random weights.
        new: Tensors that keep their random weights.
        skipped: Tensors of the initial weights that were not used.
    """

    loaded: tuple[str, ...]
    by_class: tuple[str, ...]
    carried: tuple[str, ...]
    fresh: tuple[str, ...]
    new: tuple[str, ...]
    skipped: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Yield the lines of the report."""
        yield f"  loaded   {len(self.loaded)} tensors, unchanged"
        if self.by_class:
            yield (
                f"  classes  {_counted(self.by_class)}: {len(self.carried)} matched by name"
                f"{_examples(self.carried)}, {len(self.fresh)} new{_examples(self.fresh)}"
            )
        elif self.fresh:
            yield f"  classes  none matched by name, {len(self.fresh)} new{_examples(self.fresh)}"
        yield f"  new      {_counted(self.new)}"
        yield f"  skipped  {_counted(self.skipped)}"


def transfer(start: Model, model: Model) -> Transfer:
    """Copy the weights of `start` that fit into `model`.

    Raises:
        ModelError: No complete tensor fits.
    """
    given, wanted = start.network.state_dict(), model.network.state_dict()
    same_classes = _names(start) == _names(model)
    rows = {} if same_classes else rows_to_transfer(model.plan)
    pairs = _same_names(_names(start), _names(model))
    loaded, by_class, new = [], [], []
    for name, tensor in wanted.items():
        source = given.get(name)
        if source is not None and name not in rows and source.shape == tensor.shape:
            tensor.copy_(source)
            loaded.append(name)
        elif pairs and source is not None and _copy_rows(source, tensor, rows.get(name), pairs, start):
            by_class.append(name)
        else:
            new.append(name)
    if not loaded:
        raise ModelError(
            describe(
                "None of the weights fit the network",
                found=f"{start.plan.network.name} {start.plan.network.options}",
                expected=f"{model.plan.network.name} {model.plan.network.options}",
            )
        )
    model.network.load_state_dict(wanted)
    carried = {ours for _, ours in pairs} if by_class else set()
    names = model.labels.names
    return Transfer(
        tuple(loaded),
        tuple(by_class),
        tuple(name for index, name in enumerate(names) if index in carried),
        () if same_classes else tuple(name for index, name in enumerate(names) if index not in carried),
        tuple(new),
        tuple(sorted(given.keys() - set(loaded) - set(by_class))),
    )


def rows_to_transfer(plan: Plan) -> dict[str, int | None]:
    """Return the tensors of a network whose shapes depend on the number of classes.

    Returns:
        Name -> axis with one row per class (and one more for "no object" in networks that find objects, or
        for queries without a class), or None if the classes are arranged in another way.
    """
    count = plan.data.label_table.num_classes
    ours, more = _shapes(plan, count), _shapes(plan, count + 1)
    found: dict[str, int | None] = {}
    for name, shape in ours.items():
        axes = [axis for axis, side in enumerate(shape) if side != more[name][axis]]
        if axes:
            (axis, *others) = axes
            has_rows = not others and shape[axis] in (count, count + 1)
            found[name] = axis if has_rows else None
    return found


def _copy_rows(
    source: torch.Tensor,
    tensor: torch.Tensor,
    axis: int | None,
    pairs: Sequence[tuple[int, int]],
    start: Model,
) -> bool:
    """Copy the rows of the same classes, and those after the last class; return whether this was possible."""
    if axis is None or source.ndim != tensor.ndim:
        return False
    theirs = source.movedim(axis, 0)
    ours = tensor.movedim(axis, 0)
    extra = len(theirs) - start.labels.num_classes
    if theirs.shape[1:] != ours.shape[1:] or extra < 0:
        return False
    for index, place in pairs:
        ours[place] = theirs[index]
    if extra:
        ours[-extra:] = theirs[-extra:]
    return True


def _shapes(plan: Plan, num_classes: int) -> dict[str, torch.Size]:
    with weightless():
        network = build_network(
            plan.network.name,
            num_classes=num_classes,
            in_channels=plan.input.channels,
            spatial_dims=plan.input.spatial_dims,
            **plan.network.options,
        )
        replace_norms(network, plan.network.norm)
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def _names(model: Model) -> list[str]:
    return [name.casefold() for name in model.labels.names]


def _same_names(theirs: Sequence[str], ours: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of indices of equal names."""
    return [(theirs.index(name), place) for place, name in enumerate(ours) if name in theirs]


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} tensors{_examples(names)}"


def _examples(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f" ({', '.join(names[:SHOWN])}{', ...' * (len(names) > SHOWN)})"
