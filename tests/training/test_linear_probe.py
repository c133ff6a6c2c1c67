"""The last layer on frozen features is the optimum that scikit-learn finds for the same problem."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression

import limner
from limner.core.image_class import ImageClass
from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import LossPlan
from limner.core.watchers import Watcher
from limner.networks.backbones.image_encoder import build_encoder
from limner.tasks import find_task
from limner.training.linear_probe import Labelled, _fitted, _Scale

K, N, F = 3, 60, 8


def problem():
    rng = np.random.default_rng(0)
    truth = rng.integers(K, size=N)
    features = (rng.normal(size=(N, 1, F)) * 5 + truth[:, None, None]).astype(np.float32)
    return features, truth


@pytest.mark.parametrize("strength", [0.01, 0.5])
def test_the_layer_is_the_regularised_optimum(strength):
    features, truth = problem()
    labels = LabelTable(tuple(LabelClass(str(k), (k,), (k, k, k)) for k in range(K)))
    criterion = find_task("classification").build_criterion(LossPlan(), labels=labels)
    scale = _Scale.of(features)
    labelled = Labelled(scale.applied(features), {ImageClass: torch.from_numpy(truth)})
    head, steps = _fitted(criterion, labelled, K, strength, most_steps=500)
    assert 1 < steps < 500
    # scikit-learn sums the losses and weights them by C: the same optimum at C = 1 / (N strength).
    reference = LogisticRegression(C=1 / (N * strength), tol=1e-8, max_iter=5000)
    reference.fit(labelled.features.numpy(), truth)
    weight, bias = scale.undone(head)
    chances = (torch.from_numpy(features[:, 0]) @ weight.T + bias).softmax(1)  # of features as they are
    np.testing.assert_allclose(
        chances.detach().numpy(), reference.predict_proba(labelled.features.numpy()), atol=2e-3
    )


def test_features_of_the_same_images_are_computed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for kind, color in (("a", 60), ("b", 180)):
        for number in range(5):
            path = tmp_path / "data" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(color - 40, color + 40, (40, 40, 3), dtype=np.uint8))
    weights = tmp_path / "resnet18_width16.safetensors"
    save_file(build_encoder("resnet18_width16").state_dict(), weights)
    settings = {
        "network": {"name": "linear-probe", "pretrained": str(weights)},
        "inference": {"resize": {"shortest": 40, "longest": 80}},
    }
    said = []

    class Listener(Watcher):
        def say(self, message):
            said.append(message)

    for name in ("first", "second"):
        limner.train(
            tmp_path / "data", run=tmp_path / name, settings=settings, device="cpu", watchers=[Listener()]
        )
    computed = [message for message in said if "Features computed for" in message]
    assert [message.split("computed for ")[1].split()[0] for message in computed] == ["10", "0"]
