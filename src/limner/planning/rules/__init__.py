"""The rules, one file per topic. `RULES` is the order in which they are applied.

A rule reads the case and earlier decisions, and yields decisions with their reasons. Rules do no I/O and
train nothing.
"""

from limner.planning.decisions import Rule
from limner.planning.rules.augmentation import choose_colour, choose_geometry, choose_sampling, choose_zoom
from limner.planning.rules.batch_size import choose_batch, choose_compiling, choose_precision, choose_workers
from limner.planning.rules.cascade import choose_cascade
from limner.planning.rules.decoding import choose_decoding
from limner.planning.rules.duration import (
    choose_averaging,
    choose_checkpoints,
    choose_steps,
    warn_of_short_run,
)
from limner.planning.rules.inference import choose_window, choose_words
from limner.planning.rules.input import (
    choose_channels,
    choose_crop,
    choose_normalization,
    choose_reduction,
    choose_resize,
    choose_values,
)
from limner.planning.rules.loss import choose_loss, tell_partial_labels
from limner.planning.rules.network import (
    choose_network,
    choose_pretraining,
    choose_task,
    warn_of_few_queries,
)
from limner.planning.rules.optimization import choose_learning_rate, choose_optimizer, choose_schedule
from limner.planning.rules.patch import choose_patch
from limner.planning.rules.probe import choose_probe
from limner.planning.rules.sharding import choose_sharding
from limner.planning.rules.volume_augmentation import choose_slice_augmentation, choose_volume_augmentation
from limner.planning.rules.volumes import choose_normalized_voxels, choose_spacing, choose_volumes

RULES: tuple[Rule, ...] = (
    choose_task,
    choose_volumes,
    choose_normalized_voxels,
    choose_spacing,
    choose_channels,
    choose_resize,
    choose_network,
    choose_pretraining,
    choose_loss,
    tell_partial_labels,
    choose_normalization,
    choose_values,
    choose_precision,
    choose_sharding,
    choose_geometry,
    choose_reduction,
    choose_crop,
    choose_cascade,
    choose_patch,
    warn_of_few_queries,
    choose_zoom,
    choose_decoding,
    choose_colour,
    choose_volume_augmentation,
    choose_slice_augmentation,
    choose_sampling,
    choose_batch,
    choose_workers,
    choose_compiling,
    choose_optimizer,
    choose_steps,
    warn_of_short_run,
    choose_learning_rate,
    choose_schedule,
    choose_averaging,
    choose_checkpoints,
    choose_window,
    choose_probe,
    choose_words,
)
