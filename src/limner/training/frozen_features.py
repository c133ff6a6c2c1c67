"""Features of a frozen encoder, computed once for each image and kept in the user's cache folder.

Shape legend: N images, V views of each (as it is, and mirrored), F features.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from limner.checks.measuring import digest
from limner.core.sample import Sample
from limner.devices.precision import precision_context
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.storage.cache import Cache
from limner.weights.tensors import tensors_hash

Features = npt.NDArray[np.float32]
"""(V, F) of one image."""

MOST_BYTES = 2**29
"""Maximum number of bytes of features in the cache; more are computed again in the next run."""

_FILES = Cache("features", suffix=".npz")


@dataclass
class FrozenFeatures:
    """Computes the input of the last layer, with the same preparation of images as in prediction.

    Attributes:
        predictor: The model; its network has a `backbone` that returns (1, F).
        mirrored: Whether a left-right mirrored view is used too.
        known: Digest of an image's pixels -> its features.
        num_computed: Number of images whose features were not in the cache.
    """

    predictor: Predictor
    mirrored: bool
    known: dict[str, Features] = field(default_factory=dict)
    num_computed: int = 0

    def of(self, sample: Sample) -> Features:
        """Return (V, F) features of an image."""
        key = digest(sample.image)
        if key not in self.known:
            self.known[key] = self._computed(sample)
            self.num_computed += 1
        return self.known[key]

    def recall(self, root: Path) -> None:
        """Load the features that the same encoder computed for the same dataset folder from the cache."""

        def read(file: BinaryIO) -> dict[str, Features]:
            with np.load(file, allow_pickle=False) as arrays:
                is_same = str(arrays["encoder"]) == self._encoder
                return dict(zip(arrays["keys"].tolist(), arrays["features"], strict=True)) if is_same else {}

        self.known |= _FILES.load(root, read) or {}

    def keep(self, root: Path) -> None:
        """Store the features in the cache, unless they are too large."""
        features = np.stack(list(self.known.values()))
        if self.num_computed and features.nbytes <= MOST_BYTES:
            keys = np.array(list(self.known), np.str_)
            encoder = np.array(self._encoder)
            _FILES.save(root, lambda file: np.savez(file, encoder=encoder, keys=keys, features=features))

    @property
    def _encoder(self) -> str:
        """Everything besides the pixels that the features depend on."""
        plan, network = self.predictor.plan, _encoder_of(self.predictor.model.network)
        weights = tensors_hash(network.state_dict())
        seen = plan.input.model_dump_json(include={"mean", "std", "channels"})
        return (
            f"{weights} {seen} {plan.resize_for(self.predictor.settings).model_dump_json()} {self.mirrored}"
        )

    def _computed(self, sample: Sample) -> Features:
        predictor = self.predictor
        images, _ = predictor.inputs(sample.image, where=sample.name, reduction=sample.reduction)
        views = [images, images.flip(3)] if self.mirrored else [images]
        encoder = _encoder_of(predictor.model.network)
        with torch.inference_mode(), precision_context(predictor.device, predictor.precision):
            found = [encoder(predictor.model.normalization(view)).float().cpu().numpy() for view in views]
        return np.concatenate(found)


def features_of_datasets(
    datasets: Iterable[Dataset], features: FrozenFeatures, root: Path
) -> Mapping[Dataset, npt.NDArray[np.float32]]:
    """Return dataset -> (N, V, F) features of its images, using the cache of the dataset folder.

    Args:
        datasets: The images.
        features: Computes and remembers features.
        root: The dataset folder.
    """
    features.recall(root)
    found = {each: np.stack([features.of(each[i]) for i in range(len(each))]) for each in datasets}
    features.keep(root)
    return found


def _encoder_of(network: nn.Module) -> nn.Module:
    encoder = network.get_submodule("backbone")
    return encoder.eval()
