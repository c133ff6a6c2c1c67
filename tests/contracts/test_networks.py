"""What every network of the table promises; a new row is tested without a new test."""

import copy
import math
from functools import lru_cache

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from limner.core.outputs import (
    CentreOffsets,
    ClassLogits,
    DenseLogits,
    PixelMaps,
    PointBoxes,
    QueryBoxes,
    QueryMasks,
    TextMaps,
)
from limner.exporting.lower_precision import DEFAULT_FORMAT
from limner.exporting.writing import WRITERS, trace
from limner.layers.target_aware import target_inputs
from limner.networks import NETWORKS, build_network
from limner.networks.weightless import uninitialized
from limner.tasks.box_objective import example_of_boxes
from limner.weights.exported import RUNTIMES

# The smallest sensible form of each row, so that the contract takes seconds.
TINY = {
    "unet": {"widths": (4, 8, 12)},
    "unetplusplus": {"widths": (4, 8, 12)},
    "resunet": {"widths": (4, 8, 12)},
    "resunetplusplus": {"widths": (4, 8, 12), "rates": (1, 3)},
    "segnet": {"widths": (4, 8), "convs": (2, 2)},
    "encoder-unet": {"backbone": "resnet18_width16", "decoder_widths": (16, 8, 8, 8, 4)},
    "encoder-unetplusplus": {"backbone": "resnet18_width16", "decoder_widths": (16, 8, 8, 8, 4)},
    "fcn": {"backbone": "resnet18_width16", "channels": 8},
    "fcn8s": {"backbone": "vgg11", "hidden": 8, "has_border": False},
    "pspnet": {"backbone": "resnet18c", "channels": 8},
    "pspnet-shallow": {"backbone": "resnet18_width16", "channels": 8},
    "dpt": {
        "backbone": "vit_tiny_patch16_224",
        "num_blocks": 4,
        "image_size": 64,
        "widths": (8, 12, 16, 20),
        "channels": 16,
    },
    "lraspp": {"channels": 16},
    "linknet": {"backbone": "resnet18_width16", "channels": 8},
    "pan": {"backbone": "resnet18_width16", "channels": 8},
    "manet": {"backbone": "resnet18_width16", "decoder_widths": (16, 8, 8, 8, 4), "attention_channels": 4},
    "deeplabv3": {"backbone": "resnet18_width16", "channels": 16},
    "deeplabv3plus": {"backbone": "resnet18_width16", "channels": 16},
    "pranet": {"backbone": "resnet18_width16", "channels": 8, "branch_widths": (6, 8, 10)},
    "infnet": {
        "backbone": "resnet18_width16",
        "channels": 8,
        "branch_widths": (6, 8, 10),
        "guide_channels": 6,
    },
    "caranet": {"backbone": "resnet18_width16", "channels": 16},
    "enet": {"stem_filters": 5, "widths": (8, 16), "repeats": 1},
    "espnet": {"stem_width": 6, "widths": (10, 15), "blocks": (1, 1)},
    "bisenetv1": {"backbone": "resnet18_width16", "channels": 8},
    "bisenetv2": {
        "detail_widths": (4, 6),
        "semantic_widths": (4, 6, 8, 10),
        "expansion": 2,
        "head_channels": 16,
        "booster_channels": (4, 6, 8, 10),
    },
    "upernet": {"backbone": "resnet18_width16", "channels": 32, "auxiliary_channels": 16},
    "semantic-fpn": {"backbone": "resnet18_width16", "pyramid_channels": 16, "channels": 8},
    "danet": {"backbone": "resnet18_width16", "channels": 16},
    "ccnet": {"backbone": "resnet18_width16", "channels": 16},
    "ann": {"backbone": "resnet18_width16", "channels": 16, "attention_channels": 8},
    "emanet": {"backbone": "resnet18_width16", "channels": 16, "attention_channels": 16, "bases": 4},
    "ocnet": {"backbone": "resnet18_width16", "channels": 16},
    "ocrnet": {"backbone": "resnet18_width16", "channels": 16, "region_channels": 8, "coarse_channels": 8},
    "gcn": {"backbone": "resnet18_width16", "kernel_size": 7},
    "psanet": {"backbone": "resnet18_width16", "channels": 16, "mask_size": 9},
    "gff": {"backbone": "resnet18_width16", "channels": 8},
    "denseaspp": {"bottleneck_channels": 8, "channels": 8},
    "segformer": {"channels": 32},
    "setr": {"backbone": "vit_tiny_patch16_224", "num_blocks": 4, "image_size": 64, "channels": 8},
    "transunet": {
        "num_blocks": 1,
        "resnet_blocks": (1, 1, 1),
        "image_size": 64,
        "channels": 16,
        "decoder_widths": (16, 8, 8, 4),
    },
    "vit": {
        "backbone": "vit_tiny_patch16_224",
        "num_blocks": 4,
        "image_size": 64,
        "head": "fcn",
        "channels": 16,
        "auxiliary_channels": 8,
        "auxiliary_level": 2,
    },
    "mask2former": {
        "backbone": "resnet18_width16",
        "channels": 16,
        "heads": 4,
        "num_queries": 10,
        "pixel_layers": 1,
        "pixel_feedforward": 16,
        "decoder_layers": 3,
        "decoder_feedforward": 16,
    },
    "per-pixel": {
        "backbone": "resnet18_width16",
        "channels": 32,
        "heads": 4,
        "feedforward": 16,
        "decoder_layers": 2,
    },
    "maskformer": {
        "backbone": "resnet18_width16",
        "channels": 32,
        "heads": 4,
        "num_queries": 10,
        "feedforward": 16,
        "pixel_layers": 1,
        "decoder_layers": 3,
    },
    "eomt": {
        "backbone": "vit_tiny_patch16_224",
        "num_blocks": 3,
        "joint_blocks": 2,
        "num_queries": 10,
        "image_size": 64,
    },
    "unet3d": {"widths": (4, 8, 12)},
    "nnunet": {"features": (4, 8, 12, 16)},
    "nnunet-resenc": {"features": (4, 8, 12, 16), "blocks": (1, 1, 2, 1)},
    "vnet": {"width": 4, "convs": (1, 1), "decoder_convs": (1, 1)},
    "segresnet": {"width": 8, "blocks": (1, 1), "decoder_blocks": (1,)},
    "residual-unet": {"widths": (4, 8, 12)},
    "unetr": {
        "image_size": 32,
        "width": 8,
        "hidden": 24,
        "num_blocks": 4,
        "num_heads": 3,
        "mlp_hidden": 32,
    },
    "swinunetr": {"width": 12, "window": 3},
    "panoptic-deeplab": {
        "backbone": "resnet18_width16",
        "atrous_channels": 8,
        "class_channels": 8,
        "object_channels": 8,
        "object_head_channels": 8,
    },
    "unet-centres": {"widths": (4, 8, 12)},
    "dbnet": {"backbone": "resnet18_width16", "channels": 16},
    "dbnetplusplus": {"backbone": "resnet18_width16", "channels": 16},
    "fcos": {"backbone": "resnet18_width16", "channels": 16, "head_convs": 1, "extra_levels": 1},
    "deformable-detr": {
        "backbone": "resnet18_width16",
        "channels": 64,
        "heads": 4,
        "num_queries": 10,
        "feedforward": 16,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "refines_boxes": True,
    },
    "rtdetr": {
        "backbone": "resnet18_width16",
        "backbone_norm": "trained",
        "encoder_channels": 32,
        "channels": 64,
        "heads": 4,
        "num_queries": 64,  # more than there are pixels: rounding cannot select others
        "feedforward": 16,
        "encoder_feedforward": 16,
        "decoder_layers": 2,
        "expansion": 0.5,
        "denoising": 4,
    },
    "classifier": {"backbone": "resnet18_width16"},
    "linear-probe": {"backbone": "resnet18_width16"},
}
# Parameters that the authors' training leaves as they were drawn.
FROZEN = {"emanet": {"context.module.1.project.weight", "context.module.1.project.bias"}}
NUM_CLASSES = 4
CASES = [(name, dims) for name, entry in NETWORKS.items() for dims in entry.spatial_dims]

# By module: all tests of a network run one after the other, so that it is built once for all of them.
pytestmark = pytest.mark.parametrize(("name", "dims"), CASES, scope="module")


def build(name, dims, *, seed=0, in_channels=3):
    torch.manual_seed(seed)
    return build_network(
        name, num_classes=NUM_CLASSES, in_channels=in_channels, spatial_dims=dims, **TINY.get(name, {})
    )


@lru_cache(maxsize=2)
def built(name, dims, seed=0):
    """A network in evaluation that is shared: a test that changes it takes a copy."""
    return build(name, dims, seed=seed).eval()


def built_for_training(name, dims):
    torch.manual_seed(0)  # of dropout
    return copy.deepcopy(built(name, dims)).train()


# More than 32 along an axis: networks of stride 32 would have a map of one voxel, which no norm accepts.
USUAL_SIZE = {2: (40, 36), 3: (33, 20, 24)}


def draw(dims, *, batch=2, channels=3, size=None, seed=0):
    size = size or USUAL_SIZE[dims]
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed))


def pixel_scores(outputs):
    """The scores of each pixel: of the classes, or of the queries' masks, or centres and offsets too.

    Of points, their scores, and their boxes in units of their strides. Of a set of boxes, each number in
    order, since that of the queries means nothing.
    """
    if isinstance(outputs, PointBoxes):
        return torch.cat((outputs.class_logits, outputs.boxes / outputs.points[:, 2:]), 2).transpose(1, 2)
    if isinstance(outputs, QueryBoxes):
        return torch.cat((outputs.class_logits, outputs.boxes), 2).sort(1).values.transpose(1, 2)
    if isinstance(outputs, PixelMaps):
        return outputs.stacked()
    return outputs.mask_logits if isinstance(outputs, QueryMasks) else outputs.logits


def every_score(outputs):
    """Every tensor of scores that a loss sees."""
    if isinstance(outputs, QueryMasks):
        layers = (outputs, *outputs.auxiliary)
        return [scores for layer in layers for scores in (layer.class_logits, layer.mask_logits)]
    if isinstance(outputs, CentreOffsets):
        return [outputs.class_logits, outputs.centres, outputs.offsets]
    if isinstance(outputs, ClassLogits):
        return [outputs.logits]
    if isinstance(outputs, TextMaps):
        return [outputs.logits, outputs.threshold_logits]
    if isinstance(outputs, PointBoxes):
        return [outputs.class_logits, outputs.boxes]
    if isinstance(outputs, QueryBoxes):
        restored = () if outputs.denoised is None else outputs.denoised.layers
        layers = (outputs, *outputs.auxiliary, *restored)
        return [scores for layer in layers for scores in (layer.class_logits, layer.boxes)]
    return [outputs.logits, *(side.logits for side in outputs.auxiliary)]


def class_scores(outputs):
    """The class scores alone, classes along axis 1."""
    if isinstance(outputs, QueryMasks):
        return [layer.class_logits.transpose(1, 2) for layer in (outputs, *outputs.auxiliary)]
    if isinstance(outputs, CentreOffsets):
        return [outputs.class_logits]
    if isinstance(outputs, (PointBoxes, QueryBoxes)):
        layers = (outputs, *outputs.auxiliary)
        return [layer.class_logits.transpose(1, 2) for layer in layers]
    return every_score(outputs)


def scores(network, images):
    outputs = network(images)
    kinds = (ClassLogits, PixelMaps, DenseLogits, PointBoxes, QueryBoxes, QueryMasks)
    assert isinstance(outputs, kinds)
    return pixel_scores(outputs)


def test_every_parameter_learns(name, dims):
    network, images = built_for_training(name, dims), draw(dims)
    targets = example_of_boxes(images).targets if dims == 2 else {}  # boxes are in images alone
    outputs = network(images, *target_inputs(network, targets))
    assert isinstance(outputs, NETWORKS[name].output)
    no_object = isinstance(outputs, (CentreOffsets, QueryMasks))
    assert all(logits.shape[:2][0] == 2 for logits in every_score(outputs))
    assert class_scores(outputs)[0].shape[1] == NUM_CLASSES + no_object
    # Weighting the scores by noise: a plain sum would have no gradient through a normalisation.
    loss = sum((logits * torch.randn_like(logits)).sum() for logits in every_score(outputs))
    loss.backward()
    for parameter_name, parameter in network.named_parameters():
        if parameter_name in FROZEN.get(name, ()):
            assert not parameter.requires_grad, parameter_name
            continue
        assert parameter.grad is not None, f"{parameter_name} takes no part"
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize(
    ("image_size", "volume_size"),
    [((33, 33), (33, 33, 33)), ((65, 47), (32, 33, 23)), ((64, 96), (18, 32, 48))],
    ids=["odd", "odd and even", "even"],
)
def test_any_size_and_the_scores_cover_the_image(name, dims, image_size, volume_size):
    size = image_size if dims == 2 else volume_size
    network = built(name, dims)
    with torch.no_grad():
        outputs = network(draw(dims, batch=1, size=size))
    if isinstance(outputs, ClassLogits):  # of the image as a whole
        assert outputs.logits.shape == (1, NUM_CLASSES)
        return
    if isinstance(outputs, PointBoxes):
        x, y, stride = outputs.points.unbind(1)
        for places, pixels in zip((y, x), size, strict=True):
            # Cells of each stride cover the axis, and none is outside.
            for each in stride.unique():
                assert places[stride == each].max() + each / 2 >= pixels
                assert places[stride == each].max() - each / 2 < pixels
        return
    if isinstance(outputs, QueryBoxes):
        assert outputs.boxes.min() >= 0 and outputs.boxes.max() <= 1
        return
    found = pixel_scores(outputs).shape[2:]
    for pixels, resolution in zip(size, found, strict=True):
        # At a native stride of s, ceil(pixels / s) scores cover the axis.
        assert any(resolution == -(-pixels // stride) for stride in (1, 2, 4, 8, 16)), (size, found)


def test_batch_of_one_trains_at_the_smallest_size(name, dims):
    network = built_for_training(name, dims)
    outputs = network(draw(dims, batch=1, size=(33,) * dims))
    sum(logits.square().mean() for logits in every_score(outputs)).backward()
    assert all(logits.isfinite().all() for logits in every_score(outputs))


@pytest.mark.parametrize("channels", [1, 5])
def test_any_number_of_channels(name, dims, channels):
    network = build(name, dims, in_channels=channels).eval()
    with torch.no_grad():
        assert scores(network, draw(dims, batch=1, channels=channels)).isfinite().all()


def test_no_side_heads_in_evaluation(name, dims):
    assert built(name, dims)(draw(dims, batch=1)).auxiliary == ()


def test_evaluation_of_an_image_ignores_its_neighbours_in_the_batch(name, dims):
    network = built(name, dims)
    images = draw(dims)
    with torch.no_grad():
        together, alone = scores(network, images), scores(network, images[:1])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-4)


def test_weights_survive_a_file(name, dims, tmp_path):
    saved = built(name, dims)
    with uninitialized():  # as models are loaded
        loaded = build(name, dims, seed=1).eval()
    images = draw(dims, batch=1)
    save_file(saved.state_dict(), tmp_path / "weights.safetensors")
    loaded.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    with torch.no_grad():
        assert torch.equal(scores(saved, images), scores(loaded, images))


def test_the_seed_decides_the_weights(name, dims):
    first, again, other = built(name, dims), build(name, dims), built(name, dims, seed=1)
    states = [network.state_dict() for network in (first, again, other)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert any(not torch.equal(states[0][key], states[2][key]) for key in states[0])


def test_channels_last_gives_the_same(name, dims):
    network = built(name, dims)
    images = draw(dims)
    memory_format = torch.channels_last if dims == 2 else torch.channels_last_3d
    turned = copy.deepcopy(network).to(memory_format=memory_format)
    with torch.no_grad():
        expected = scores(network, images)
        found = scores(turned, images.to(memory_format=memory_format))
    # Every processor adds up in an order of its own, and a sum rounds as its largest terms do.
    scale = expected.abs().max().clamp(min=1).item()
    torch.testing.assert_close(found, expected, atol=1e-5 * scale, rtol=1e-4)


def test_bfloat16_is_finite_and_near(name, dims):
    network = built_for_training(name, dims)
    images = draw(dims)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert scores(network, images).isfinite().all()
    network.eval()
    images = images[:1]  # one is enough: many processors compute bfloat16 slowly
    with torch.no_grad():
        expected = scores(network, images).flatten()
        with torch.autocast("cpu", torch.bfloat16):
            found = scores(network, images).float().flatten()
    assert torch.corrcoef(torch.stack((expected, found)))[0, 1] > 0.99


def test_exports(name, dims):
    network = built(name, dims)
    images = draw(dims, batch=1)
    program = trace(network, images, is_free=False)
    with torch.no_grad():
        torch.testing.assert_close(
            pixel_scores(program.module()(images)), scores(network, images), atol=1e-5, rtol=1e-4
        )


class Raw(nn.Module):
    """The tensors of a network's outputs, as an exported file has them."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return tuple(self.network(images).tensors().values())


@pytest.mark.parametrize(
    "runtime", [pytest.param("onnx", marks=pytest.mark.peer), pytest.param("torch", marks=pytest.mark.long)]
)
def test_exported_files_agree(name, dims, runtime, tmp_path):
    if runtime == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    module, images = Raw(built(name, dims)), draw(dims, batch=1)
    with torch.no_grad():
        expected = module(images)
    names = [f"output_{number}" for number in range(len(expected))]
    path = tmp_path / RUNTIMES[runtime].file
    WRITERS[runtime](trace(module, images, is_free=False), path, names, DEFAULT_FORMAT)
    found = RUNTIMES[runtime].load(path)(images.numpy())
    for one, other in zip(expected, map(torch.from_numpy, found), strict=True):
        torch.testing.assert_close(other, one, atol=1e-4 * (one.max() - one.min()).item(), rtol=1e-4)


def test_learning_rates_can_tell_the_encoder_apart(name, dims):
    network = built(name, dims)
    names = [parameter_name for parameter_name, _ in network.named_parameters()]
    encoder = [parameter_name for parameter_name in names if parameter_name.startswith("backbone.")]
    assert bool(encoder) == NETWORKS[name].pretrained
    assert len(encoder) < len(names)


def test_the_row_is_complete(name, dims):
    entry = NETWORKS[name]
    assert dims in entry.spatial_dims
    assert entry.title
    assert entry.paper
    assert entry.url.startswith("https://")
    assert entry.good_for.endswith(".")
    assert entry.variants
    assert issubclass(entry.build, nn.Module)


def test_at_first_all_classes_are_about_equally_likely(name, dims):
    # So the first cross-entropy is ln K on evenly mixed truth.
    network = built_for_training(name, dims)
    outputs = network(draw(dims, size=(33, 40, 36)[-dims:]))
    for logits in class_scores(outputs):
        first = (logits.logsumexp(1) - logits.mean(1)).mean()  # cross-entropy, averaged over all truths
        assert abs(first.item() - math.log(logits.shape[1])) < 0.2
