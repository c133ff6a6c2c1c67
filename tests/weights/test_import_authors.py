"""Files of authors' own codes: every tensor has its place, and what tensors do not show is said."""

import authors_states
import pytest
import torch

from limner.core.errors import ModelError
from limner.networks import build_network
from limner.networks.weightless import uninitialized
from limner.weights import import_checkpoint
from limner.weights.renaming import Naming, rename


@pytest.fixture(scope="module")
def importing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authors")

    def do(state, **asked):
        torch.save(state, folder / "model.pth")
        return import_checkpoint(folder / "model.pth", **asked)

    return do


def _assert_accounted(imported, state):
    table = imported.tensors
    assert {*table.used, *table.renamed, *table.reshaped, *table.left_out} == state.keys()
    assert set(table.fresh) <= {name for name in imported.model.network.state_dict() if "num_batches" in name}


POLYPS = {
    "pranet": ({"decoder": "agg1", "guide": 0}, "ra3_conv4.conv.weight", "branches.1.last.conv"),
    "infnet": ({"decoder": "ParDec", "guide": 64}, "edge_conv4.conv.weight", "guide_head.conv"),
    "caranet": (None, "ra3_conv3.conv.weight", "branches.0.convs.2.0"),
}


@pytest.mark.parametrize("name", POLYPS)
def test_one_class_gets_a_background(importing, name):
    parts, theirs, ours = POLYPS[name]
    state = authors_states.reverse_attention(**parts) if parts else authors_states.caranet()
    imported = importing(state)
    _assert_accounted(imported, state)
    plan, network = imported.model.plan, imported.model.network
    assert plan.network.name == name and plan.inference.resize.size == (352, 352)
    assert imported.model.labels.names == ("background", "foreground")
    found = network.state_dict()
    assert torch.equal(found[f"{ours}.weight"][1:], state[theirs])
    # The network of one class, whose sigmoid is compared with the softmax of two.
    with uninitialized():
        one = build_network(name, num_classes=1, **plan.network.options).eval()
    shapes = {key: tensor.shape for key, tensor in one.state_dict().items()}
    one.load_state_dict({key: t if t.shape == shapes[key] else t[1:] for key, t in found.items()})
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = one(images).logits
        difference = network(images).logits.diff(dim=1)
    assert expected.std() > 1e-3
    torch.testing.assert_close(difference, expected, atol=1e-4, rtol=1e-4)


def test_bisenetv1(importing):
    state = authors_states.bisenetv1(19)
    imported = importing(state)
    _assert_accounted(imported, state)
    found = imported.model.network.state_dict()
    assert torch.equal(found["gate.conv.weight"], state["ffm.conv.weight"])
    assert torch.equal(found["refine32.gate.conv.weight"], state["cp.arm32.conv_atten.weight"])
    assert torch.equal(found["auxiliary_heads.1.classifier.conv.bias"], state["conv_out32.conv_out.bias"])
    assert imported.model.labels.names[0] == "road"  # 19 classes: Cityscapes
    assert imported.model.plan.input.mean == pytest.approx((83.0535, 94.095, 82.1865))
    less = {name: tensor for name, tensor in state.items() if not name.startswith("sp.conv2.")}
    with pytest.raises(
        ModelError, match="not of BiSeNetV1 with these options[\\s\\S]*sp.conv_out.conv.weight"
    ):
        importing(less)


def test_bisenetv2(importing):
    state = authors_states.bisenetv2(19)
    imported = importing(state)
    _assert_accounted(imported, state)
    assert imported.model.plan.network.options == {"booster_channels": (16, 64, 256, 1024)}
    found = imported.model.network.state_dict()
    assert torch.equal(found["detail.7.conv.weight"], state["detail.S3.2.conv.weight"])
    assert torch.equal(found["stem.fuse.conv.weight"], state["segment.S1S2.fuse.conv.weight"])
    assert torch.equal(found["context.last.norm.bias"], state["segment.S5_5.conv_last.bn.bias"])
    assert torch.equal(found["boosters.3.4.conv.bias"], state["aux5_4.conv_out.1.bias"])
    less = {name: tensor for name, tensor in state.items() if not name.startswith("aux")}
    assert importing(less).model.plan.network.options == {"auxiliary": False}


def test_danet(importing):
    state = authors_states.danet(19)
    imported = importing({"state_dict": state, "best_pred": 0.8})
    _assert_accounted(imported, state)
    options = imported.model.plan.network.options
    assert options["backbone"] == "resnet101s" and options["multi_grid"] == (2, 2, 4)
    found = imported.model.network.state_dict()
    assert torch.equal(found["position.1.query.weight"], state["head.sa.query_conv.weight"])
    assert torch.equal(found["channel.2.conv.weight"], state["head.conv52.0.weight"])
    assert torch.equal(found["channel_head.conv.bias"], state["head.conv7.1.bias"])
    assert torch.equal(found["backbone.layer3.22.conv2.weight"], state["pretrained.layer3.22.conv2.weight"])
    assert imported.tensors.left_out.keys() == {"pretrained.fc.weight", "pretrained.fc.bias"}


@pytest.mark.parametrize("name", ["dbnet", "dbnetplusplus"])
def test_dbnet(importing, name):
    wrapped = authors_states.dbnet(fuses_scales=name == "dbnetplusplus")
    state = {key.removeprefix("model.module."): tensor for key, tensor in wrapped.items()}
    imported = importing(wrapped)
    _assert_accounted(imported, state)
    assert "'model.module.'" in imported.facts["names"]
    plan, found = imported.model.plan, imported.model.network.state_dict()
    assert plan.task == "text-detection" and plan.network.name == name
    assert torch.equal(found["laterals.0.weight"], state["decoder.in2.weight"])
    assert torch.equal(found["smoothing.3.weight"], state["decoder.out5.0.weight"])
    assert torch.equal(found["probability_head.4.bias"], state["decoder.binarize.6.bias"])
    assert torch.equal(found["backbone.conv1.weight"], state["backbone.conv1.weight"].flip(1))
    assert {key.split(".")[1] for key in imported.tensors.left_out} == {"fc", "smooth"}


def test_emanet(importing):
    state = authors_states.emanet(21)
    imported = importing({"net": state, "epoch": 3})
    _assert_accounted(imported, state)
    options = imported.model.plan.network.options
    assert options["backbone"] == "resnet101s" and options["multi_grid"] == (1, 2, 4)
    found = imported.model.network.state_dict()
    assert torch.equal(found["context.1.bases"], state["emau.mu"])
    assert torch.equal(found["backbone.layer3.22.conv2.weight"], state["extractor.6.22.conv2.weight"])
    with torch.no_grad():  # their scores have the size of the image
        assert imported.model.network(torch.zeros(1, 3, 33, 41)).logits.shape == (1, 21, 33, 41)


def test_ccnet(importing):
    state = authors_states.ccnet(19)
    imported = importing(state)
    _assert_accounted(imported, state)
    found = imported.model.network.state_dict()
    assert torch.equal(found["backbone.conv1.0.weight"], state["conv1.weight"].flip(1))
    assert torch.equal(found["backbone.bn1.weight"], state["bn3.weight"].abs() + 1e-5)
    assert found["context.module.1.gamma"] == state["head.cca.gamma"][0]
    assert torch.equal(found["head.conv.bias"], state["head.bottleneck.3.bias"])
    inference = imported.model.plan.inference
    assert inference.window == (769, 769) and imported.model.plan.input.std == (1.0,) * 3


def test_transunet(importing):
    state = authors_states.transunet(9, layers=2, units=(2, 1, 1), patches=16)
    imported = importing(state)
    _assert_accounted(imported, state)
    options = imported.model.plan.network.options
    assert options == {"num_blocks": 2, "resnet_blocks": (2, 1, 1), "image_size": 64}
    found = imported.model.network.state_dict()
    whole = found["backbone.blocks.1.attn.qkv.weight"]
    assert torch.equal(whole[768:1536], state["transformer.encoder.layer.1.attn.key.weight"])
    stem = "transformer.embeddings.hybrid_model.body.block1.unit2.conv3.weight"
    assert torch.equal(found["backbone.patch_embed.backbone.stages.0.blocks.1.conv3.weight"], state[stem])
    assert torch.equal(found["head.conv.weight"], state["segmentation_head.0.weight"])


def test_copies_of_a_tensor_are_accounted_and_others_reported():
    naming = Naming("a project", "", ((r"^(first|second)\.", "head."),))
    same = rename({"first.weight": torch.ones(2), "second.weight": torch.ones(2)}, naming)
    assert same.theirs == {"head.weight": "first.weight"}
    assert same.unused == {"second.weight": "equals first.weight, of which it is a copy"}
    other = rename({"first.weight": torch.ones(2), "second.weight": torch.zeros(2)}, naming)
    assert other.theirs == {"head.weight": "first.weight", "second.weight": "second.weight"}


def test_espnet_sees_red_where_it_saw_blue(importing, shared_data):
    """The network for BGR gives for BGR what the imported one gives for RGB."""
    state = torch.load(shared_data / "checkpoints" / "espnet_p2_q8_camvid.pth", "cpu", weights_only=True)
    imported = importing(state)
    theirs = build_network("espnet", num_classes=12, blocks=(2, 8)).eval()
    names = [name for name in theirs.state_dict() if "num_batches" not in name]
    theirs.load_state_dict(dict(zip(names, state.values(), strict=True)), strict=False)
    images = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(images.flip(1)).logits, imported.model.network(images).logits
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert imported.model.plan.input.mean == (105.03, 108.41, 110.33)
