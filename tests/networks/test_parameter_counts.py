"""Each network has exactly the layers of its reference: number and shapes of the parameters.

The counts and the hashes were taken from the reference implementations named beside them.
"""

from hashlib import sha256
from math import prod

import pytest

from limner.networks import build_network
from limner.networks.backbones import build_backbone
from limner.networks.weightless import weightless

SMP_HEAD = {
    "dilation": "uniform",
    "output_stride": 16,
    "layout": "segmentation-models-pytorch",
    "auxiliary": False,
}
NARROW = {
    "channels": 256,
    "projection_kernel": 1,
    "projection_dropout": 0.5,
    "refines_context": True,
}
VALID = {"padding": "valid", "norm": "none"}
DEIT = {"backbone": "deit_base_patch16_224", "neck": "none", "patch_bias": False}
MAE = {
    "neck": "deconvolution",
    "relative_positions": True,
    "layer_scale": 1.0,
    "taps": (3, 5, 7, 11),
    "channels": 768,
    "auxiliary_level": 2,
}
FROZEN = {"backbone_norm": "frozen"}
WOLNY_DECONV = {
    "widths": (32, 64, 128, 256),
    "upsampling": "overlapping",
    "upsampling_bias": False,
    "conv_bias": False,
}
DYNUNET = {"spatial_dims": 3, "auxiliary_heads": 3, "conv_bias": False, "norm_affine": False}
RESENC = "ResEncUNet 3D 6 stages 32..320, blocks 1,3,4,6,6,6, 1 in, 2 out, deep_supervision=False"
EOMT_L = {"backbone": "vit_large_patch14_reg4_dinov2", "num_queries": 100}
# The reference's name and variant -> (network, classes, channels, options, parameters, hash of the shapes).
ROWS = {
    ("Deformable DETR", "R50 + box refine + two-stage"): (
        *("deformable-detr", 91, 3, {"refines_boxes": True, "two_stage": True}, 41181529),
        "d1da72cfbff2714ec92951820d9c7372c00472f6cb15df8ce607f06d0b7914a7",
    ),
    ("Deformable DETR", "R50 single scale DC5"): (
        *("deformable-detr", 91, 3, {"levels": 1, "dilated": True}, 34066593),
        "e975852bd40382170ad1d72501a8aa7c9a820ebce24ffff905c3e2c57e1e6cfe",
    ),
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
    ("ENet", "19 classes, encoder PReLU / decoder ReLU"): (
        *("enet", 19, 3, {}, 351660),
        "e631941945deaf51c92df9244d9ab8cf5a3fdc93682e22641f63b7d1efa9f6ec",
    ),
    ("ESPNet", "ESPNet p=2 q=8, 20 classes"): (
        *("espnet", 20, 3, {}, 365109),
        "5dc4d138cafcb324f483cbd71d38f8b83f09fa6641a8e541bb6edab339e20626",
    ),
    ("ESPNet", "ESPNet p=2 q=8, 19 classes"): (
        *("espnet", 19, 3, {}, 363462),
        "e1e211cde7255b47eaa919398342627d6da1248f00d043780c3788af12f4eb10",
    ),
    ("ESPNet", "ESPNet p=2 q=3, 19 classes"): (
        *("espnet", 19, 3, {"blocks": (2, 3)}, 201542),
        "58891b2e0a648ed14cbafc08f77e2a3e93578b9d6e911c2185450a5419abacd1",
    ),
    ("ESPNet", "ESPNet-C (encoder only) p=2 q=3, 20 classes"): (
        *("espnet", 20, 3, {"blocks": (2, 3), "decoder": False}, 187529),
        "b09384ba467f3c82ba3d70962c00ab37aaca5597c6c95bc19478560d7d4e28c3",
    ),
    ("BiSeNetV1", "BiSeNetV1-r18-d32"): (
        *("bisenetv1", 19, 3, {}, 13425721),
        "3fd6be14704fa8bf793980b3404e1c934fe4a4190f385276632f483b6ccc2db8",
    ),
    ("BiSeNetV1", "BiSeNetV1-r50-d32"): (
        *("bisenetv1", 19, 3, {"backbone": "resnet50"}, 59243385),
        "a2030b000fc7c6d1071500cdffb93952bb6ca4bc4225999c2cabe28dbc2577dc",
    ),
    ("BiSeNetV2", "CoinCheung, 19 classes, train mode (4 booster heads)"): (
        *("bisenetv2", 19, 3, {}, 5231487),
        "11841c6da8c13d4a5047889f558990ae9ddf7867cdece0ed4f5edcf2cddd47f1",
    ),
    ("BiSeNetV2", "CoinCheung, 19 classes, eval mode"): (
        *("bisenetv2", 19, 3, {"auxiliary": False}, 3358627),
        "350217b0167f48c4f44dcf4ac718f231a608ae29b888b6ee3d170e8a4be287cd",
    ),
    ("SegNet", "VGG16-BN encoder-decoder (13+13 convs), 11 classes"): (
        *("segnet", 11, 3, {}, 29449355),
        "1b8afa80f370c9e712406b48fcfc83acc469a47ce598fbe9051b4392ab56c7ca",
    ),
    ("UNet++", "NestedUNet 32-64-128-256-512, no deep supervision, 1 classes"): (
        *("unetplusplus", 1, 3, {"deep_supervision": False}, 9163329),
        "9c19afecdfe31d76b3783ca7047b6f992498d88df7dabb57507cc6cafda10478",
    ),
    ("UNet++", "NestedUNet 32-64-128-256-512, no deep supervision, 19 classes"): (
        *("unetplusplus", 19, 3, {"deep_supervision": False}, 9163923),
        "ae488e1b8a033347154bf58e5df22db65019879a7db26609b58bfdfad4bbf647",
    ),
    ("UNet++", "NestedUNet, deep supervision (4 outputs), 1 classes"): (
        *("unetplusplus", 1, 3, {}, 9163428),
        "bb73981b6923f2be4a0f8c4914954c602c4e9fffce3b9db65894d476d6f3d483",
    ),
    ("ResNet-18 classifier", "torchvision resnet18"): (
        *("classifier", 1000, 3, {}, 11689512),
        "ba9d6bff01ef4241027728917a7ab9fc58dd8dd47a393bc1699898d20f578f57",
    ),
    ("ResNet-50", "torchvision resnet50"): (
        *("classifier", 1000, 3, {"backbone": "resnet50"}, 25557032),
        "8fd62ec06b31ad71534afd6a35fef5755c36363bacd5f610cb3a85e4c3f5bf24",
    ),
    ("ResNet-101", "torchvision resnet101"): (
        *("classifier", 1000, 3, {"backbone": "resnet101"}, 44549160),
        "8a84856b14b12168b10354a2659581ebdb0af7d0d2bc931da8e227e0c04dbd99",
    ),
    ("ViT-B/16 classifier", "timm vit_base_patch16_224"): (
        *("classifier", 1000, 3, {"backbone": "vit_base_patch16_224"}, 86567656),
        "89fe14f74eb22f22ffcd1acc97faf6a415022e018f46cff33d012b400ce6ba12",
    ),
    ("ResUNet", "filters 64-128-256-512, 3ch, 1 class (sigmoid)"): (
        *("resunet", 1, 3, {}, 13043009),
        "bc48d611452cf6588254564fca14040637a8b07a310c813cc3c07c62dac146f3",
    ),
    ("ResUNet++", "author PyTorch port, 1 class"): (
        *("resunetplusplus", 1, 3, {}, 4062993),
        "8d06d44f222aff542fdf5898e8219d378e5f8b3d259585e9ee66367453a3d4ab",
    ),
    ("PraNet", "Res2Net50-v1b-26w-4s, channel 32"): (
        *("pranet", 1, 3, {}, 32547319),
        "e740813b254d5796a9d2248e211328ad6c36f5fb36c9de0063574aa51678543c",
    ),
    ("CaraNet", "Res2Net101-v1b-26w-4s"): (
        *("caranet", 1, 3, {}, 46642560),
        "34e3e600c5fd87b7eeaf85948377cfad4714dbbdb715e54d0d8d5b6bb1072da7",
    ),
    ("Inf-Net", "Res2Net backbone, channel 32"): (
        *("infnet", 1, 3, {}, 33121721),
        "7f318a2e957522dc5b89a66fca20f2ede707fa5d6b9e71a5f41e581546e4d303",
    ),
    ("Inf-Net", "ResNet backbone, channel 32"): (
        *("infnet", 1, 3, {"backbone": "resnet50"}, 30911401),
        "cc6e48062f5482594c22f304dc51e834e79e748e0b2ff6e2ccfc28ae17195641",
    ),
    ("Inf-Net", "VGG16 backbone, channel 32"): (
        *("infnet", 1, 3, {"backbone": "vgg16", "finest_stride": 2}, 34278057),
        "c1e436c007f0d40a815f829b0a629a4fefdcbae10c43a9955ce9e17524460a31",
    ),
    ("DeepLabV3", "DeepLabV3-r50-d8"): (
        *("deeplabv3", 19, 3, {}, 68113030),
        "6b7fd0e92fea75522bdb7a3b4a65557660e3c6b4b8d2698f0bcb6dfc428ade64",
    ),
    ("DeepLabV3", "DeepLabV3-r101-d16-mg124"): (
        *(
            "deeplabv3",
            19,
            3,
            {"backbone": "resnet101c", "output_stride": 16, "multi_grid": (1, 2, 4)},
            87105158,
        ),
        "496ab5155dc04f06641581c7c0fe4ba1b8f5e3b034ed9dc70e9800d60a08e601",
    ),
    ("DeepLabV3", "torchvision deeplabv3_resnet50, 19 classes, aux_loss=True"): (
        *("deeplabv3", 19, 3, {"backbone": "resnet50", **NARROW}, 42003046),
        "ef3b7f983b19cfb6e0c2271dfbb6515118a66fe9dc03c5d4ea81bf0814187848",
    ),
    ("DeepLabV3", "SMP DeepLabV3 resnet34 , 19 classes"): (
        *("deeplabv3", 19, 3, {"backbone": "resnet34", "auxiliary": False, **NARROW}, 26011731),
        "9d12f4f31141fcfce2073a7afe9b7d3badfbaa5b8048d63104284e235f79b42a",
    ),
    ("DeepLabV3", "SMP DeepLabV3 resnet50 , 19 classes"): (
        *("deeplabv3", 19, 3, {"backbone": "resnet50", "auxiliary": False, **NARROW}, 39638355),
        "639e364f9ab35c07210acbc921aee1e5822ff0568240d24db09c74618451c94a",
    ),
    ("FCN", "FCN-r50-d8"): (
        *("fcn", 19, 3, {}, 49497734),
        "6c8cc9d40afbc5e7b9e081900bce36cfe99aae2d62addf0f23ca58a583a88d03",
    ),
    ("FCN", "FCN-r101-d8"): (
        *("fcn", 19, 3, {"backbone": "resnet101c"}, 68489862),
        "06895fb468b7045d672ddebda004a378be719515d4101c05176d0fa27de8f16b",
    ),
    ("FCN", "torchvision fcn_resnet50, 19 classes, aux_loss=True"): (
        *("fcn", 19, 3, {"backbone": "resnet50", "num_convs": 1, "joins_input": False}, 35320678),
        "a7c7a4f8bd4b811bd233c81fbce234b8bb173201005248880aeafb9c5535fbb4",
    ),
    ("UPerNet", "UPerNet-r50"): (
        *("upernet", 19, 3, {}, 66415238),
        "eaa21077ba05a345975a2a29e8d00fabc28bbf64ce2aa2b6ae9ddf79df00f2af",
    ),
    ("UPerNet", "UPerNet-r50, ADE20K"): (
        *("upernet", 150, 3, {}, 66516108),
        "67c94a4b24734c8e435cb74b2bf26b4aaf41b78887186d71a9cd0b6b7932bf5a",
    ),
    ("UPerNet", "CSAIL resnet50-upernet, 19 classes"): (
        *("upernet", 19, 3, {"backbone": "resnet50s", "auxiliary": False}, 64155091),
        "4336417d9b7f3abe5c475772ed2a0844e72e6da245576201bf125567c6db5e0e",
    ),
    ("UPerNet", "CSAIL resnet50-upernet, 150 classes"): (
        *("upernet", 150, 3, {"backbone": "resnet50s", "auxiliary": False}, 64222294),
        "80ccfbf64dfe67954d99a119dcccd990e70ad45418acd082286894840389d4a5",
    ),
    ("UPerNet", "CSAIL resnet101-upernet, 150 classes"): (
        *("upernet", 150, 3, {"backbone": "resnet101s", "auxiliary": False}, 83214422),
        "cedb0334c196f027ccdf850d71f3970cbf3a42ed641c1c5b0dabeede3010631e",
    ),
    ("UPerNet", "Swin-T + UPerNet, ADE20K"): (
        *("upernet", 150, 3, {"backbone": "swin_tiny_patch4_window7_224", "norm_features": True}, 59941862),
        "ed454576a8700c69152d5467966d046e65fa8316e100fd2862d7075c1d93d6f7",
    ),
    ("UPerNet", "SMP UPerNet resnet18 , 19 classes"): (
        *(
            "upernet",
            19,
            3,
            {"backbone": "resnet18", "auxiliary": False, "norm_features": True, "channels": 256},
            19496147,
        ),
        "ebb4d69d293112541c7649b0ef141212e466c40a5bffb793863a72a039453d43",
    ),
    ("Semantic FPN", "FPN-r50"): (
        *("semantic-fpn", 19, 3, {}, 28497907),
        "7ad999206c162d4034ba09cfad6024c24bd104d8bdfac396d495b8e74278002d",
    ),
    ("Semantic FPN", "FPN-r101"): (
        *("semantic-fpn", 19, 3, {"backbone": "resnet101c"}, 47490035),
        "c6946d0822419742aea77906fda5956eae6b14c2c560c764c388e8bfd871466b",
    ),
    ("Semantic FPN", "FPN-r101 ADE20K config AS SHIPPED (really builds R50)"): (
        *("semantic-fpn", 150, 3, {}, 28514806),
        "698be1a9ad367006c7ea9c33c3a67e745685912c596de44c7b81b68cb930905c",
    ),
    ("Semantic FPN", "SMP FPN resnet50 , 19 classes"): (
        *(
            "semantic-fpn",
            19,
            3,
            {"backbone": "resnet50", "norm": "group", "smooths_pyramid": False},
            26118355,
        ),
        "6e161a0ca3a375d4f013df4bc17a40852fc6f37e3b6ab1ffbfead8c69cb38cba",
    ),
    ("DANet", "DANet-r50-d8"): (
        *("danet", 19, 3, {}, 49846574),
        "0a26c38aeab74283a9b01c87c0738b138d5a7b55c552ffc3ced490b584055e02",
    ),
    ("DANet", "DANet-r101-d8"): (
        *("danet", 19, 3, {"backbone": "resnet101c"}, 68838702),
        "8e0a1dd21d73f3a6cd6607a5aef65c7721bc1a7be523a378cce9264f860c1905",
    ),
    ("CCNet", "CCNet-r50-d8"): (
        *("ccnet", 19, 3, {}, 49826055),
        "4835f7e46fc62437718943db7a1fb569965e2bdb5ce15763fce548f59354b024",
    ),
    ("CCNet", "CCNet-r101-d8"): (
        *("ccnet", 19, 3, {"backbone": "resnet101c"}, 68818183),
        "e03ec704f55c7d2fed4e1bf937b10daf817551a3f7acd06da5f3ee8fc84ed4e7",
    ),
    ("ANN", "ANN-r50-d8"): (
        *("ann", 19, 3, {}, 46228614),
        "9e8b3ba36f597a641ccf6741fc9893415a61ebc8a40779a0fe63b847d5fd7d24",
    ),
    ("ANN", "ANN-r101-d8"): (
        *("ann", 19, 3, {"backbone": "resnet101c"}, 65220742),
        "05c87f2244cfdd879b83dbd5d23d074f9dd085f38fd8f05ff1209907e13da945",
    ),
    ("EMANet", "EMANet-r50-d8"): (
        *("emanet", 19, 3, {}, 42349958),
        "7687a5b5ea2063f2dafde53eff0f2bdb020f0e0998628bf3061d220077b7ca3c",
    ),
    ("EMANet", "EMANet-r101-d8"): (
        *("emanet", 19, 3, {"backbone": "resnet101c"}, 61342086),
        "62cf98b89c490684edb9a942085d680702c6b2e91935c067b1624dc23f18cc1e",
    ),
    ("OCNet", "R101 base_oc (dsn aux), 19 classes"): (
        *("ocnet", 19, 3, {"backbone": "resnet101s"}, 57722854),
        "9ea134b64ef186250a45a7b3b1ac51dd307dffd40024ea411c5a2ba8c0ec6f9f",
    ),
    ("GCN", "ResNet-50, k=15 (paper best), 19 classes"): (
        *("gcn", 19, 3, {}, 25799280),
        "65a43f7deff8c7c596718c4d583c4eaeeecdb6ce946ac13c86837d1a9e6e8fb1",
    ),
    ("PSANet", "hszhao R50, 19 classes, bi-direction, mask 59x59 (465 crop), shrink 2"): (
        *("psanet", 19, 3, {"backbone": "resnet50s", "mask_size": 59}, 53172966),
        "94863c4bae8bcce00b44028b07fba1525f3d5b5df067dcdbe39ece31c6ba7e46",
    ),
    ("PSANet", "hszhao R50, 19 classes, bi-direction, mask 89x89 (705 crop, Cityscapes config), shrink 2"): (
        *("psanet", 19, 3, {"backbone": "resnet50s", "mask_size": 89}, 57719526),
        "79148552ec224695a5a71a22bc2837727d511ded2676666f0ad8f70b1df403b3",
    ),
    ("PSANet", "hszhao R50, 19 classes, bi-direction, mask 97x97 (769 crop, as mmseg), shrink 2"): (
        *("psanet", 19, 3, {"backbone": "resnet50s"}, 59243238),
        "6bb46db9da68d38ee95c34e170e13f3bf62404bc7ba86fe2c2e3ef82fa0fec5f",
    ),
    ("PSANet", "PSANet-r50-d8"): (
        *("psanet", 19, 3, {}, 59138694),
        "a07c853bbeda12aeef50ea756810d2d95cf35a08fbeb59da4d45b3d66f5e2573",
    ),
    ("Mask2Former", "R50 instance COCO (official)"): (
        *("mask2former", 80, 3, {"backbone_norm": "frozen"}, 43970257),
        "fb08084ed12c5183c3458e718653adf158b5fa32120d47941186613eda92338e",
    ),
    ("Mask2Former", "Swin-T instance COCO (official)"): (
        *("mask2former", 80, 3, {"backbone": "swin_tiny_patch4_window7_224"}, 47421643),
        "d6192761f49dd5040bf6665ef4359b85a6e027f37aa8a5cc8227dbbbf5f9fa5f",
    ),
    ("Mask2Former", "R50 panoptic COCO (official)"): (
        *("mask2former", 133, 3, {"backbone_norm": "frozen"}, 43983878),
        "303c901ceb7ea9926f6383be8cd5e87e3f84ce3c91ff07eb83aadfe9a2340da1",
    ),
    ("Mask2Former", "R50 semantic, Cityscapes 19, 100 queries (mmseg)"): (
        *("mask2former", 19, 3, {}, 44007700),
        "38d15303398c6e97134b30afc60f596990241f08524485655f508b920bd13b08",
    ),
    ("Mask2Former", "Swin-T semantic, Cityscapes 19, 100 queries (mmseg)"): (
        *("mask2former", 19, 3, {"backbone": "swin_tiny_patch4_window7_224"}, 47405966),
        "17178bf03a6a24480bce5891f129b8c407f63150e5a6d9a03b815ac697f0d1c5",
    ),
    ("Mask2Former", "Swin-T semantic Cityscapes (official)"): (
        *("mask2former", 19, 3, {"backbone": "swin_tiny_patch4_window7_224"}, 47405966),
        "17178bf03a6a24480bce5891f129b8c407f63150e5a6d9a03b815ac697f0d1c5",
    ),
    ("Mask2Former", "R50 panoptic ADE20K (official)"): (
        *("mask2former", 150, 3, {"backbone_norm": "frozen"}, 43988247),
        "bc0faac25be6b343c38f616abfd28939c06d6dd78e402beafd92ecb2b6390a5f",
    ),
    ("Mask2Former", "R50 semantic ADE20K (official)"): (
        *("mask2former", 150, 3, {"backbone_norm": "frozen"}, 43988247),
        "bc0faac25be6b343c38f616abfd28939c06d6dd78e402beafd92ecb2b6390a5f",
    ),
    ("Mask2Former", "R50 instance ADE20K (official)"): (
        *("mask2former", 100, 3, {"backbone_norm": "frozen"}, 43975397),
        "4549d3326391124a607167a2ddcb41c0d639ce41874aa47f7d8bd02409784ae2",
    ),
    ("Mask2Former", "R50 panoptic Cityscapes (official)"): (
        *("mask2former", 19, 3, {}, 44007700),
        "38d15303398c6e97134b30afc60f596990241f08524485655f508b920bd13b08",
    ),
    ("Mask2Former", "Swin-T semantic ADE20K (official)"): (
        *("mask2former", 150, 3, {"backbone": "swin_tiny_patch4_window7_224"}, 47439633),
        "9ba7e2acc56c0aee273f8987958a03ac9b48ed9802d1a29440c9d691f523f1cc",
    ),
    ("Mask2Former", "Swin-L instance COCO 200 queries (official)"): (
        *(
            "mask2former",
            80,
            3,
            {"backbone": "swin_large_patch4_window12_384", "num_queries": 200},
            215521989,
        ),
        "566c92efd7c2662916ed2e5365ee677c34df712464273d3460d0dc24565c1a3f",
    ),
    (
        "EoMT",
        "EoMT-L Cityscapes semantic, img 1024, patch 16, 100 queries, 4 joint blocks, 19 classes",
    ): (
        *("eomt", 19, 3, EOMT_L | {"image_size": 1024}, 319032340),
        "7e37a0e1f0a77e13319a01a90adad0508b4ad30619cb6e566e45a840a0d78dcb",
    ),
    (
        "EoMT",
        "EoMT-L ADE20K semantic, img 512, patch 16, 100 queries, 4 joint blocks, 150 classes",
    ): (
        *("eomt", 150, 3, EOMT_L | {"image_size": 512}, 316020887),
        "707b4c365865f642e0e2cbf60d99cd831a17b36e108c0900e6594e25fab5acc5",
    ),
    (
        "EoMT",
        "EoMT-L COCO instance, img 640, patch 16, 200 queries, 4 joint blocks, 80 classes",
    ): (
        *("eomt", 80, 3, {"backbone": "vit_large_patch14_reg4_dinov2"}, 316641361),
        "b9268feb57e568085e9ea8253243a3d3eb4f03d82241bd0a325cd5c12157cd18",
    ),
    ("DBNet", "author repo, DCNv2 ResNet-18, adaptive thresh, k=50"): (
        *("dbnet", 1, 3, {"deformable": True}, 13814092),
        "02eacb32c3504191ad6503b4d4d5eaa028a027f060767ff7223d275e622d672d",
    ),
    ("DBNet", "author repo, DCNv2 ResNet-50, adaptive thresh, k=50"): (
        *("dbnet", 1, 3, {"backbone": "resnet50", "deformable": True}, 28854537),
        "f8f8b29e5a377f333a99fe0031c67bd9a34069ee8c15b7b095799ed269cf1d08",
    ),
    ("DBNet++", "author repo, DCNv2 ResNet-18, adaptive thresh, k=50"): (
        *("dbnetplusplus", 1, 3, {"deformable": True}, 13963926),
        "0c9943630dc98c2c4b7e5db82cc87fb8ae810c483803ab49c0afbfa4594dbbda",
    ),
    ("DBNet++", "author repo, ResNet-50, adaptive thresh, k=50"): (
        *("dbnetplusplus", 1, 3, {"backbone": "resnet50"}, 28133108),
        "c4353ce13254b169c8fb347dd33bf87c6ee4febcce513e2b1ab768d049c9cdd4",
    ),
    ("DBNet++", "author repo, DCNv2 ResNet-50, adaptive thresh, k=50"): (
        *("dbnetplusplus", 1, 3, {"backbone": "resnet50", "deformable": True}, 29004371),
        "8785f290edfb94df88cce500ee4c02c3ccfa3deb1ecdae1bc30449c8aae27733",
    ),
    ("DBNet", "mmocr R50"): (
        *("dbnet", 1, 3, {"backbone": "resnet50"}, 25409730),
        "f3af70f3fcfca9c8ddb745e94e78994cbae3da0788b14a6886c85baee4ff946b",
    ),
    ("MaskFormer", "ade20k-150-panoptic/maskformer_panoptic_R50_bs16_720k (official)"): (
        *("maskformer", 150, 3, FROZEN | {"pixel_layers": 6}, 45016407),
        "a15535dfa7ca74197f779968ffd73637b3312ac43f4c2d2e3a37442fe763e872",
    ),
    ("MaskFormer", "ade20k-full-847/per_pixel_baseline_plus_R50_bs16_200k (official)"): (
        *("per-pixel", 847, 3, FROZEN, 41407168),
        "5876072f35137d8d2e3fc3da27fbc370ede24fe9151e7d0f599e4b15c5895cf2",
    ),
    ("MaskFormer", "mmdet R50 COCO panoptic"): (
        *("maskformer", 133, 3, {"pixel_layers": 6}, 45065158),
        "e19ef18b057559c6e81096ffcb21935e7ce5b7fb37e9db582d7d40a3b6352ebf",
    ),
    ("MaskFormer", "ade20k-150/per_pixel_baseline_R50_bs16_160k (official)"): (
        *("per-pixel", 150, 3, FROZEN | {"decoder_layers": 0}, 31033942),
        "d9e4640f54374f6710cf25e50c1fd23813780b6b0618493598851eaf9ee38f4f",
    ),
    ("MaskFormer", "coco-stuff-10k-171/per_pixel_baseline_R50_bs32_60k (official)"): (
        *("per-pixel", 171, 3, FROZEN | {"decoder_layers": 0}, 31039339),
        "b35d8519cc64fee6a2123a2384270da45c8c1a0b6d047087f65a103982ddf1d7",
    ),
    ("MaskFormer", "mapillary-vistas-65/maskformer_R50_bs16_300k (official)"): (
        *("maskformer", 65, 3, FROZEN, 41232898),
        "00cdb83595cad659dcb94969bb249d11c66c58fabce09f15812235b6ebd83a00",
    ),
    ("MaskFormer", "coco-stuff-10k-171/maskformer_R50_bs32_60k (official)"): (
        *("maskformer", 171, 3, FROZEN, 41260140),
        "c801527531e27e70621e690a3896f0f962343a97aeffdaffe6b341bc2030ffbf",
    ),
    ("MaskFormer", "coco-stuff-10k-171/per_pixel_baseline_plus_R50_bs32_60k (official)"): (
        *("per-pixel", 171, 3, FROZEN, 41234112),
        "4adb1d07585a2a8b8cec7e1b1f83cfc9efc18fe4347b7f7bab16c3abe0fda654",
    ),
    ("PSANet", "PSANet-r101-d8"): (
        *("psanet", 19, 3, {"backbone": "resnet101c"}, 78130822),
        "6cd2ad714544536d048807185c94ae1bf9ae389dfcbecb83380eb3638ba8caf1",
    ),
    ("DenseASPP", "DenseASPP-121, 19 classes, OS8"): (
        *("denseaspp", 19, 3, {}, 8280851),
        "4f475671b73a2384783b7158dd0aae1469c31baf1cb05f7421bb6b36d41f5931",
    ),
    ("DenseASPP", "DenseASPP-161, 19 classes, OS8"): (
        *("denseaspp", 19, 3, {"backbone": "densenet161"}, 35395427),
        "aaaec8143ffae26de9a83a63f10ca0b977d2b23a54bd4171d9e81e3aeb730827",
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
    ("MPViT + UPerNet", "MPViT-tiny + UPerNet, 19 classes"): (
        *("upernet", 19, 3, {"backbone": "mpvit_tiny"}, 33791638),
        "dc5398ad9503cea7ed00611b439716f9afa7f924e589dd4f67df21aeb347ba33",
    ),
    ("MPViT + UPerNet", "MPViT-xsmall + UPerNet, 150 classes"): (
        *("upernet", 150, 3, {"backbone": "mpvit_xsmall"}, 38985676),
        "7039094f233cb49b1957918adef17cf9196ce34d84c4b31350cc78b362eca994",
    ),
    ("MPViT + UPerNet", "MPViT-small + UPerNet, 19 classes"): (
        *("upernet", 19, 3, {"backbone": "mpvit_small"}, 51487150),
        "8dd308a48fdb11fcc5ec8001594f16fc76a36d37a9297b20b15321027850ad9d",
    ),
    ("MPViT + UPerNet", "MPViT-base + UPerNet, 150 classes"): (
        *("upernet", 150, 3, {"backbone": "mpvit_base"}, 105295196),
        "dbd2d3556b9dd79bb2720c8fe2be2279eeaf7bd2b2feca0ec0c4654d419b6e16",
    ),
    ("SETR", "ViT-L/16 SETR-pup, Cityscapes"): (
        *("setr", 19, 3, {"patch_bias": False}, 318466124),
        "fd7d2bf185e7cd2f9551e5b32466a69998a61d1777530757cb753a1693c4cc8d",
    ),
    ("ViT+FPN+FCN (mmseg)", "DeiT-B/16 + UPerHead + aux FCNHead (no neck), ADE20K"): (
        *("vit", 150, 3, DEIT, 120573740),
        "9357538e07c744ec06f9b7bf556f87934df6dc2efb08bd1d87f05c41d2fe4c3c",
    ),
    ("ViT+FPN+FCN (mmseg)", "MAE-ViT-B + Feature2Pyramid + UPerHead + aux FCNHead, ADE20K"): (
        *("vit", 150, 3, MAE, 163877228),
        "c57c4ebd8889d40eef9837ad76c84f5f85ff6b4594ac52a1fe795e66f562a485",
    ),
    ("V-Net", "MONAI VNet, act elu, 1 in, 2 out"): (
        *("vnet", 2, 1, {"spatial_dims": 3}, 45597898),
        "de00b950a93b10557b4f3c238c806a08484e2f941ffce2fda4d76b78b7688a91",
    ),
    ("SwinUNETR", "feature_size 48, 1 in, 14 out"): (
        *("swinunetr", 14, 1, {"spatial_dims": 3}, 62187296),
        "57e7c1fb6388083375a0e829b114dc5edd162a8b61f339052f12c7181b23ca63",
    ),
    ("SwinUNETR", "feature_size 48, 4 in, 3 out"): (
        *("swinunetr", 3, 4, {"spatial_dims": 3}, 62191941),
        "e526bc3d7157a9b7702f6dff876cd5a70a3c84c600424cf5d6d89c0d3af2801f",
    ),
    ("UNETR", "img 128, feature 16, 4 in, 3 out (BraTS)"): (
        *("unetr", 3, 4, {"spatial_dims": 3, "image_size": 128}, 102468147),
        "bf0ba339721fb43d02c16282a200eb81532260e3ddfdbf0bf07ed4098a9d219d",
    ),
    ("nnU-Net ResEnc", RESENC): (
        *("nnunet-resenc", 2, 1, {"spatial_dims": 3, "auxiliary_heads": 4}, 102349770),
        "89d52e2b4fc69c11704ae0f6770b9a79dc5f23ab9fdb6b09b9bcce0de81fc47c",
    ),
    ("nnU-Net", "PlainConvUNet 3D 6 stages 32..320, 2 convs per stage, 1 in, 2 out, deep supervision"): (
        *("nnunet", 2, 1, {"spatial_dims": 3, "auxiliary_heads": 4}, 31195594),
        "fca47b048d5756d146158f82df6299c29fc34ea1966edbb158a29baf4d5dcc63",
    ),
    ("nnU-Net (DynUNet)", "MONAI DynUNet 3D 6 stages 32..320, 1 in, 2 out"): (
        *("nnunet", 2, 1, DYNUNET, 31182632),
        "77c273adcf6ebf29e68fd38fefb17611fcb833637fc6528d3b91c9188529c35a",
    ),
    ("3D U-Net", "wolny UNet3D default f_maps 64, gcr, 4 levels, 1 in, 2 out"): (
        "unet3d",
        2,
        1,
        {"norm": "group", "norm_first": True, "upsampling": "nearest", "conv_bias": False},
        16318756,
        "9c52fd038b399ba571bae78e4113b3c0d2047778b2f02941a5b73e06c7b612ff",
    ),
    ("3D U-Net", "wolny UNet3D f_maps 32, cbr, upsample=deconv, 3 in, 3 out"): (
        *("unet3d", 3, 3, WOLNY_DECONV, 4662419),
        "4c68fef4ded60c656183b8326ce243ad302512b92c6b1821e7ad1052615e5fb1",
    ),
}

CLASSIFIER = ("1000x2048", "1000")
VGG_COPY = ("512x256x3x3", *["512x512x3x3"] * 5, *["512"] * 6)
# Parameters that the reference holds and never uses, which ours leaves out: ImageNet's classifier, and in one
# a second copy of VGG16's last two blocks.
# The authors' backbone of DBNet also has a convolution that nothing uses.
# MONAI's transformer blocks have the normalisation of a cross-attention that they lack.
DB_NARROW = ("1000x512", "1000", "256x2048x1x1", "256")
DB_WIDE = ("1000x2048", "1000", "256x2048x1x1", "256")
UNUSED = {
    ("DBNet", "author repo, DCNv2 ResNet-18, adaptive thresh, k=50"): DB_NARROW,
    ("DBNet", "author repo, DCNv2 ResNet-50, adaptive thresh, k=50"): DB_WIDE,
    ("DBNet++", "author repo, DCNv2 ResNet-18, adaptive thresh, k=50"): DB_NARROW,
    ("DBNet++", "author repo, ResNet-50, adaptive thresh, k=50"): DB_WIDE,
    ("DBNet++", "author repo, DCNv2 ResNet-50, adaptive thresh, k=50"): DB_WIDE,
    ("UNETR", "img 128, feature 16, 4 in, 3 out (BraTS)"): ("768",) * 24,
    ("PraNet", "Res2Net50-v1b-26w-4s, channel 32"): CLASSIFIER,
    ("CaraNet", "Res2Net101-v1b-26w-4s"): CLASSIFIER,
    ("Inf-Net", "Res2Net backbone, channel 32"): CLASSIFIER,
    ("Inf-Net", "VGG16 backbone, channel 32"): VGG_COPY,
}


def build(name, classes, channels, options):
    with weightless():
        return build_network(name, num_classes=classes, in_channels=channels, **options)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def shape_hash(network, unused=()):
    shapes = ("x".join(map(str, parameter.shape)) or "scalar" for parameter in network.parameters())
    return sha256("\n".join(sorted([*shapes, *unused])).encode()).hexdigest()


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_parameters_and_their_shapes(row):
    *arguments, parameters, shapes = ROWS[row]
    network = build(*arguments)
    unused = UNUSED.get(row, ())
    assert count(network) + sum(prod(map(int, shape.split("x"))) for shape in unused) == parameters
    assert shape_hash(network, unused) == shapes


def test_the_3d_papers_own_count():
    # Section 2 of Cicek et al.: "In total, 19069955 parameters"; 3 channels, 3 classes.
    plain = {"norm_affine": False, "upsampling_bias": False, "padding": "valid"}
    assert count(build("unet3d", 3, 3, plain)) == 19069955


def test_the_paper_width_of_deeplabv3plus():
    # github.com/jfzhang95/pytorch-deeplab-xception, ResNet-101, 19 classes, no auxiliary head.
    options = {"backbone": "resnet101", "layout": "paper", "output_stride": 16, "auxiliary": False}
    assert count(build("deeplabv3plus", 19, 3, options)) == 59343795


def test_the_rows_agree_with_the_table_of_references(references):
    for key, (*_, parameters, shapes) in ROWS.items():
        assert references[key]["params"] == parameters, key
        assert references[key]["signature"]["param_shapes_sha256"] == shapes, key


# mmsegmentation 1.4.2 (onedl), configs/hrnet/fcn_hr18s, fcn_hr18 and fcn_hr48, 19 classes.
HRNETS = [("hrnetv2_w18_small", 3939309), ("hrnetv2_w18", 9640849), ("hrnetv2_w48", 65858659)]
HRNET_HEAD = {"output_stride": 32, "joins_maps": True, "num_convs": 1, "kernel_size": 1}
HRNET_HEAD |= {"joins_input": False, "dropout": 0.0, "auxiliary": False}


@pytest.mark.parametrize(("backbone", "parameters"), HRNETS)
def test_fcn_on_hrnet_is_mmsegmentations(backbone, parameters):
    assert count(build("fcn", 19, 3, {"backbone": backbone, **HRNET_HEAD})) == parameters


# mmsegmentation 1.4.2 (onedl), configs/ocrnet and configs/mobilenet_v3, 19 classes.
OCR_HRNET = {"output_stride": 32, "joins_maps": True}
V3 = {"output_stride": 8, "layout": "mmsegmentation"}
OF_MMSEGMENTATION = [
    ("ocrnet", {}, 36524166, "2a23b93da5bc89892b20558a843b2918d34d8b02f45e8f15ae62790e624bf210"),
    (
        *("ocrnet", {"backbone": "resnet101c"}, 55516294),
        "7ac1f73260126c03ad86124c1b792511599dbec0c6cae1b796e4ff8e1932f409",
    ),
    (
        *("ocrnet", {"backbone": "hrnetv2_w18", **OCR_HRNET}, 12080036),
        "766afd37b097b2bcfda74026ed47077a2fd029951b317021e8e8ae026c840639",
    ),
    (
        *("ocrnet", {"backbone": "hrnetv2_w48", **OCR_HRNET}, 70371446),
        "064ba2545c8ab1a7eec6480e48950187783aac8587f6261ae01eab825ce50b67",
    ),
    (
        *("lraspp", {"backbone": "tf_mobilenet_v3_large", **V3}, 3284547),
        "888d6ca782804845167409b2fbb0055b45264fadcc8682ebc5ab7101a0d6d2f3",
    ),
    (
        *("lraspp", {"backbone": "tf_mobilenet_v3_small", **V3}, 1140787),
        "ea1a9b9a07c924e5eb71fcd234957e6d508ccf45b80569a7ebe4a5c7a536d48c",
    ),
]


@pytest.mark.parametrize(("name", "options", "parameters", "shapes"), OF_MMSEGMENTATION)
def test_networks_of_mmsegmentation_alone(name, options, parameters, shapes):
    network = build(name, 19, 3, options)
    assert count(network) == parameters and shape_hash(network) == shapes


# transformers 5.24, DPTForSemanticSegmentation, 150 classes. It also holds a final norm and, in the first
# fusion, a residual unit of two normed 3x3 convolutions of 256 channels; nothing uses them.
DPTS = [
    ({}, 111807980, 2 * 768),
    ({"backbone": "vit_large_patch16_384", "widths": (256, 512, 1024, 1024)}, 343960364, 2 * 1024),
]


@pytest.mark.parametrize(("options", "parameters", "final_norm"), DPTS)
def test_dpt_is_the_one_of_transformers(options, parameters, final_norm):
    residual_unit = 2 * (9 * 256 * 256 + 2 * 256)
    assert count(build("dpt", 150, 3, options)) + residual_unit + final_norm == parameters


def test_the_small_dbnet_is_mmocrs():
    # github.com/open-mmlab/mmocr, dbnet_resnet18_fpnc_1200e_icdar2015.
    assert count(build("dbnet", 1, 3, {})) == 12340930


# github.com/Res2Net/Res2Net-PretrainedModels, with ImageNet's classifier; timm calls v1b "d".
RES2NETS = [
    ("res2net50_26w_4s", 25699120, "72d5181d34c0a9c8dfd45673e92136cbde5ff814cb5fffa85d21158b98b8f3c2"),
    ("res2net50_48w_2s", 25287304, "899f9dddd5820d70e983f18eccf499ccaf2ad7ea096a2ce2e506129cabdb8843"),
    ("res2net101d", 45225920, "37517a7cfc0a35e4f801975fd1cc04e8312d3a0b33b3dfae33e56df54962cf1c"),
]


@pytest.mark.parametrize(("name", "parameters", "shapes"), RES2NETS)
def test_res2net_is_the_authors(name, parameters, shapes):
    with weightless():
        backbone = build_backbone(name)
    assert count(backbone) + 1000 * 2048 + 1000 == parameters
    assert shape_hash(backbone, CLASSIFIER) == shapes


# github.com/youngwanLEE/MPViT, with ImageNet's classifier.
MPVITS = [
    ("mpvit_tiny", 216, 5843736, "6b0eb5053420553a87b5b77305571ad54c3d4525af7626c773d0a2efce3954a2"),
    ("mpvit_xsmall", 256, 10573448, "8bbcc24501bfc5b0186391d7b99cb560fa1da17e09007b269f1a1f45a37eb356"),
]


@pytest.mark.parametrize(("name", "width", "parameters", "shapes"), MPVITS)
def test_mpvit_is_the_papers(name, width, parameters, shapes):
    with weightless():
        backbone = build_backbone(name)
    assert count(backbone) + 1000 * width + 1000 == parameters
    assert shape_hash(backbone, (f"1000x{width}", "1000")) == shapes


@pytest.mark.peer
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("encoder-unet", 19, 3, {"backbone": "resnet18"}), ("Unet", "resnet18")),
        (("encoder-unetplusplus", 19, 3, {"backbone": "resnet18"}), ("UnetPlusPlus", "resnet18")),
        (("linknet", 19, 3, {"backbone": "resnet18"}), ("Linknet", "resnet18")),
        (("manet", 19, 3, {"backbone": "resnet18"}), ("MAnet", "resnet18")),
        (("pan", 19, 3, {"backbone": "resnet18"}), ("PAN", "resnet18")),
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
