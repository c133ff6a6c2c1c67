import pytest
import torch

from limner.core.errors import ConfigError
from limner.networks import build_network
from limner.networks.eomt import mask_share
from limner.networks.weightless import weightless

TINY = {
    "backbone": "vit_tiny_patch16_224",
    "num_blocks": 3,
    "joint_blocks": 2,
    "num_queries": 6,
    "image_size": 64,
}
# First and last steps of the giving up, of 88692 (12 epochs of COCO), in the authors' configurations.
CONFIGURATIONS = [
    ((14782, 29564, 44346, 59128), (29564, 44346, 59128, 73910)),  # large
    ((14782, 36955, 59128), (29564, 51737, 73910)),  # small and base
]


@pytest.fixture
def images():
    return torch.randn(2, 3, 70, 64, generator=torch.Generator().manual_seed(0))


def build(**options):
    torch.manual_seed(0)
    return build_network("eomt", num_classes=3, **TINY | options)


@pytest.mark.parametrize(("starts", "ends"), CONFIGURATIONS)
def test_masks_are_given_up_when_the_authors_do(starts, ends):
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        shares = [mask_share(index, len(starts), step / 88692) for step in (0, start, end, 88692)]
        assert shares == pytest.approx([1, 1, 0, 0], abs=1e-6)
        halfway = mask_share(index, len(starts), (start + end) / 2 / 88692)
        assert halfway == pytest.approx(0.5**0.9, abs=1e-3)


def test_each_joint_block_and_the_end_are_supervised(images):
    outputs = build().train()(images)
    assert len(outputs.auxiliary) == 2
    for layer in (outputs, *outputs.auxiliary):
        assert layer.class_logits.shape == (2, 6, 4)
        assert layer.mask_logits.shape == (2, 6, 18, 16)
    first = outputs.auxiliary[0].class_logits
    torch.testing.assert_close(first[0], first[1])  # learned queries have not seen the image yet


def test_trained_to_the_end_it_needs_no_masks(images):
    network = build()
    with torch.no_grad():
        at_first = network.train()(images)
        network.set_progress(1.0)
        trained, predicted = network(images), network.eval()(images)
        never = build(masked=False).eval()
        never.load_state_dict(network.state_dict())
    torch.testing.assert_close(trained.mask_logits, predicted.mask_logits)
    torch.testing.assert_close(never(images).mask_logits, predicted.mask_logits)
    assert (at_first.mask_logits - trained.mask_logits).abs().max() > 1e-3


def test_while_masks_are_given_up_chance_decides_in_training_alone(images):
    network = build().train()
    network.set_progress(0.25)  # the first block is halfway
    draws = [network(images).class_logits for _ in range(4)]
    assert any(not torch.equal(draws[0], other) for other in draws[1:])
    network.eval()
    assert torch.equal(network(images).class_logits, network(images).class_logits)


def test_weights_say_whether_they_look_through_masks(images):
    trained = build().eval()
    trained.set_progress(1.0)
    loaded = build().eval()
    before = loaded(images).class_logits
    loaded.load_state_dict(trained.state_dict())
    assert torch.equal(loaded(images).class_logits, trained(images).class_logits)
    assert not torch.equal(loaded(images).class_logits, before)


def test_the_papers_joint_blocks():
    with weightless():
        counts = [len(build(joint_blocks=None, num_blocks=blocks).mask_shares) for blocks in (12, 24)]
    assert counts == [3, 4]


def test_more_joint_blocks_than_blocks():
    with pytest.raises(ConfigError, match=r"(?s)joint_blocks = 4.*at most 3"):
        build(joint_blocks=4)
