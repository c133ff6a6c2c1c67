"""The same weights give the same scores as Hugging Face transformers' MaskFormer (its semantic form)."""

import pytest
import torch

from limner.core.outputs import QueryMasks
from limner.core.segments import SegmentTargets
from limner.losses.segment_set import SegmentSetLoss
from limner.networks import NETWORKS, build_network
from limner.weights.renaming import rename
from limner.weights.sources.queries.maskformer_checkpoints import NAMING

pytestmark = pytest.mark.peer

CLASSES = 7


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_scores_equal_transformers(size, randomize):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    backbone = transformers.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
    decoder = transformers.DetrConfig(num_queries=12, decoder_layers=3)
    torch.manual_seed(0)
    settings = transformers.MaskFormerConfig(
        backbone_config=backbone, decoder_config=decoder, num_labels=CLASSES
    )
    theirs = randomize(transformers.MaskFormerForInstanceSegmentation(settings))
    ours = build_network("maskformer", num_classes=CLASSES, num_queries=12, decoder_layers=3).eval()
    found = ours.load_state_dict(rename(theirs.state_dict(), NAMING).tensors, strict=False)
    assert not found.unexpected_keys
    assert not [key for key in found.missing_keys if "num_batches" not in key]
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(images), ours(images)
    torch.testing.assert_close(found.class_logits, expected.class_queries_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.mask_logits, expected.masks_queries_logits, atol=1e-4, rtol=1e-4)


def test_the_loss_at_all_pixels_equals_transformers(monkeypatch):
    maskformer = pytest.importorskip(
        "transformers.models.maskformer.modeling_maskformer", reason="transformers is not installed"
    )
    height, width = 12, 16
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = torch.stack(((columns + 0.5) / width, (rows + 0.5) / height), -1).view(-1, 2)
    draws = torch.Generator().manual_seed(0)
    outputs = QueryMasks(
        torch.randn(2, 9, CLASSES + 1, generator=draws),
        torch.randn(2, 9, 4, generator=draws),
        torch.randn(2, 4, height, width, generator=draws),
    )
    masks = torch.rand(2, 3, height, width, generator=draws) > 0.5
    labels = [torch.tensor([0, 3, 3]), torch.tensor([6, 1, 2])]
    monkeypatch.setattr(torch, "rand", lambda shape, **_: centres.expand(shape).contiguous())
    matcher = maskformer.MaskFormerHungarianMatcher(cost_class=1.0, cost_mask=20.0, cost_dice=1.0)
    reference = maskformer.MaskFormerLoss(CLASSES, matcher, weight_dict={}, eos_coef=0.1)
    theirs = reference(outputs.mask_logits, outputs.class_logits, list(masks.float()), labels)
    targets = [SegmentTargets(own, each) for own, each in zip(masks, labels, strict=True)]
    ours = SegmentSetLoss(**NETWORKS["maskformer"].loss, num_points=height * width)(outputs, targets)
    torch.testing.assert_close(ours["class"], theirs["loss_cross_entropy"])
    torch.testing.assert_close(ours["mask"], 20 * theirs["loss_mask"])
    torch.testing.assert_close(ours["dice"], theirs["loss_dice"])
