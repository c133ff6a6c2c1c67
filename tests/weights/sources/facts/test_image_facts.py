from pathlib import Path

import pytest

from limner.core.errors import ModelError
from limner.core.plan import ResizePlan
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.sources.facts.image_facts import infer_normalization, infer_resize


def said(preprocessor):
    """A folder of Hugging Face's, of which only the preprocessor matters."""
    return Checkpoint(Path("checkpoint"), {}, {"model_type": "mask2former"}, preprocessor)


@pytest.mark.parametrize(
    ("preprocessor", "expected"),
    [
        ({}, ResizePlan(shortest=800, longest=1333, multiple=32)),
        ({"do_resize": False, "size": {"height": 4, "width": 4}}, ResizePlan()),
        ({"size": {"height": 384, "width": 512}, "size_divisor": 0}, ResizePlan(size=(384, 512))),
        (
            {"size": 480, "max_size": 900, "size_divisibility": 64},
            ResizePlan(shortest=480, longest=900, multiple=64),
        ),
        ({"size": {"shortest_edge": 512, "longest_edge": None}}, ResizePlan(shortest=512, multiple=32)),
    ],
)
def test_every_way_to_write_a_size_is_read(preprocessor, expected):
    assert infer_resize(said(preprocessor), 3, "semantic", "resnet50").value == expected


def test_a_size_that_is_not_known_is_refused():
    with pytest.raises(ModelError, match=r"size \{'max_height': 4"):
        infer_resize(said({"size": {"max_height": 4, "max_width": 4}}), 3, "semantic", "resnet50")


@pytest.mark.parametrize(
    ("classes", "task", "backbone", "shortest", "longest"),
    [
        (80, "instance", "resnet50", 800, 1333),
        (150, "semantic", "swin_tiny_patch4_window7_224", 512, 2048),
        (150, "semantic", "swin_base_patch4_window12_384", 640, 2560),
        (150, "panoptic", "resnet50", 640, 2560),
        (19, "panoptic", "resnet50", 1024, 2048),
        (3, "semantic", "resnet50", None, None),
    ],
)
def test_images_are_resized_as_the_authors_do(classes, task, backbone, shortest, longest):
    authors = Checkpoint(Path("model_final.pkl"), {})
    found = infer_resize(authors, classes, task, backbone).value
    assert found == ResizePlan(shortest=shortest, longest=longest, multiple=32)


@pytest.mark.parametrize(
    ("preprocessor", "mean", "std"),
    [
        ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}, 127.5, 63.75),
        ({"do_rescale": False, "image_mean": [100.0] * 3, "image_std": [50.0] * 3}, 100.0, 50.0),
        ({"do_normalize": False}, 0.0, 255.0),
        ({"rescale_factor": 0.5, "image_mean": [1.0] * 3, "image_std": [2.0] * 3}, 2.0, 4.0),
    ],
)
def test_normalisation_is_in_the_values_of_image_files(preprocessor, mean, std):
    found = infer_normalization(said(preprocessor)).value
    assert found.mean == pytest.approx((mean,) * 3) and found.std == pytest.approx((std,) * 3)
