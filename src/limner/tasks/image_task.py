"""What the tasks about whole images share: size of the images, network, and the run of the network."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelTable
from limner.core.plan import Decision, InferencePlan
from limner.core.prediction import ClassPrediction, Prediction, TagPrediction
from limner.evaluation.scorer import MISTAKES_AND_HITS
from limner.tasks.allowed import Allowed
from limner.tasks.class_presets import find_class_preset
from limner.tasks.presets import Preset
from limner.tasks.situation import Situation, on_machine, within_budget
from limner.tasks.task import Task

MOST_EXPLAINED = 3
"""Number of classes whose evidence is drawn if the user names none."""


class ImageTask(Task):
    """A task about classes of whole images."""

    sees_whole_images = True
    array_kinds = ("ClassLogits",)
    averages = True
    picture_groups = MISTAKES_AND_HITS
    allowed = Allowed(
        windows=False,
        sorting=True,
        why_not="predicts each image as a whole, resized to one size: windows would show only parts of it",
    )

    def averaged(
        self,
        predictions: Iterator[ClassPrediction | TagPrediction],
        *,
        labels: LabelTable,
        settings: InferencePlan,
        probabilities: bool,
    ) -> Prediction:
        """Return the mean probability of each class."""
        found = [*predictions]
        mean = np.stack([one.probabilities for one in found]).mean(axis=0, dtype=np.float32)
        return replace(found[0], probabilities=np.asarray(mean))

    def preset(self, situation: Situation) -> Preset:
        """Return encoder, size of the images and batch size for this machine and time."""
        return find_class_preset(on_cpu=situation.machine.is_cpu, minutes=situation.minutes)

    def default_network(self, situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
        """Choose the preset's encoder, or the one that the file of its weights is named after.

        Raises:
            ConfigError: The images are volumes, for which there is no encoder.
        """
        if situation.spatial_dims != 2:
            raise ConfigError(
                describe(
                    "Classes of whole volumes cannot be trained yet",
                    found=f"{situation.spatial_dims} dimensions",
                    expected="images of 2 dimensions, which the encoders take",
                    fix="Save the slices as images.",
                )
            )
        preset = self.preset(situation)
        where = on_machine(situation) + within_budget(situation)
        yield Decision("network.name", preset.network, f"{where}: {preset.why}")
        from limner.networks import NETWORKS

        entry = NETWORKS.get(settled.get("network.name", preset.network))
        if entry is None or "backbone" not in entry.options.model_fields:
            return
        named = _encoder_named_by(str(settled.get("network.pretrained", "")))
        if named:
            yield Decision(
                "network.options", {"backbone": named}, "the encoder that the weight file is named after"
            )
        else:
            yield Decision("network.options", dict(preset.options), "the encoder from the same preset")


def _encoder_named_by(pretrained: str) -> str:
    """Return the encoder whose name a weight file has; empty for other files and for words."""
    stem = Path(pretrained).stem
    if not Path(pretrained).suffix:
        return ""
    from limner.networks.backbones.image_encoder import is_encoder

    return stem if is_encoder(stem) else ""
