"""The same weights give the same scores as mmsegmentation 1.2.2, on plain Vision Transformers."""

import pytest
import torch

from limner.networks import build_network
from limner.weights.renaming import rename
from limner.weights.sources.pixels.beit_checkpoints import MMSEGMENTATION
from limner.weights.sources.pixels.mmseg_vits import rename_mmseg_vit

pytestmark = pytest.mark.peer

NORM = {"type": "BN"}
TRANSFORMER = {
    "img_size": (64, 64),
    "embed_dims": 192,
    "num_layers": 4,
    "num_heads": 3,
    "out_indices": (0, 1, 2, 3),
    "norm_cfg": {"type": "LN", "eps": 1e-6},
}
OURS = {"backbone": "vit_tiny_patch16_224", "num_blocks": 4, "image_size": 64, "channels": 32}
HEAD = {"num_classes": 19, "norm_cfg": NORM, "align_corners": False}
SIDE = {"type": "FCNHead", "in_channels": 192, "num_convs": 1, "concat_input": False, "channels": 16, **HEAD}
UPER = {"type": "UPerHead", "in_channels": [192] * 4, "in_index": [0, 1, 2, 3], "channels": 32, **HEAD}
UP = {"type": "SETRUPHead", "in_channels": 192, "channels": 32, "dropout_ratio": 0, **HEAD}
# Case -> (our network, their backbone, neck, head and side heads, our options).
CASES = {
    "vit-multilevel": (
        "vit",
        {"type": "VisionTransformer", "final_norm": True},
        {"type": "MultiLevelNeck", "in_channels": [192] * 4, "out_channels": 192, "scales": [4, 2, 1, 0.5]},
        UPER,
        {**SIDE, "in_index": 3},
        {"patch_bias": False, "final_norm": True, "auxiliary_channels": 16},
    ),
    "vit-deconvolution": (
        "vit",
        {"type": "MAE", "init_values": 1.0},
        {"type": "Feature2Pyramid", "embed_dim": 192, "norm_cfg": NORM},
        UPER,
        {**SIDE, "in_index": 2},
        {
            "neck": "deconvolution",
            "relative_positions": True,
            "layer_scale": 1.0,
            "auxiliary_level": 2,
            "auxiliary_channels": 16,
        },
    ),
    "setr-pup": (
        "setr",
        {"type": "VisionTransformer", "interpolate_mode": "bilinear"},
        None,
        {**UP, "num_convs": 4, "up_scale": 2, "in_index": 3},
        [{**UP, "num_convs": 2, "up_scale": 4, "in_index": level} for level in range(3)],
        {"patch_bias": False},
    ),
    "setr-naive": (
        "setr",
        {"type": "VisionTransformer", "interpolate_mode": "bilinear"},
        None,
        {**UP, "num_convs": 1, "up_scale": 4, "kernel_size": 1, "in_index": 3},
        [{**UP, "num_convs": 1, "up_scale": 4, "kernel_size": 1, "in_index": level} for level in range(3)],
        {"patch_bias": False, "head": "naive"},
    ),
    "setr-mla": (
        "setr",
        {"type": "VisionTransformer", "interpolate_mode": "bilinear", "with_cls_token": False},
        {
            "type": "MLANeck",
            "in_channels": [192] * 4,
            "out_channels": 32,
            "norm_cfg": NORM,
            "act_cfg": {"type": "ReLU"},
        },
        {
            "type": "SETRMLAHead",
            "in_channels": [32] * 4,
            "in_index": [0, 1, 2, 3],
            "channels": 64,
            "mla_channels": 16,
            **HEAD,
        },
        [
            {"type": "FCNHead", "in_channels": 32, "channels": 32, "num_convs": 0, "kernel_size": 1}
            | {"concat_input": False, "in_index": level, **HEAD}
            for level in range(4)
        ],
        {"patch_bias": False, "head": "mla"},
    ),
}
HEAD_OF = {
    "vit-multilevel": "upernet",
    "setr-pup": "pup",
    "setr-naive": "naive",
    "setr-mla": "mla",
}


@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
@pytest.mark.parametrize("case", CASES)
def test_scores_equal_mmsegmentations(mmseg_models, randomize, case, size):
    if case == "vit-deconvolution" and size != (64, 64):
        pytest.skip("mmsegmentation's MAE takes images of one size only")
    name, backbone, neck, head, side, options = CASES[case]
    theirs = randomize(
        torch.nn.ModuleDict(
            {
                "backbone": mmseg_models.BACKBONES.build({**TRANSFORMER, **backbone}),
                "neck": mmseg_models.BACKBONES.build(neck) if neck else torch.nn.Identity(),
                "decode_head": mmseg_models.HEADS.build(head),
                "auxiliary_head": (
                    torch.nn.ModuleList(map(mmseg_models.HEADS.build, side))
                    if isinstance(side, list)
                    else mmseg_models.HEADS.build(side)
                ),
            }
        )
    )
    ours = build_network(name, num_classes=19, **OURS, **options)
    ours.load_state_dict(_renamed(theirs.state_dict(), case))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        features = theirs["neck"](theirs["backbone"](images))
        torch.testing.assert_close(
            ours.eval()(images).logits, theirs["decode_head"](features), atol=1e-4, rtol=1e-4
        )
        sides = theirs["auxiliary_head"] if isinstance(side, list) else [theirs["auxiliary_head"]]
        expected = [head(features) for head in sides]
        found = [each.logits for each in _in_training(ours, images)]
    for ours_side, theirs_side in zip(found, expected, strict=True):
        torch.testing.assert_close(ours_side, theirs_side, atol=1e-4, rtol=1e-4)


def _in_training(network, images):
    """Auxiliary scores come in training only; norms and dropout stay as they are."""
    network.eval().training = True
    return network(images).auxiliary


def _renamed(state, case):
    if case == "vit-deconvolution":  # MAE has the modules of BEiT
        return rename(state, MMSEGMENTATION).tensors
    return rename_mmseg_vit(state, HEAD_OF[case]).tensors
