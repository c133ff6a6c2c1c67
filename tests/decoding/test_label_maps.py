import pytest
import torch
from torch.nn import functional as F

from limner.core.outputs import DenseLogits, resize_logits
from limner.decoding import resizing
from limner.decoding.label_maps import semantic_labels, semantic_probabilities

SIZES = [
    ((9, 7), (36, 28)),
    ((9, 7), (31, 5)),
    ((40, 33), (13, 33)),
    ((1, 1), (5, 4)),
    ((4, 5, 6), (9, 10, 4)),
]


@pytest.mark.parametrize(("native", "wanted"), SIZES)
@pytest.mark.parametrize("chunk", [1, 200, 2**20])
def test_chunks_give_what_the_whole_gives(native, wanted, chunk, monkeypatch):
    monkeypatch.setattr(resizing, "_CHUNK_ELEMENTS", chunk)
    logits = torch.randn(2, 5, *native, generator=torch.Generator().manual_seed(0))
    mode = "bilinear" if len(native) == 2 else "trilinear"
    whole = F.interpolate(logits, size=wanted, mode=mode, align_corners=False)
    outputs = DenseLogits(logits)
    torch.testing.assert_close(semantic_probabilities(outputs, wanted), whole.softmax(1))
    labels = semantic_labels(outputs, wanted)
    assert labels.dtype == torch.uint8
    # Rounding may decide between two classes that are equal to the sixth digit; none is here.
    assert torch.equal(labels.long(), whole.argmax(1))


def test_logits_of_the_wanted_size_are_decoded_exactly():
    logits = torch.tensor([[[[0.0, 2.0]], [[0.0, 1.0]], [[-1.0, 3.0]]]])  # (1, 3, 1, 2)
    # A tie goes to the first class, as in torch.argmax; then 3 is the largest of 2, 1, 3.
    assert semantic_labels(DenseLogits(logits), (1, 2)).tolist() == [[[0, 2]]]
    assert resize_logits(logits, (1, 2)) is logits


def test_half_precision_is_summed_in_float32():
    logits = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0)).bfloat16()
    probabilities = semantic_probabilities(DenseLogits(logits), (12, 12))
    assert probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1, 12, 12))
