"""The patch of networks in three dimensions, and their stages where these follow from it."""

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

from limner.core.affine import spacing_text
from limner.core.plan import Decision
from limner.core.wording import memory, number, share, size
from limner.networks import NETWORKS
from limner.networks.nnunet_topology import Topology, plan_topology
from limner.planning.decisions import Case
from limner.planning.patch_size import REFERENCE_GIB, batch_of_patches, plan_patch, reference_elements
from limner.planning.rules.duration import training_seconds
from limner.planning.rules.input import FEWEST_SAMPLES, memory_budget
from limner.planning.rules.network import preset_of
from limner.tasks import find_task

FEWEST_STEPS = 300
"""Number of steps that a patch must leave room for in a time budget on a CPU: on slices of the hippocampus, a
U-Net reached a mean Dice of 0.79 in as many (benchmarks/RESULTS.md)."""

LEAST_VOXELS = 24**3
"""Number of voxels down to which a short time makes patches smaller: less shows too little
around a voxel. A choice, not measured."""


def choose_patch(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use the largest patch with the proportions of the median volume that memory and time allow."""
    if case.spatial_dims != 3 or find_task(settled["task"]).sees_whole_images:
        return
    median = case.seen(settled).median
    spacing = seen_spacing(case, settled)
    fits, limit = what_fits(case, settled)
    topology = plan_patch(spacing, median, fits)
    reason = f"the median volume is {size(median)} at {spacing_text(spacing)}"
    patch = topology.patch
    covered = min(prod(patch) / prod(median), 1.0)
    if any(side < most for side, most in zip(patch, median, strict=True)):
        reason += f", and a patch has its proportions; {limit}"
    reason += f"; it covers {share(covered)} of the volume, in steps that the network can halve"
    yield Decision("input.crop_size", patch, reason)
    entry = NETWORKS.get(settled["network.name"])
    if entry is not None and entry.takes_topology and case.start is None:
        reason = (
            "stages, kernels and strides for this patch; in training, coarser resolutions are scored, too "
            "(deep supervision), as in nnU-Net"
        )
        yield Decision("network.options", topology.options(), reason)


def what_fits(case: Case, settled: Mapping[str, Any]) -> tuple[Callable[[Topology], bool], str]:
    """Return what tells whether the patch of a topology fits in memory and time, and what limits it."""
    entry, preset = NETWORKS.get(settled["network.name"]), preset_of(case, settled)
    place = "the CPU" if case.machine.is_cpu else "this accelerator"
    limits = [(float(preset.crop_pixels), f"up to {number(preset.crop_pixels)} voxels on {place}")]
    if entry is not None and entry.takes_topology and case.start is None:
        most = reference_elements(memory_budget(case))
        limit = f"more does not fit in {memory(min(memory_budget(case), REFERENCE_GIB * 2**30))} of memory"
        voxels = limits[0][0] if case.machine.is_cpu else float("inf")

        def fits(topology: Topology) -> bool:
            elements = topology.map_elements(num_classes=case.labels.num_classes)
            return elements <= most and prod(topology.patch) <= voxels

        return fits, limit
    cost, budget = case.cost(settled), memory_budget(case)
    fitting = cost.pixels_that_fit(budget, optimizer=settled["optimizer.name"]) // FEWEST_SAMPLES
    limits.append((fitting, f"more does not fit in {memory(budget)} of memory"))
    if case.machine.is_cpu and case.minutes is not None:
        seconds = training_seconds(case.minutes) / FEWEST_STEPS
        voxels = max(seconds - cost.seconds_per_step, 0) / cost.seconds_per_pixel / preset.batch_size
        voxels = max(voxels, float(LEAST_VOXELS))
        limits.append((voxels, f"a larger one would leave fewer than {FEWEST_STEPS} steps"))
    most, limit = min(limits)
    return (lambda topology: prod(topology.patch) <= most), limit


def batch_of_volumes(case: Case, settled: Mapping[str, Any]) -> int:
    """Return the number of patches in a batch on an accelerator."""
    patch, median = settled["input.crop_size"], case.seen(settled).median
    voxels = float(prod(median) * case.fingerprint.num_training)
    entry = NETWORKS.get(settled["network.name"])
    if entry is None or not entry.takes_topology:
        return batch_of_patches(prod(patch), preset_of(case, settled).crop_pixels, patch, voxels)
    topology = plan_topology(patch, seen_spacing(case, settled))
    elements = topology.map_elements(num_classes=case.labels.num_classes)
    return batch_of_patches(elements, reference_elements(memory_budget(case)), patch, voxels)


def seen_spacing(case: Case, settled: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the spacing at which the network sees volumes or slices; the median if not resampled."""
    volumes = case.fingerprint.volumes
    if settled["input.resample"] and settled["input.spacing_mm"] is not None:
        return tuple(settled["input.spacing_mm"])
    if volumes is not None and volumes.spacings_mm:
        cut = None if case.fingerprint.slicing is None else case.fingerprint.slicing.axis
        return tuple(step for axis, step in enumerate(volumes.median_spacing_mm) if axis != cut)
    return (1.0,) * case.spatial_dims
