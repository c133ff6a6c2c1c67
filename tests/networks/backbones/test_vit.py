import pytest
import timm
import torch

from limner.core.errors import ConfigError, UnknownNameError
from limner.networks import build_network
from limner.networks.backbones import build_backbone, build_hybrid_vit, build_vit, vit
from limner.networks.backbones.timm_backbone import create_timm_model
from limner.networks.weightless import weightless

TINY = "vit_tiny_patch16_224"


@pytest.mark.parametrize("size", [(33, 70), (64, 96)])
def test_any_size_is_padded_to_whole_patches(size):
    backbone = build_backbone(TINY).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, *size))
    assert [tuple(features.shape) for features in maps] == [
        (1, 192, *(-(-length // 16) for length in size))
    ] * 4
    assert backbone.strides == (16,) * 4


def test_timms_weights_give_timms_tokens(tmp_path):
    torch.manual_seed(0)
    theirs = timm.create_model(TINY).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = build_vit(TINY, final_norm=True, pretrained=tmp_path / "weights.pth").eval()
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = theirs.forward_features(image)[:, 1:]  # without the class token
        found = ours(image)[-1].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_dinov2s_weights_have_their_patches_resized_as_timm_does(tmp_path, monkeypatch):
    from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

    shape = vit.ViTShape(24, 4, 3, 70, num_registers=4, class_position=False, layer_scale=1.0)
    monkeypatch.setitem(vit.DINOV2S, "vit_drawn_patch14_reg4_dinov2", shape)
    form = {"embed_dim": 24, "depth": 4, "num_heads": 3, "num_classes": 0, "reg_tokens": 4}
    form |= {"no_embed_class": True, "init_values": 0.5, "class_token": True}
    torch.manual_seed(0)
    published = VisionTransformer(img_size=70, patch_size=14, **form)
    torch.save(published.state_dict(), tmp_path / "weights.pth")
    theirs = VisionTransformer(img_size=80, patch_size=16, **form).eval()
    theirs.load_state_dict(checkpoint_filter_fn(published.state_dict(), theirs))
    name = "vit_drawn_patch14_reg4_dinov2"
    ours = build_vit(name, image_size=80, final_norm=True, pretrained=tmp_path / "weights.pth").eval()
    image = torch.randn(1, 3, 80, 80)
    with torch.no_grad():
        expected = theirs.forward_features(image)[:, 5:]  # without the class token and the registers
        found = ours(image)[-1].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_registers_have_no_relative_position():
    with pytest.raises(ConfigError, match="registers"):
        build_vit("vit_small_patch14_reg4_dinov2", relative_positions=True)


def test_weights_for_another_image_size_have_their_positions_resized(tmp_path):
    theirs = timm.create_model(TINY)
    column = torch.arange(14.0)[None, :, None].expand(14, 14, 192).reshape(1, 196, 192)
    theirs.pos_embed.data = torch.cat([torch.full((1, 1, 192), -5.0), column], dim=1)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = build_vit(TINY, image_size=448, pretrained=tmp_path / "weights.pth")
    first, patches = ours.pos_embed[0, 0], ours.pos_embed[0, 1:].view(28, 28, 192)
    assert (first == -5).all()
    # Away from the borders a ramp stays a ramp, half as steep, but for a twentieth that the cubics swing.
    torch.testing.assert_close(patches[9, 6:22, 0], torch.arange(6, 22) / 2 - 0.25, atol=0.05, rtol=0)


def test_what_a_plain_vit_lacks_begins_without_effect(tmp_path):
    theirs = timm.create_model(TINY)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    plain = build_vit(TINY, pretrained=tmp_path / "weights.pth").eval()
    more = build_vit(
        TINY, relative_positions=True, layer_scale=1.0, pretrained=tmp_path / "weights.pth"
    ).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(more(image), plain(image), atol=1e-4, rtol=1e-4)


def test_relative_positions_score_every_pair_by_the_way_between():
    transformer = build_vit(TINY, num_blocks=4, image_size=48, relative_positions=True)
    positions = transformer.relative_positions[0]
    positions.table.data = torch.randn_like(positions.table)
    grid = [(row, column) for row in range(3) for column in range(3)]
    scores = positions((3, 3))
    for one, (row, column) in enumerate(grid):
        for other, (to_row, to_column) in enumerate(grid):
            way = (row - to_row + 2) * 5 + column - to_column + 2
            assert torch.equal(scores[:, one + 1, other + 1], positions.table[way])
        assert torch.equal(scores[:, 0, one + 1], positions.table[-3])
        assert torch.equal(scores[:, one + 1, 0], positions.table[-2])
    assert torch.equal(scores[:, 0, 0], positions.table[-1])
    assert positions((2, 5)).shape == (3, 11, 11)


def test_the_hybrid_has_timms_parameters():
    with weightless():
        ours = build_hybrid_vit("vit_base_r50_s16_224").state_dict()
        theirs = create_timm_model("vit_base_r50_s16_224").state_dict()
    assert {key for key in theirs if key not in ours} == {"cls_token"}
    assert set(ours) <= set(theirs)
    assert all(ours[key].shape == theirs[key].shape for key in ours if key != "pos_embed")


def test_the_hybrids_maps_fit_the_image():
    backbone = build_hybrid_vit(
        "vit_base_r50_s16_224", num_blocks=1, resnet_blocks=(1, 1, 1), image_size=32
    ).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, 48, 80))
    assert [tuple(features.shape[1:]) for features in maps] == [
        (64, 24, 40),
        (256, 12, 20),
        (512, 6, 10),
        (768, 3, 5),
    ]
    assert not maps[1][:, :, -1].any()  # the pooling loses a row, which zeros stand for


@pytest.mark.parametrize("head", ["upernet", "fpn", "fcn"])
@pytest.mark.parametrize("neck", ["multilevel", "deconvolution", "none"])
def test_every_neck_carries_every_head(neck, head):
    network = build_network(
        *("vit",),
        num_classes=2,
        **{"backbone": TINY, "num_blocks": 4, "neck": neck, "head": head, "channels": 8},
    ).eval()
    with torch.no_grad():
        logits = network(torch.randn(1, 3, 33, 47)).logits
    assert logits.shape == ((1, 2, 9, 12) if neck != "none" else (1, 2, 3, 3))


@pytest.mark.parametrize("name", ["upernet", "semantic-fpn", "segformer", "encoder-unet"])
def test_other_networks_stand_on_it(name):
    network = build_network(name, num_classes=2, backbone=TINY).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 33, 47)).logits.isfinite().all()


@pytest.mark.parametrize("head", ["naive", "pup", "mla"])
def test_every_head_of_setr(head):
    network = build_network("setr", num_classes=2, backbone=TINY, num_blocks=4, head=head, channels=8).train()
    outputs = network(torch.randn(2, 3, 33, 47))
    assert outputs.logits.shape == ((2, 2, 33, 47) if head == "pup" else (2, 2, 9, 12))
    assert [side.weight for side in outputs.auxiliary] == [0.4] * (4 if head == "mla" else 3)
    sum(each.logits.square().sum() for each in (outputs, *outputs.auxiliary)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_mistakes_are_explained():
    with pytest.raises(UnknownNameError, match="vit_tiny_patch16_224"):
        build_network("setr", num_classes=2, backbone="vit_tiny_patch16_244")
    with pytest.raises(ConfigError, match="no block 12"):
        build_network("vit", num_classes=2, backbone=TINY, taps=(2, 5, 8, 12))
    with pytest.raises(ConfigError, match="ascending"):
        build_network("vit", num_classes=2, backbone=TINY, taps=(2, 2, 8, 11))
    with pytest.raises(ConfigError, match="strides"):
        build_backbone(TINY, output_stride=8)
