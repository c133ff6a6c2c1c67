"""The networks that look far give mmsegmentation 1.2.2's scores on the same weights."""

from itertools import product

import pytest
import torch

from limner.networks import build_network
from limner.weights.renaming import Naming, rename
from limner.weights.sources.facts.openmmlab_backbones import BACKBONES
from limner.weights.sources.pixels.mmseg import rename_mmseg

pytestmark = pytest.mark.peer

NORM = {"type": "BN"}
DILATED = {"dilations": (1, 1, 2, 4), "strides": (1, 2, 1, 1), "contract_dilation": True}
NUM_CLASSES = 7
DEEP, MIDDLE = 512, 256  # channels of a ResNet-18's last maps
# Our name -> (their head's options, ours).
HEADS = {
    "fcn": ({"type": "FCNHead", "num_convs": 2}, {}),
    "deeplabv3": ({"type": "ASPPHead", "dilations": (1, 12, 24, 36)}, {}),
    "ccnet": ({"type": "CCHead"}, {}),
    "danet": ({"type": "DAHead", "pam_channels": DEEP // 32}, {}),
    "ann": (
        {"type": "ANNHead", "in_channels": [MIDDLE, DEEP], "in_index": [2, 3], "project_channels": 64},
        {},
    ),
    "emanet": (
        {
            "type": "EMAHead",
            "channels": DEEP // 8,
            "ema_channels": DEEP // 4,
            "num_bases": 64,
            "num_stages": 3,
        },
        {},
    ),
    "psanet": ({"type": "PSAHead", "mask_size": (7, 7)}, {"mask_size": 7}),
    "upernet": (
        {"type": "UPerHead", "in_channels": [64, 128, 256, 512], "in_index": [0, 1, 2, 3]},
        {"channels": 128},
    ),
    "semantic-fpn": (
        {
            "type": "FPNHead",
            "in_channels": [32] * 4,
            "in_index": [0, 1, 2, 3],
            "feature_strides": [4, 8, 16, 32],
        },
        {"pyramid_channels": 32, "channels": 128},
    ),
}
# The one head whose checkpoints are not imported.
PSANET = Naming(
    "mmsegmentation",
    r"^decode_head\.attention_p\.",
    (
        *BACKBONES["ResNetV1c"][1],
        (r"^decode_head\.reduce\.", "context.0.collect.reduction."),
        (r"^decode_head\.attention\.0\.", "context.0.collect.features."),
        (r"^decode_head\.attention\.1\.", "context.0.collect.masks."),
        (r"^decode_head\.reduce_p\.", "context.0.distribute.reduction."),
        (r"^decode_head\.attention_p\.0\.", "context.0.distribute.features."),
        (r"^decode_head\.attention_p\.1\.", "context.0.distribute.masks."),
        (r"^decode_head\.proj\.", "context.0.projection."),
        (r"^decode_head\.bottleneck\.", "context.1."),
        (r"^decode_head\.conv_seg\.", "head.conv."),
        (r"^((?!backbone).*)\.bn\.", r"\1.norm."),
    ),
)


@pytest.mark.parametrize("name", HEADS)
def test_scores_equal_mmsegmentations(mmseg_models, randomize, name):
    options, our_options = HEADS[name]
    theirs = randomize(_mmseg(mmseg_models, name, options))
    if name == "psanet":
        theirs["decode_head"].psamask_collect = _PSAMask(collects=True)
        theirs["decode_head"].psamask_distribute = _PSAMask(collects=False)
        # Theirs puts a border of zeros around the map before a 1x1 convolution; the authors' code does not.
        theirs["decode_head"].proj.conv.padding = (0, 0)
    ours = build_network(name, num_classes=NUM_CLASSES, backbone="resnet18c", **our_options)
    side_head = {key: value for key, value in ours.state_dict().items() if key.startswith("auxiliary_head")}
    ours.load_state_dict(_renamed(theirs.state_dict(), options["type"]) | side_head)
    # Their upsampling doubles, ours goes to the finer level's size: equal where all sizes are even.
    size = (64, 96) if name == "semantic-fpn" else (65, 97)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        expected = theirs["decode_head"](theirs["neck"](theirs["backbone"](images)))
        scores = ours.eval()(images).logits

    # DANet's head gives three maps, of which the first is the prediction.
    expected = expected[0] if isinstance(expected, tuple) else expected
    assert expected.std() > 0.1
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=1e-4)


class _PSAMask(torch.nn.Module):
    """Their compiled operator in plain loops, after section 3.2 of the PSANet paper."""

    def __init__(self, *, collects):
        super().__init__()
        self.collects = collects

    def forward(self, masks):
        batch, _, height, width = masks.shape
        placed = torch.zeros(batch, height, width, height, width)
        for y, x in product(range(height), range(width)):
            for i, j in product(range(7), range(7)):
                place = (y + i - 3, x + j - 3)
                if 0 <= place[0] < height and 0 <= place[1] < width:
                    where = (*place, y, x) if self.collects else (y, x, *place)
                    placed[(slice(None), *where)] = masks[:, i * 7 + j, y, x]
        return placed.reshape(batch, height * width, height, width)


def _mmseg(models, name, options):
    backbone = {
        "type": "ResNetV1c",
        "depth": 18,
        "num_stages": 4,
        "out_indices": (0, 1, 2, 3),
        "norm_cfg": NORM,
        **(DILATED if name not in ("upernet", "semantic-fpn") else {}),
    }
    neck = {"type": "FPN", "in_channels": [64, 128, 256, 512], "out_channels": 32, "num_outs": 4}
    head = {
        "in_channels": DEEP,
        "in_index": 3,
        "channels": DEEP // 4,
        "num_classes": NUM_CLASSES,
        "norm_cfg": NORM,
        "align_corners": False,
        **options,
    }
    return torch.nn.ModuleDict(
        {
            "backbone": models.BACKBONES.build(backbone),
            "neck": models.BACKBONES.build(neck) if name == "semantic-fpn" else torch.nn.Identity(),
            "decode_head": models.HEADS.build(head),
        }
    )


def _renamed(state, head):
    if head == "PSAHead":
        return rename(state, PSANET).tensors
    return rename_mmseg(state, head, "ResNetV1c").tensors
