"""Every line of docs/import.md runs as it is there, on files that the libraries write with random weights."""

import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import authors_states
import peers
import pytest
import torch
from typer.testing import CliRunner

from limner.cli import console
from limner.cli.app import app
from limner.networks import build_network

pytestmark = [pytest.mark.peer, pytest.mark.long]

PAGE = Path(__file__).parents[2] / "docs" / "import.md"
LINES = re.findall(r"^    (limner .*)$", PAGE.read_text("utf-8"), re.MULTILINE)
NORM = {"type": "BN"}
SHORT = ("--set", "train.steps=1", "--set", "train.batch_size=2", "--device", "cpu")
"""Added to trainings, which would take long."""


def _sibling(name):
    """Load another test file, for its builders of networks."""
    path = next(Path(__file__).parents[1].rglob(f"{name}.py"))
    spec = importlib.util.spec_from_file_location(f"builders_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _smp(folder, kind, **options):
    smp = pytest.importorskip("segmentation_models_pytorch")
    network = peers.randomize(getattr(smp, kind)(**{"encoder_weights": None, "classes": 2} | options))
    network.save_pretrained(folder)
    return network


def _smp_state(path, kind):
    torch.save(_smp(path.with_suffix(".whole"), kind, encoder_name="resnet18").state_dict(), path)


def _torchvision(path, kind, **options):
    models = pytest.importorskip("torchvision.models")
    torch.save(peers.drawn(models.get_model, kind, weights=None, **options).state_dict(), path)


def _mmseg(path, head, backbone=None):
    backbone = backbone or {"type": "ResNetV1c", "depth": 18, "norm_cfg": NORM, "num_stages": 4}
    build = peers.openmmlab("mmseg")
    common = {"num_classes": 3, "norm_cfg": NORM, "align_corners": False}
    parts = {"backbone": build(backbone), "decode_head": build(common | head)}
    torch.save({"state_dict": torch.nn.ModuleDict(parts).state_dict(), "meta": {}}, path)


def _mmdet(path, kind):
    tests = _sibling("test_import_openmmlab")
    if kind == "deformable":
        network = tests._deformable_detr("plain")
        tests._save(path, network.state_dict(), tests.DETECTOR.format(False, [0.0] * 3, [1.0] * 3))
        return
    backbone, head = tests.SEGMENTS["mask2former-resnet"]
    fusion = {"type": "MaskFormerFusionHead", "num_things_classes": 5, "num_stuff_classes": 2}
    settings = {"type": "Mask2Former", "backbone": backbone, "panoptic_head": head}
    settings |= {"panoptic_fusion_head": {**fusion, "loss_panoptic": None}, "test_cfg": {}}
    state = peers.openmmlab("mmdet")(settings).state_dict()
    tests._save(path, state, "model = dict(panoptic_head=dict(num_things_classes=5, num_stuff_classes=2))")


def _mmpretrain(path):
    tests = _sibling("test_import_openmmlab")
    network = tests._classifier(*tests.CLASSIFIERS["swin_tiny_patch4_window7_224"])
    tests._save(path, network.state_dict())


def _dbnet(path):
    peers.openmmlab("mmdet")
    stages = {"type": "mmdet.ResNet", "depth": 18, "num_stages": 4, "out_indices": (0, 1, 2, 3)}
    neck = {"type": "FPNC", "in_channels": [64, 128, 256, 512], "lateral_channels": 256}
    head = {"type": "DBHead", "in_channels": 256}
    build = peers.openmmlab("mmocr")
    network = build({"type": "DBNet", "backbone": stages, "neck": neck, "det_head": head})
    torch.save({"state_dict": network.state_dict(), "meta": {}}, path)


def _segformer(folder):
    transformers = pytest.importorskip("transformers")
    transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig()).save_pretrained(folder)


def _beit(folder):
    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": 192, "num_hidden_layers": 5, "num_attention_heads": 3, "intermediate_size": 768}
    size |= {"image_size": 64, "use_relative_position_bias": True, "layer_norm_eps": 1e-6}
    inside = transformers.BeitConfig(**size, out_indices=[1, 2, 3, 5], add_fpn=True)
    sides = {"auxiliary_in_channels": 192, "auxiliary_channels": 16}
    config = transformers.UperNetConfig(backbone_config=inside, num_labels=3, hidden_size=32, **sides)
    transformers.UperNetForSemanticSegmentation(config).save_pretrained(folder)


def _nnunet(folder):
    tests = _sibling("test_import_nnunet")
    unets = pytest.importorskip("dynamic_network_architectures.architectures.unet")
    given = tests.architecture("PlainConvUNet", 3)
    plans = tests.plans_of(given, 3)
    tests.results(folder.parent, tests.build(unets, given), *plans, folds=("fold_0", "fold_1"))


def _bundle(folder):
    tests = _sibling("test_import_volumes")
    nets = pytest.importorskip("monai.networks.nets")
    options = {"channels": [4, 8, 16], "strides": [2, 2], "num_res_units": 2, "norm": "batch"}
    folder.mkdir()
    tests.bundle(
        folder,
        tests.build(nets, "UNet", options, 3),
        network_def={"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, **options},
        preprocessing={"_target_": "Compose", "transforms": tests.STEPS},
    )


def _monai(path):
    tests = _sibling("test_import_volumes")
    nets = pytest.importorskip("monai.networks.nets")
    torch.save(tests.build(nets, "SegResNet", {"init_filters": 8}, 3).state_dict(), path)


def _milesial(path):
    name_of = _sibling("test_import_dense")._milesial
    network = build_network("unet", num_classes=2, widths=(4, 6, 8, 10, 12), pads="maps")
    torch.save({name_of(name): tensor for name, tensor in network.state_dict().items()}, path)


def _unet(path, widths):
    torch.save(build_network("unet", num_classes=2, widths=widths).state_dict(), path)


FCN = {"type": "FCNHead", "in_channels": 8, "channels": 8, "in_index": 4, "num_convs": 1}
FILES = {
    "deeplabv3_resnet50_coco.pth": lambda p: _torchvision(p, "deeplabv3_resnet50", weights_backbone=None),
    "unet.pth": lambda p: _smp_state(p, "Unet"),
    "smp_folder": lambda p: _smp(p, "FPN", encoder_name="resnet18"),
    "dpt_folder": lambda p: _smp(p, "DPT", encoder_name="tu-vit_tiny_patch16_224", img_size=64),
    "pspnet_iter_40000.pth": lambda p: _mmseg(
        p, {"type": "PSPHead", "in_channels": 512, "in_index": 3, "channels": 32}
    ),
    "fcn_unet_s5-d16_drive.pth": lambda p: _mmseg(
        p, FCN | {"concat_input": False}, {"type": "UNet", "base_channels": 8, "norm_cfg": NORM}
    ),
    "segformer": _segformer,
    "beit": _beit,
    "rtdetr_v2_r18vd": lambda p: _sibling("test_parity_rtdetr").build(2, "resnet18vd").save_pretrained(p),
    "deformable_detr_r50.pth": lambda p: _mmdet(p, "deformable"),
    "mask2former_r50.pth": lambda p: _mmdet(p, "mask2former"),
    "resnet50.pth": lambda p: _torchvision(p, "resnet50"),
    "resnet18.pth": lambda p: _torchvision(p, "resnet18"),
    "swin_tiny.pth": _mmpretrain,
    "dbnet_resnet18_icdar2015.pth": _dbnet,
    "nnUNetTrainer__nnUNetPlans__3d_fullres": _nnunet,
    "spleen_bundle": _bundle,
    "model.pt": _monai,
    "checkpoint_epoch5.pth": _milesial,
    "bisenetv1.pth": lambda p: torch.save(authors_states.bisenetv1(19), p),
    "my_unet.pth": lambda p: _unet(p, (8, 16, 32)),
    "my_detector.pth": lambda p: torch.save(
        build_network("fcos", num_classes=3, backbone="resnet18").state_dict(), p
    ),
    "STATE_DICT": lambda p: _unet(p, (32, 64, 128, 256)),
    "CHECKPOINT": lambda p: _smp_state(p, "DeepLabV3Plus"),
}
"""First file of a line -> what writes it."""


@pytest.mark.parametrize("line", LINES, ids=[" ".join(line.split("#")[0].split()) for line in LINES])
def test_the_line_runs(line, tmp_path, monkeypatch, cells, authors_file, shared_data):
    monkeypatch.chdir(tmp_path)
    console.console.cache_clear()
    _, *words = shlex.split(line, comments=True)
    (tmp_path / "names.txt").write_text("background\ncell\n", "utf-8")
    shutil.copyfile(next((cells / "images").iterdir()), tmp_path / "photo.png")
    if words[0] == "train" and "MODEL" in words:
        _unet(tmp_path / "a.pth", (4, 6))
        made = ["import", "a.pth", "--network", "unet", "--set", "network.options.widths=[4,6]"]
        assert CliRunner().invoke(app, [*made, "--out", "MODEL"]).exit_code == 0
    elif "enet_camvid.pth" in words:
        shutil.copyfile(shared_data / "checkpoints" / "enet_camvid.pth", tmp_path / "enet_camvid.pth")
    elif "model_final_94dc52.pkl" in words:
        authors_file("model_final_94dc52.pkl", 133)
    else:
        name = next(word for word in words if word in FILES)
        FILES[name](tmp_path / name)
    if words[0] == "train":
        words = [str(cells) if word == "DATA" else word for word in words]
        words += SHORT
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
    if words[0] == "import":
        card = json.loads(next(Path(words[words.index("--out") + 1]).rglob("model.json")).read_text("utf-8"))
        assert card["origin"]["tensors"]["used"] or card["origin"]["tensors"]["renamed"]
