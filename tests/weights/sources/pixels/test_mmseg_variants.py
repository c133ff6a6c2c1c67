"""What mmsegmentation's configurations say that no tensor shows."""

from pathlib import Path

import pytest
import torch

from limner.core.errors import ModelError
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.renaming import Renamed
from limner.weights.sources.pixels.mmseg_variants import (
    is_uniformly_dilated,
    keep_eps,
    refuse_mmseg_variants,
)

CHECKPOINT = Checkpoint(Path("a.pth"), {})
DILATED = {"strides": [1, 2, 1, 1], "dilations": [1, 1, 2, 4]}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("decode_head", {"align_corners": True}),
        ("decode_head", {"pool_scales": [1, 2, 4]}),
        ("decode_head", {"recurrence": 3}),
        ("decode_head", {"act_cfg": {"type": "LeakyReLU"}}),
        ("backbone", {"multi_grid": [1, 2, 4]}),
    ],
)
def test_what_limner_computes_otherwise_is_refused(part, said):
    with pytest.raises(ModelError, match=rf"a variant of mmsegmentation's networks[\s\S]*{next(iter(said))}"):
        refuse_mmseg_variants({part: said}, CHECKPOINT)


def test_the_usual_settings_are_accepted():
    head = {"align_corners": False, "pool_scales": [1, 2, 3, 6], "act_cfg": {"type": "ReLU", "inplace": True}}
    refuse_mmseg_variants({"decode_head": head, "backbone": {"style": "pytorch"}}, CHECKPOINT)
    refuse_mmseg_variants({}, CHECKPOINT)


def test_how_a_resnet_is_dilated():
    def dilates(backbone, **said):
        return is_uniformly_dilated({"backbone": DILATED | said}, backbone, CHECKPOINT)

    assert dilates("resnet50c")  # mmsegmentation's default
    assert not dilates("resnet50c", contract_dilation=True)
    assert not dilates("resnet50c", dilations=[1, 1, 1, 1])
    assert not is_uniformly_dilated({}, "resnet50c", CHECKPOINT)  # published configurations contract it
    with pytest.raises(ModelError, match="contract_dilation"):
        dilates("resnet18c")
    with pytest.raises(ModelError, match=r"dilations \(1, 1, 2, 2\)[\s\S]*\(1, 1, 2, 4\) for these strides"):
        dilates("resnet50c", dilations=[1, 1, 2, 2])


@pytest.mark.parametrize(
    ("backbone", "model", "added"),
    [
        ("resnet50c", {}, (0.0, 0.0)),
        ("resnet50c", {"decode_head": {"norm_cfg": {"eps": 1e-3}}}, (0.0, 0.00099)),
        ("tf_mobilenet_v3_large", {}, (0.0, 0.00099)),  # 0.001 in published configurations
        ("tf_mobilenet_v3_large", {"backbone": {"norm_cfg": {"type": "BN"}}}, (-0.00099, 0.0)),
    ],
)
def test_the_eps_of_the_norms_is_kept(backbone, model, added):
    names = ("backbone.bn.running_var", "head.norm.running_var")
    renamed = Renamed({name: torch.ones(2) for name in names}, {name: name for name in names})
    keep_eps(model, backbone, renamed)
    for name, more in zip(names, added, strict=True):
        torch.testing.assert_close(renamed.tensors[name], torch.full((2,), 1.0 + more))
        assert (name in renamed.reshaped) == bool(more)


@pytest.mark.parametrize(("style", "depth"), [("caffe", 50), ("caffe", 18), ("pytorch", 101)])
def test_a_resnet_in_the_style_of_caffe_is_refused(style, depth):
    training = {"model": {"backbone": {"type": "ResNet", "depth": depth, "style": style}}}
    checkpoint = Checkpoint(Path("a.pth"), {}, training=training)
    if style == "caffe" and depth >= 50:
        with pytest.raises(ModelError, match=r"halves the size in other layers[\s\S]*style 'caffe'"):
            refuse_mmseg_variants(training["model"], checkpoint)
    else:
        refuse_mmseg_variants(training["model"], checkpoint)
