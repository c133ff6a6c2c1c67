"""Each network has exactly the layers of its reference: number and shapes of the parameters.

The counts and the hashes were taken from the reference implementations named beside them.
"""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from limner.networks import build_network

SMP_HEAD = {
    "dilation": "uniform",
    "output_stride": 16,
    "layout": "segmentation-models-pytorch",
    "auxiliary": False,
}
VALID = {"padding": "valid", "norm": "none"}
# The reference's name and variant -> (network, classes, channels, options, parameters, hash of the shapes).
ROWS = {
    ("UNet", "original 2015 (valid convs, no BN, 2x2 up-conv), 3 in, 19 out"): (
        *("unet", 19, 3, VALID, 31032915),
        "0777ae5c042c97ea95f03872f556a659e95e91046726016c41b3dbe9c5a3283b",
    ),
    ("UNet", "original 2015 (valid convs, no BN, 2x2 up-conv), 3 in, 1 out"): (
        *("unet", 1, 3, VALID, 31031745),
        "1642fa85c3f04918e63d871cdf4e468018d5f55d27c66c9b256854f2043e870d",
    ),
    ("UNet", "original 2015 (valid convs, no BN, 2x2 up-conv), 3 in, 2 out"): (
        *("unet", 2, 3, VALID, 31031810),
        "576f19214d7fac6f67f6af8d2e79e46cad7d300df2724cd08639496225c45354",
    ),
    ("UNet", "milesial, 3 in, 19 out, bilinear=False (BN, padded)"): (
        *("unet", 19, 3, {}, 31038803),
        "104c9b658039a74634b434a281b28141f3130a89409f9ba5e6205ad7aec9b074",
    ),
    ("UNet", "milesial, 3 in, 1 out, bilinear=False (BN, padded)"): (
        *("unet", 1, 3, {}, 31037633),
        "1b7baafd3631f5cfa3c2472af19233ac0dc57d7b8a919b19f033170e38d5d1c0",
    ),
    ("UNet", "mmseg UNet-S5-D16 + FCNHead + aux FCNHead, Cityscapes"): (
        *("unet", 19, 3, {"upsampling": "bilinear", "head_convs": 1, "auxiliary": True}, 29062886),
        "6492e830a41a0ef9b0fc8e7c6aa466e122f64cc84b5fe133854c7affb370e1ec",
    ),
    ("UNet", "SMP Unet resnet50 , 19 classes"): (
        *("encoder-unet", 19, 3, {"backbone": "resnet50"}, 32523715),
        "55a4c24f30f47a34bd0176d01494c311976915614fb887ddf46de58a3c7cfa78",
    ),
    ("PSPNet", "hszhao R50, 19 classes"): (
        *("pspnet", 19, 3, {"backbone": "resnet50s", "dilation": "uniform"}, 49080038),
        "46b9f362e2025f2afceb3cf5fd4fed639c075575571cd05a3a9e5e1dab8a937e",
    ),
    ("PSPNet", "CSAIL resnet50dilated-ppm_deepsup, 19 classes"): (
        *("pspnet", 19, 3, {"backbone": "resnet50s", "auxiliary_channels": 512}, 51444710),
        "a83706bbbd7901177f600633d18ecc137e2859305535f60054b8b6b1a628c22c",
    ),
    ("PSPNet", "CSAIL resnet50dilated-ppm_deepsup, 150 classes"): (
        *("pspnet", 150, 3, {"backbone": "resnet50s", "auxiliary_channels": 512}, 51579116),
        "db3917a84c607981d1bcf94a7c5b571ce927754754bbc87bce3787003a9ea9d0",
    ),
    ("PSPNet", "PSPNet-r50-d8"): (
        *("pspnet", 19, 3, {}, 48975494),
        "b5025dd1861bf2ba9f710d9e3b228810c1b74d56631e360b509313eb3a203ee8",
    ),
    ("PSPNet", "PSPNet-r18-d8"): (
        *("pspnet", 19, 3, {"backbone": "resnet18c"}, 12790086),
        "69dabde7b0d194a6663e80b00d4028f79b1f50c43eae5caca9230b956077e0a3",
    ),
    ("DeepLabV3+", "DeepLabV3+-r50-d8"): (
        *("deeplabv3plus", 19, 3, {}, 43589878),
        "1ce8975f4aa2c6614c6bcf916d6bbe9e46afc2ed3cb711fc02485f551cd3b835",
    ),
    ("DeepLabV3+", "DeepLabV3+-r18-d8"): (
        *("deeplabv3plus", 19, 3, {"backbone": "resnet18c"}, 12468962),
        "ebe429bb63f3d1de2e2dff5fcfaedb85bfb36f3c9df82796e7d4ab4757b7cc4d",
    ),
    ("DeepLabV3+", "SMP DeepLabV3Plus resnet50 , 19 classes"): (
        *("deeplabv3plus", 19, 3, {"backbone": "resnet50", **SMP_HEAD}, 26682211),
        "6d89268555423aafe47b3b63ae6545b40dc3a6fcda9700c17501011d450f9ff0",
    ),
    ("DeepLabV3+", "SMP DeepLabV3Plus resnet18 , 19 classes"): (
        *("deeplabv3plus", 19, 3, {"backbone": "resnet18", **SMP_HEAD}, 12333923),
        "0e043ea04517ac9bb5cb20a4d3b7d8a024dc51c70bf26951e1b081e25fa8a635",
    ),
    ("SegFormer", "NVlabs official MiT-B0, decoder embed_dim 256, 19 classes"): (
        *("segformer", 19, 3, {"backbone": "mit_b0"}, 3719027),
        "10501842eb7b63a57dc66ea919b36cde1b0f41bf10f76ef9145e6e5ba0f0599b",
    ),
    ("SegFormer", "NVlabs official MiT-B3, decoder embed_dim 768, 19 classes"): (
        *("segformer", 19, 3, {"backbone": "mit_b3"}, 47237075),
        "45d61070658867985aed0b17f9e1f70f3602b2fa999eeabba1247d8ba592facd",
    ),
    ("SegFormer", "NVlabs official MiT-B4, decoder embed_dim 768, 19 classes"): (
        *("segformer", 19, 3, {"backbone": "mit_b4"}, 64007635),
        "1cc2f5181a87184ceb56b63012adbab02191afd7968d70d7399c57a6f19b63ed",
    ),
    ("SegFormer", "NVlabs official MiT-B2, decoder embed_dim 768, 19 classes"): (
        *("segformer", 19, 3, {"backbone": "mit_b2"}, 27361235),
        "0cea5213a51f8159dea92430120edecc9c3d7fdab34246ee83ed319ce70507ce",
    ),
    ("SegFormer", "NVlabs official MiT-B1, decoder embed_dim 256, 19 classes"): (
        *("segformer", 19, 3, {"backbone": "mit_b1"}, 13682131),
        "b5358e976b975e9fc73cb145e0f98bcf0e88a26db7905a3f10a967655830aacd",
    ),
    ("SegFormer", "NVlabs official MiT-B5, decoder embed_dim 768, 150 classes"): (
        *("segformer", 150, 3, {"backbone": "mit_b5"}, 84708694),
        "90ba431cde553dc6929752e579fe95fe8e234d51ef349c4df0d04b18b455726b",
    ),
    ("SegFormer", "NVlabs official MiT-B3, decoder embed_dim 768, 150 classes"): (
        *("segformer", 150, 3, {"backbone": "mit_b3"}, 47337814),
        "5bc3420f2d12be06e4471f828a5481ea163b288caa0b57a4a895f40ed40e296d",
    ),
    ("SegFormer", "NVlabs official MiT-B1, decoder embed_dim 256, 150 classes"): (
        *("segformer", 150, 3, {"backbone": "mit_b1"}, 13715798),
        "d5059ecd9ca21afa9a54d0a84f51755efaa2cd2fa39c020f78ab1769fb9005c7",
    ),
    ("3D U-Net", "wolny UNet3D default f_maps 64, gcr, 4 levels, 1 in, 2 out"): (
        "unet3d",
        2,
        1,
        {"norm": "group", "norm_first": True, "upsampling": "nearest", "conv_bias": False},
        16318756,
        "9c52fd038b399ba571bae78e4113b3c0d2047778b2f02941a5b73e06c7b612ff",
    ),
}


def build(name, classes, channels, options):
    with torch.device("meta"):
        return build_network(name, num_classes=classes, in_channels=channels, **options)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def shape_hash(network):
    shapes = sorted("x".join(map(str, parameter.shape)) or "scalar" for parameter in network.parameters())
    return sha256("\n".join(shapes).encode()).hexdigest()


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_parameters_and_their_shapes(row):
    *arguments, parameters, shapes = ROWS[row]
    network = build(*arguments)
    assert count(network) == parameters
    assert shape_hash(network) == shapes


def test_the_3d_papers_own_count():
    # Section 2 of Cicek et al.: "In total, 19069955 parameters"; 3 channels, 3 classes.
    plain = {"norm_affine": False, "upsampling_bias": False, "padding": "valid"}
    assert count(build("unet3d", 3, 3, plain)) == 19069955


def test_the_paper_width_of_deeplabv3plus():
    # github.com/jfzhang95/pytorch-deeplab-xception, ResNet-101, 19 classes, no side head.
    options = {"backbone": "resnet101", "layout": "paper", "output_stride": 16, "auxiliary": False}
    assert count(build("deeplabv3plus", 19, 3, options)) == 59343795


def test_the_rows_agree_with_the_table_of_references():
    folder = os.environ.get("LIMNER_SHARED", str(Path(__file__).parents[3] / "shared"))
    table = Path(folder) / "networks.json"
    if not table.is_file():
        pytest.skip(f"the table of reference networks is not at {table} (set LIMNER_SHARED)")
    references = {(row["name"], row["variant"]): row for row in json.loads(table.read_text("utf-8"))}
    for key, (*_, parameters, shapes) in ROWS.items():
        assert references[key]["params"] == parameters, key
        assert references[key]["signature"]["param_shapes_sha256"] == shapes, key


@pytest.mark.peer
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("encoder-unet", 19, 3, {"backbone": "resnet18"}), ("Unet", "resnet18")),
        (("deeplabv3plus", 19, 3, {"backbone": "resnet18", **SMP_HEAD}), ("DeepLabV3Plus", "resnet18")),
    ],
)
def test_shapes_equal_smps(ours, theirs):
    smp = pytest.importorskip(
        "segmentation_models_pytorch", reason="segmentation-models-pytorch is not installed"
    )
    kind, encoder = theirs
    reference = getattr(smp, kind)(encoder, encoder_weights=None, classes=19)
    assert shape_hash(build(*ours)) == shape_hash(reference)
