"""MONAI saves its networks with random weights; limner's imports give the same scores and gradients.

A row is added for each network, in 2D and 3D where the library has both. Sizes are those that the library
accepts: multiples of the strides.
"""

import copy
import json

import numpy as np
import peers
import pytest
import torch

from limner.core.errors import ConfigError, ModelError
from limner.transforms.normalize_each import normalize_each
from limner.weights import import_checkpoint

pytestmark = pytest.mark.peer

CLASSES = 3
PLAIN = {"input": {"normalize_each": True}}


@pytest.fixture(scope="module")
def nets():
    return pytest.importorskip("monai.networks.nets", reason="MONAI is not installed")


# (class, arguments, number of axes, sizes, options that a state dict lacks)
MONAI = {
    "unet": ("UNet", {"channels": (4, 8, 16), "strides": (2, 2), "num_res_units": 2}, 3, {}),
    "unet-plain": ("UNet", {"channels": (4, 8, 16, 16), "strides": (2, 2, 2)}, 2, {}),
    "unet-batch": (
        "UNet",
        {"channels": (4, 8, 16), "strides": (2, 2), "num_res_units": 1, "norm": "batch", "act": "relu"},
        3,
        {},
    ),
    "unet-strides": (
        "UNet",
        {"channels": (4, 8, 16), "strides": (1, 4), "num_res_units": 2, "kernel_size": 5, "bias": False},
        3,
        {"strides": [1, 4]},
    ),
    "segresnet": ("SegResNet", {"init_filters": 8, "blocks_down": (1, 2, 2, 4)}, 3, {}),
    "segresnet-deconv": (
        "SegResNet",
        {"init_filters": 8, "blocks_down": (1, 1, 2), "blocks_up": (1, 2), "upsample_mode": "deconv"},
        2,
        {},
    ),
    "vnet": ("VNet", {}, 3, {}),
    "vnet-prelu": ("VNet", {"act": "prelu", "bias": True, "dropout_dim": 2}, 2, {}),
    "unetr": ("UNETR", {"img_size": 32, "hidden_size": 48, "mlp_dim": 64, "num_heads": 12}, 3, {}),
    "unetr-perceptron": (
        "UNETR",
        {
            "img_size": (32, 64),
            "hidden_size": 48,
            "mlp_dim": 64,
            "num_heads": 4,
            "feature_size": 8,
            "proj_type": "perceptron",
            "res_block": False,
            "qkv_bias": True,
            "norm_name": "batch",
        },
        2,
        {"image_size": [32, 64], "num_heads": 4},
    ),
    "swinunetr": ("SwinUNETR", {"feature_size": 12}, 3, {"merging": "ordered"}),
    "swinunetr-v2": (
        "SwinUNETR",
        {
            "feature_size": 12,
            "downsample": "mergingv2",
            "use_v2": True,
            "patch_norm": True,
            "depths": (1, 2, 1, 2),
        },
        3,
        {"merging": "all"},
    ),
    "swinunetr-2d": ("SwinUNETR", {"feature_size": 12, "norm_name": "batch"}, 2, {}),
    "dynunet": (
        "DynUNet",
        {
            "kernel_size": [3, 3, 3, 3],
            "strides": [1, 2, 2, 2],
            "upsample_kernel_size": [2, 2, 2],
            "filters": [4, 8, 12, 16],
            "deep_supervision": True,
            "deep_supr_num": 2,
        },
        3,
        {},
    ),
    "dynunet-anisotropic": (
        "DynUNet",
        {
            "kernel_size": [[1, 3, 3], [1, 3, 3], [3, 3, 3]],
            "strides": [1, [1, 2, 2], [2, 2, 2]],
            "upsample_kernel_size": [[1, 2, 2], [2, 2, 2]],
            "filters": [4, 8, 12],
            "res_block": True,
            "trans_bias": True,
            "norm_name": "instance",
        },
        3,
        {},
    ),
}
SIZES = {2: ((64, 64), (32, 96)), 3: ((16, 32, 16), (32, 16, 16))}
COARSE = {2: ((64, 64), (32, 96)), 3: ((64, 32, 32), (32, 64, 32))}


@pytest.mark.parametrize("case", MONAI)
def test_a_state_dict_of_monai(tmp_path, nets, case):
    kind, options, dims, told = MONAI[case]
    one = {2: ((32, 64),), 3: ((32, 32, 32),)}  # the positions of a UNETR fit one size
    sizes = {"UNETR": one, "SwinUNETR": COARSE}.get(kind, SIZES)[dims]
    theirs = build(nets, kind, options, dims)
    torch.save(theirs.state_dict(), tmp_path / "model.pt")
    imported = import_checkpoint(tmp_path / "model.pt", settings={"network": {"options": told}, **PLAIN})
    assert imported.source == "MONAI"
    assert imported.model.plan.input.spatial_dims == dims
    for size in sizes:
        assert_same_scores(imported, theirs, size)
    if kind != "VNet":  # whose gradients take a minute
        assert_same_gradients(imported, theirs, sizes[0])


def build(nets, kind, options, dims):
    place = {} if kind in ("UNETR", "SwinUNETR") and dims == 3 else {"spatial_dims": dims}
    return peers.randomize(getattr(nets, kind)(**place, in_channels=1, out_channels=CLASSES, **options))


def assert_same_scores(imported, theirs, size):
    images = draw(imported, size)
    with torch.no_grad():
        found, expected = imported.model.network(images).logits, theirs(images)
    assert expected.std() > 1e-2
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def draw(imported, size):
    channels = imported.model.plan.input.channels
    return torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(1))


def assert_same_gradients(imported, theirs, size):
    """The gradients of the image and of every parameter are the same.

    In double precision: through normalisations of maps of a few voxels, rounding grows.
    """
    ours, theirs = copy.deepcopy(imported.model.network).double(), copy.deepcopy(theirs).double()
    images = draw(imported, size).double()
    first, second = images.clone().requires_grad_(), images.clone().requires_grad_()
    found, expected = ours(first).logits, theirs(second)
    noise = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    for scores in (found, expected):
        (scores * noise).mean().backward()
    peers.assert_same_gradients(first.grad, second.grad)
    mine = dict(ours.named_parameters())
    others = {name.removeprefix("model."): each for name, each in theirs.named_parameters()}
    table = imported.tensors
    pairs = {**table.renamed, **{name: name for name in table.used}}
    compared = [(name, mine[place]) for name, place in pairs.items() if place in mine and name in others]
    assert len(compared) > 0.6 * len(mine)
    for name, parameter in compared:
        if others[name].grad is not None:
            peers.assert_same_gradients(parameter.grad, others[name].grad, name)


def test_merging_of_old_versions_takes_voxels_twice(nets, tmp_path, monkeypatch):
    """MONAI 1.4 and older, whose merging is written out here."""
    from monai.networks.nets import swin_unetr

    def forward(self, x):
        places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1)]
        parts = [x[:, i::2, j::2, k::2, :] for i, j, k in places]
        return self.reduction(self.norm(torch.cat(parts, -1)))

    monkeypatch.setattr(swin_unetr.PatchMerging, "forward", forward)
    theirs = build(nets, "SwinUNETR", {"feature_size": 12}, 3)
    torch.save(theirs.state_dict(), tmp_path / "model.pt")
    settings = {"network": {"options": {"merging": "repeated"}}, **PLAIN}
    assert_same_scores(import_checkpoint(tmp_path / "model.pt", settings=settings), theirs, (64, 32, 32))


def test_swinunetr_asks_for_the_version(nets, tmp_path):
    theirs = build(nets, "SwinUNETR", {"feature_size": 12}, 3)
    torch.save(theirs.state_dict(), tmp_path / "model.pt")
    with pytest.raises(ConfigError, match="merging=repeated"):
        import_checkpoint(tmp_path / "model.pt", settings=PLAIN)


def test_an_unknown_normalisation_is_asked_for(nets, tmp_path):
    torch.save(build(nets, "SegResNet", {}, 3).state_dict(), tmp_path / "model.pt")
    with pytest.raises(ConfigError, match="normalize_each"):
        import_checkpoint(tmp_path / "model.pt")


def bundle(folder, theirs, *, metadata=None, **inference):
    (folder / "configs").mkdir()
    (folder / "models").mkdir()
    names = {"0": "background", "1": "spleen", "2": "liver"}
    formats = {"outputs": {"pred": {"channel_def": names}}}
    said = {"monai_version": "1.4.0", "network_data_format": formats, **(metadata or {})}
    (folder / "configs" / "metadata.json").write_text(json.dumps(said))
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    torch.save(theirs.state_dict(), folder / "models" / "model.pt")


STEPS = [
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
    {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"},
    {
        "_target_": "ScaleIntensityRanged",
        "keys": "image",
        "a_min": -57,
        "a_max": 164,
        "b_min": 0,
        "b_max": 1,
        "clip": True,
    },
    {"_target_": "EnsureTyped", "keys": "image"},
]


def test_a_bundle(nets, tmp_path):
    options = {"channels": [4, 8, 16], "strides": [2, 2], "num_res_units": 2, "norm": "batch"}
    theirs = build(nets, "UNet", options, 3)
    bundle(
        tmp_path,
        theirs,
        network_def={"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, **options},
        preprocessing={"_target_": "Compose", "transforms": STEPS},
        inferer={"_target_": "SlidingWindowInferer", "roi_size": [64, 64, 32], "overlap": 0.5},
    )
    imported = import_checkpoint(tmp_path)
    plan = imported.model.plan
    assert plan.data.label_table.names == ("background", "spleen", "liver")
    # Axes x, y, z of RAS are depth, height, width of SAR, whose letters are for z, y, x in turn.
    assert plan.input.orientation == "SAR"
    assert plan.input.spacing_mm == (1.5, 1.5, 2.0)
    assert plan.input.resample
    assert plan.input.clip == ((-57, 164),)
    assert plan.input.mean == (-57,)  # (x + 57) / 221
    assert plan.input.std == (221,)
    assert plan.inference.window == (64, 64, 32)
    assert plan.inference.overlap == 0.5
    assert_same_scores(imported, theirs, (32, 32, 32))


def test_the_version_of_a_bundle_tells_the_merging(nets, tmp_path):
    theirs = build(nets, "SwinUNETR", {"feature_size": 12}, 3)
    bundle(tmp_path, theirs, preprocessing={"transforms": STEPS})
    assert import_checkpoint(tmp_path).model.plan.network.options["merging"] == "repeated"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"_target_": "NormalizeIntensityd", "nonzero": True, "subtrahend": 1, "divisor": 2}, "nonzero"),
        ({"_target_": "Resized", "spatial_size": [64, 64, 64]}, "Resized"),
        ({"_target_": "MyTransformd"}, "MyTransformd"),
    ],
)
def test_unknown_preprocessing_is_refused(nets, tmp_path, step, words):
    bundle(tmp_path, build(nets, "SegResNet", {}, 3), preprocessing={"transforms": [step]})
    with pytest.raises(ModelError, match=words):
        import_checkpoint(tmp_path)


def test_a_bundle_that_normalises_what_is_not_zero(nets, tmp_path):
    step = {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True}
    bundle(tmp_path, build(nets, "SegResNet", {}, 3), preprocessing={"transforms": [step]})
    plan = import_checkpoint(tmp_path).model.plan
    assert (plan.input.normalize_each, plan.input.normalize_over) == (True, "nonzero_of_channel")
    transforms = pytest.importorskip("monai.transforms")
    image = np.random.default_rng(0).normal(100, 20, (2, 6, 7, 8)).astype(np.float32)
    image[np.random.default_rng(1).random(image.shape) < 0.5] = 0
    theirs = transforms.NormalizeIntensity(nonzero=True, channel_wise=True)(image)
    ours = normalize_each(np.moveaxis(image, 0, -1), "nonzero_of_channel")
    np.testing.assert_allclose(np.moveaxis(ours, -1, 0), theirs, atol=1e-5)


def test_overlapping_classes_of_a_bundle_are_refused(nets, tmp_path):
    post = {"transforms": [{"_target_": "Activationsd", "keys": "pred", "sigmoid": True}]}
    bundle(tmp_path, build(nets, "SegResNet", {}, 3), postprocessing=post)
    with pytest.raises(ModelError, match="overlap"):
        import_checkpoint(tmp_path)


def test_torchscript_is_refused(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text("{}")
    (tmp_path / "models" / "model.ts").write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match="TorchScript"):
        import_checkpoint(tmp_path)
