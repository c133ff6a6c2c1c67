"""Networks whose references keep the same numbers in other boxes: queries, keys and values joined or apart.

The parameters are joined and split as the reference does it; then number and shapes are those counted there.
"""

import re
from hashlib import sha256

import pytest
import torch

from limner.networks import build_network
from limner.networks.weightless import weightless

# The reference's name and variant -> (network, classes, channels, options, parameters, hash of the shapes).
ROWS = {
    ("SegFormer", "MiT-B0"): (
        *("segformer", 19, 3, {"backbone": "mit_b0", "decoder": "mmsegmentation", "channels": 256}, 3720051),
        "ec3ded13bf584c8bac6cdf24a082fa2a3c3d760003f9548f05692e2ecba85259",
    ),
    ("SegFormer", "MiT-B0 ADE20K"): (
        *("segformer", 150, 3, {"backbone": "mit_b0", "decoder": "mmsegmentation", "channels": 256}, 3753718),
        "6b166ca8c924b0cc1555b9e04d6404a73463b6ceb8dcec61b13d1c49c3e979d5",
    ),
    ("SegFormer", "MiT-B1 ADE20K"): (
        *(
            "segformer",
            150,
            3,
            {"backbone": "mit_b1", "decoder": "mmsegmentation", "channels": 256},
            13716822,
        ),
        "a0e9cecfd77cb934f65ed71b769cf81db89e98e1d5c5f5ab4e30672ff27962b5",
    ),
    ("SegFormer", "MiT-B4"): (
        *("segformer", 19, 3, {"backbone": "mit_b4", "decoder": "mmsegmentation", "channels": 256}, 61374419),
        "19d0f676b73438820c1886045480b08e39910432568c4f241efb8c17872bf43b",
    ),
    ("SegFormer", "MiT-B5 ADE20K"): (
        *(
            "segformer",
            150,
            3,
            {"backbone": "mit_b5", "decoder": "mmsegmentation", "channels": 256},
            82008406,
        ),
        "2de4d515da3474567f41e7bc96533f8bc9ca3bc989c1191335cd2d505678dce9",
    ),
    ("SegFormer", "HF SegformerForSemanticSegmentation B4, 19 labels"): (
        *("segformer", 19, 3, {"backbone": "mit_b4"}, 64007635),
        "6cb3d93de9bab4c597166abbfe4bca95a272d86c0c03b2301fc6069679d503d6",
    ),
    ("SegFormer", "MiT-B3"): (
        *("segformer", 19, 3, {"backbone": "mit_b3", "decoder": "mmsegmentation", "channels": 256}, 44603859),
        "88e0a2506a36504718f0fda4915da59745c2fc64abcce1aa16e16686ab9cba5d",
    ),
    ("SegFormer", "HF SegformerForSemanticSegmentation B2, 19 labels"): (
        *("segformer", 19, 3, {"backbone": "mit_b2"}, 27361235),
        "691392b7828ee742c0f26dd68ba5ae8cd6ba4d26c1a225dbf2bad8b3f1756000",
    ),
    ("SegFormer", "HF SegformerForSemanticSegmentation B0, 19 labels"): (
        *("segformer", 19, 3, {"backbone": "mit_b0"}, 3719027),
        "ac44b921d4ecafb81202a2379cd308a81eee184e9c2e499ca3ea6190b1f70c38",
    ),
    ("SegFormer", "MiT-B2"): (
        *("segformer", 19, 3, {"backbone": "mit_b2", "decoder": "mmsegmentation", "channels": 256}, 24728019),
        "18fd8d9cb3c84e1870a599418a99a14bdfde854a45a012e17bac1edabfcb450f",
    ),
    ("Mask2Former", "HF R50, 19 labels, 100 queries"): (
        *("mask2former", 19, 3, {}, 44007700),
        "0bae52583b46fae106b0047ccbc45086817e8bba28d8df63eae4a4687d9e0f08",
    ),
    ("Mask2Former", "HF Swin-T, 150 labels, 100 queries"): (
        *("mask2former", 150, 3, {"backbone": "swin_tiny_patch4_window7_224"}, 47441169),
        "5fe170670638c7097ef9e8f1bfa1c81389a5467cd7d54955be2ee0da82474ade",
    ),
    ("Mask2Former", "HF Swin-T, 80 labels (COCO instance), 100 queries"): (
        *("mask2former", 80, 3, {"backbone": "swin_tiny_patch4_window7_224"}, 47423179),
        "03845a50a27f3df545950f17f4fd3b2f99121b433df95b31fec1ec0d9169fdb4",
    ),
    ("TransUNet", "R50+ViT-B/16, img 224, 9 classes"): (
        *("transunet", 9, 3, {"image_size": 224}, 105277081),
        "d4b8073d52280a7b729f62fe95b7e238fa64bd6c598dc76df5d899ebec8ed36d",
    ),
    ("TransUNet", "R50+ViT-B/16, img 512, 9 classes"): (
        *("transunet", 9, 3, {"image_size": 512}, 105912985),
        "604645c5a6ec849afc1ce04eed42ffc8315a5ae9782a9b664de35c12cef943bc",
    ),
}


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_parameters_and_their_shapes(row):
    name, classes, channels, options, parameters, expected = ROWS[row]
    with weightless():
        network = build_network(name, num_classes=classes, in_channels=channels, **options)
    ours = {key: tuple(parameter.shape) for key, parameter in network.named_parameters()}
    shapes = list(_layout(row)(ours))
    assert sum(torch.Size(shape).numel() for shape in shapes) == parameters
    assert (
        sha256("\n".join(sorted("x".join(map(str, shape)) for shape in shapes)).encode()).hexdigest()
        == expected
    )


def test_the_rows_agree_with_the_table_of_references(references):
    for key, (*_, parameters, shapes) in ROWS.items():
        assert references[key]["params"] == parameters, key
        assert references[key]["signature"]["param_shapes_sha256"] == shapes, key


def _layout(row):
    name, variant = row
    if name == "TransUNet":
        return _as_transunet
    if name == "Mask2Former":
        return _as_transformers_mask2former
    return _as_transformers if variant.startswith("HF ") else _as_mmsegmentation


def _as_transunet(ours):
    """Queries, keys and values apart."""
    for key, shape in ours.items():
        if ".attn.qkv." in key:
            yield from [(shape[0] // 3, *shape[1:])] * 3
        else:
            yield shape


def _as_transformers(ours):
    """Keys and values apart."""
    for key, shape in ours.items():
        if ".attn.kv." in key:
            yield from [(shape[0] // 2, *shape[1:])] * 2
        else:
            yield shape


def _as_transformers_mask2former(ours):
    """Queries, keys and values apart, but for the cross-attention; on Swin, a norm that is never used."""
    for key, shape in ours.items():
        if ".attn.qkv." in key or ".self_attn.in_proj_" in key:
            yield from [(shape[0] // 3, *shape[1:])] * 3
        else:
            yield shape
    if any("relative_position_bias_table" in key for key in ours):
        yield from [(768,), (768,)]


def _as_mmsegmentation(ours):
    """Queries joined to keys and values; linear layers of the Mix-FFN as 1x1 convolutions."""
    for key, shape in ours.items():
        if ".attn.kv." in key:
            yield (shape[0] // 2 * 3, *shape[1:])
        elif re.search(r"\.mlp\.fc\d\.weight$", key):
            yield (*shape, 1, 1)
        elif ".attn.q." not in key:
            yield shape
