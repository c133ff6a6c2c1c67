"""Mixup and CutMix: images and classes are mixed alike."""

import numpy as np
import pytest
import torch

from limner.core.batch import Batch
from limner.core.image_class import ClassShares, ImageClass
from limner.loading.mixing import Mixing

NAMES = tuple("abcd")


def batch_of(dtype=torch.uint8):
    """Four images; image number i has the value 50 i everywhere, and class i."""
    images = (torch.arange(4) * 50).to(dtype).view(4, 1, 1, 1).expand(4, 3, 16, 20).contiguous()
    return Batch(images, NAMES, {ImageClass: torch.arange(4)})


def mixed(seed=0, mixup=0.0, cutmix=0.0, batch=None):
    return Mixing(mixup, cutmix, 4)(batch or batch_of(), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ways", [{"mixup": 0.8}, {"cutmix": 1.0}])
def test_the_mean_of_a_mixed_image_is_that_of_its_classes(seed, ways):
    found = mixed(seed, **ways)
    shares = found.get(ClassShares)
    torch.testing.assert_close(shares.sum(1), torch.ones(4))
    # Class i has the value 50 i, so the mean value tells the shares; rounding costs up to one half.
    expected = shares @ (torch.arange(4) * 50.0)
    assert (found.images.float().mean((1, 2, 3)) - expected).abs().max() <= 0.5
    assert found.images.dtype == torch.uint8
    assert found.get(ImageClass) is None


def test_cutmix_pastes_a_box_and_mixup_blends():
    pasted, blended = mixed(3, cutmix=1.0).images, mixed(3, mixup=1.0).images
    assert all(len(image.unique()) <= 2 for image in pasted)
    assert all(len(image.unique()) == 1 for image in blended)


def test_with_both_each_batch_is_mixed_in_one_way():
    kinds = {max(len(i.unique()) for i in mixed(s, mixup=0.8, cutmix=1.0).images) for s in range(20)}
    assert kinds == {1, 2}


def test_several_classes_are_mixed_too():
    shares = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    batch = Batch(batch_of().images, NAMES, {ClassShares: shares})
    found = mixed(1, mixup=0.8, batch=batch).get(ClassShares)
    torch.testing.assert_close(found.sum(0), shares.sum(0))  # each image is once itself and once a partner


def test_the_same_generator_gives_the_same_mixture():
    one, other = mixed(7, mixup=0.4), mixed(7, mixup=0.4)
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.get(ClassShares), other.get(ClassShares))
