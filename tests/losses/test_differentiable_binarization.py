import numpy as np
import pytest
import torch

from limner.core.errors import ConfigError
from limner.core.outputs import TextMaps
from limner.core.words import Words
from limner.losses.differentiable_binarization import DifferentiableBinarizationLoss
from limner.losses.text_targets import draw_text_targets

SIZE = (32, 48)


def words(ignored=False):
    polygon = np.array([[6, 8], [40, 8], [40, 24], [6, 24]], float)
    return Words.stack([Words((polygon,), ("a",), np.array([ignored])), Words((), (), np.zeros(0, bool))])


def outputs(seed=0):
    draws = torch.Generator().manual_seed(seed)
    return TextMaps(*(torch.randn(2, 1, *SIZE, generator=draws, requires_grad=True) for _ in range(2)))


def test_terms_are_those_of_the_authors():
    """Written once more in numpy, from equation 2 and the authors' weights."""
    found, targets = outputs(), draw_text_targets(words(), SIZE)
    p, t = (
        torch.sigmoid(maps).detach().numpy().astype(np.float64)
        for maps in (found.logits, found.threshold_logits)
    )
    cores, known = targets.cores.numpy(), targets.known.numpy()
    entropy = -np.where(cores, np.log(p), np.log(1 - p))
    negatives = np.sort(entropy[known & ~cores])[::-1][: 3 * cores.sum()]
    binary = 1 / (1 + np.exp(-50 * (p - t))) * known
    expected = {
        "probability": 5 * np.concatenate([entropy[cores], negatives]).mean(),
        "threshold": 10 * np.abs(t - targets.thresholds.numpy())[targets.near.numpy()].mean(),
        "binary": 1 - 2 * (binary * cores).sum() / (binary.sum() + cores.sum()),
    }
    loss = DifferentiableBinarizationLoss()(found, words(), SIZE)
    assert {name: value.item() for name, value in loss.items()} == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("ignored", [True, None])
def test_without_a_word_that_counts_the_background_is_learned(ignored):
    batch = words(True) if ignored else Words.stack([Words((), (), np.zeros(0, bool))] * 2)
    found = outputs()
    loss = sum(DifferentiableBinarizationLoss()(found, batch, SIZE).values())
    loss.backward()
    gradient = found.logits.grad
    # A thousandth of 2 x 32 x 48 pixels, without those in the ignored word.
    assert (gradient > 0).sum() == 3 - bool(ignored) and not (gradient < 0).any()
    if ignored:
        assert not gradient[0, 0, 8:24, 6:40].any()


def test_outputs_of_another_resolution_are_resized():
    half = TextMaps(*(maps[..., ::2, ::2] for maps in (outputs().logits, outputs(1).threshold_logits)))
    assert all(part.isfinite() for part in DifferentiableBinarizationLoss()(half, words(), SIZE).values())


@pytest.mark.parametrize("option", [{"shrink": 1.0}, {"least_negatives": 0.0}, {"steepness": -1.0}])
def test_settings_out_of_range_are_named(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        DifferentiableBinarizationLoss(**option)
