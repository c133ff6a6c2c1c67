"""Imported checkpoints give what transformers gives with the same weights, to the last step.

The weights are random: those that people publish cannot be tested without downloading them. Every tensor is
drawn, norms and statistics too, so that none can change places with another unnoticed.
"""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from limner.inference.fitted_images import fit_images
from limner.inference.predictor import Predictor
from limner.weights import import_checkpoint

pytestmark = pytest.mark.peer

SIZES = [(64, 96), (128, 128), (75, 101)]  # the last is no multiple of 32
CLASSES = 7
SMALL = {
    "encoder_layers": 2,
    "decoder_layers": 4,
    "feature_size": 64,
    "mask_feature_size": 64,
    "hidden_dim": 64,
    "dim_feedforward": 96,
    "encoder_feedforward_dim": 48,
    "num_attention_heads": 8,
}
STAGES = ["stage1", "stage2", "stage3", "stage4"]
MASKS = "model.transformer_module.decoder.mask_predictor.mask_embedder"
RESNET18 = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}
BACKBONES = {
    "swin": {"swin": (2, 2, 6, 2)},
    "resnet50": {"resnet": ((3, 4, 6, 3), 3)},
    "resnet18": {"resnet": ((2, 2, 2, 2), 2)},
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Makes transformers' network, once for each backbone, and the folder it is saved in."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    made = {}

    def make(backbone, num_queries=12):
        if (backbone, num_queries) in made:
            return made[backbone, num_queries]
        if backbone == "swin":
            settings = transformers.SwinConfig(out_features=STAGES)
        else:
            options = RESNET18 if backbone == "resnet18" else {}
            settings = transformers.ResNetConfig(out_features=STAGES, **options)
        torch.manual_seed(0)
        config = transformers.Mask2FormerConfig(
            backbone_config=settings,
            num_queries=num_queries,
            id2label={i: f"kind {i}" for i in range(CLASSES)},
            **SMALL,
        )
        network = transformers.Mask2FormerForUniversalSegmentation(config).eval()
        _shake(network)
        folder = tmp_path_factory.mktemp(backbone)
        network.save_pretrained(folder)
        processor = transformers.Mask2FormerImageProcessor(size={"height": 384, "width": 384})
        processor.save_pretrained(folder)
        made[backbone, num_queries] = network, processor, folder
        return made[backbone, num_queries]

    return make


def _shake(network):
    """Draw what is constant at first, and make the classes and masks differ between queries."""
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(0.2 * torch.randn_like(tensor))
        logits = network(torch.randn(1, 3, 64, 64)).class_queries_logits[0]
        zoom = 2 / logits.std(0).mean()
        network.class_predictor.weight.mul_(zoom)
        network.class_predictor.bias.sub_(logits.mean(0)).mul_(zoom)
        logits = network(torch.randn(1, 3, 64, 64)).class_queries_logits[0]
        zoom = 2 / logits.std(0).mean()
        network.class_predictor.weight.mul_(zoom)
        network.class_predictor.bias.sub_(logits.mean(0)).mul_(zoom)
        network.get_parameter(f"{MASKS}.2.0.weight").normal_(std=0.3)


def _assert_same_logits(theirs, ours):
    for size in SIZES:
        images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected, found = theirs(images), ours(images)
        # They differ between queries and pixels, or else a mix-up could hide.
        assert expected.class_queries_logits.std(1).min() > 0.1
        assert expected.masks_queries_logits.std((2, 3)).min() > 0.01
        torch.testing.assert_close(found.class_logits, expected.class_queries_logits, atol=1e-4, rtol=0)
        torch.testing.assert_close(found.mask_logits, expected.masks_queries_logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("backbone", ["swin", "resnet50"])
def test_a_hugging_face_folder_gives_their_logits(theirs, backbone):
    network, _, folder = theirs(backbone)
    imported = import_checkpoint(folder, task="semantic")
    _assert_same_logits(network, imported.model.network)
    assert imported.model.labels.names == tuple(f"kind {i}" for i in range(CLASSES))


@pytest.mark.parametrize(("backbone", "form"), [("swin", ".pkl"), ("resnet50", ".pth")])
def test_a_file_of_the_authors_gives_their_logits(theirs, authors_names, tmp_path, backbone, form):
    network, _, folder = theirs(backbone)
    names = authors_names(**BACKBONES[backbone], pixel_layers=2, decoder_layers=3)
    tensors = load_file(folder / "model.safetensors")
    state = {name: torch.cat([tensors[part] for part in parts]) for name, parts in names.items()}
    path = tmp_path / f"model_final{form}"
    if form == ".pkl":
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "third party"}))
    else:
        state |= {"criterion.empty_weight": torch.ones(CLASSES + 1)}
        torch.save({"model": state, "iteration": 7, "lr": np.float64(0.1)}, path)
    imported = import_checkpoint(path, task="instance")
    _assert_same_logits(network, imported.model.network)
    # Detectron2 keeps the batch norms of ImageNet, which count no batches.
    frozen = {"backbone_norm": "frozen"} if backbone == "resnet50" else {}
    assert frozen.items() <= imported.model.plan.network.options.items()


def test_images_are_prepared_as_theirs(theirs):
    _, processor, _ = theirs("resnet18")
    image = np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8)
    for size in ({"shortest_edge": 64, "longest_edge": 80}, {"height": 64, "width": 48}):
        expected = processor(image, size=size, return_tensors="pt")["pixel_values"]
        folder_settings = processor.to_dict() | {"size": size}
        plan = _plan_of(folder_settings, theirs("resnet18")[2])
        images = torch.from_numpy(image).permute(2, 0, 1)[None]
        found = fit_images(images, plan.inference.resize)
        mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (plan.input.mean, plan.input.std))
        # They round to whole numbers after the rows and after the columns: a grey level of 255 at most.
        torch.testing.assert_close((found - mean) / std, expected, atol=1.01 / 255 / 0.224, rtol=0)


def _plan_of(preprocessor, folder):
    path = folder / "preprocessor_config.json"
    before = path.read_text("utf-8")
    path.write_text(json.dumps(preprocessor), "utf-8")
    try:
        return import_checkpoint(folder, task="semantic").model.plan
    finally:
        path.write_text(before, "utf-8")


@pytest.fixture(scope="module")
def outputs(theirs):
    """Their outputs of one image of 384 x 384, the size at which their post-processing makes masks."""
    network, processor, folder = theirs("resnet18", num_queries=100)
    rng = np.random.default_rng(2)
    coarse = torch.from_numpy(rng.integers(0, 256, (1, 3, 12, 12)).astype(np.float32))
    image = torch.nn.functional.interpolate(coarse, (384, 384), mode="bicubic").clamp(0, 255)
    image = image[0].permute(1, 2, 0).numpy().astype(np.uint8)
    with torch.no_grad():
        found = network(**processor(image, return_tensors="pt"))
    return found, processor, folder, image


def test_semantic_results_are_theirs(outputs):
    found, processor, folder, image = outputs
    (expected,) = processor.post_process_semantic_segmentation(
        found, [(384, 384)], return_segmentation_scores=True
    )
    votes = expected.segmentation_scores.numpy()
    assert votes.std((1, 2)).min() > 1e-3
    predictor = Predictor(import_checkpoint(folder, task="semantic").model, device="cpu")
    prediction = predictor.predict(image, probabilities=True)
    np.testing.assert_allclose(prediction.probabilities, votes / votes.sum(0), atol=1e-4)
    second, first = np.sort(votes, 0)[-2:]
    clear = first - second > 1e-3
    assert (prediction.semantic == expected.segmentation.numpy())[clear].all() and clear.mean() > 0.5


def test_instance_results_are_theirs(outputs):
    found, processor, folder, image = outputs
    (expected,) = processor.post_process_instance_segmentation(
        found, threshold=0.0, target_sizes=[(384, 384)], return_binary_maps=True
    )
    predictor = Predictor(import_checkpoint(folder, task="instance").model, device="cpu")
    prediction = predictor.predict(image)
    scores = np.array([segment["score"] for segment in expected["segments_info"]])
    labels = np.array([segment["label_id"] for segment in expected["segments_info"]])
    order = np.lexsort((labels, -scores))
    assert len(order) == len(prediction.scores) > 20
    np.testing.assert_allclose(prediction.scores, scores[order], atol=1e-4)
    # The same objects, whatever the order of equal scores: class, area and centre of each.
    areas = expected["segmentation"].flatten(1).sum(1).numpy()
    ours = sorted(zip(prediction.labels.tolist(), prediction.masks.sum((1, 2)).tolist(), strict=True))
    others = sorted(zip(labels.tolist(), areas.astype(int).tolist(), strict=True))
    assert np.abs(np.array(ours) - np.array(others)).max() <= 2
    masks = expected["segmentation"].numpy().astype(bool)
    clear = [i for i in range(10) if scores[order][i] - scores[order][i + 1] > 1e-3]
    for i in clear:
        assert (prediction.masks[i] == masks[order[i]]).mean() > 0.9999
    assert clear
