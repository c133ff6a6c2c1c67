import torch

from limner.weights.tensors import separate_tensors


def test_tensors_that_share_memory_are_copied_and_others_are_not():
    one = torch.arange(6.0).reshape(2, 3)
    apart = separate_tensors(
        {"one": one, "its view": one[0], "turned": torch.ones(2, 3).t(), "alone": torch.zeros(1)}
    )
    addresses = [tensor.untyped_storage().data_ptr() for tensor in apart.values()]
    assert len(set(addresses)) == 4
    assert apart["one"].data_ptr() == one.data_ptr()
    assert apart["its view"].tolist() == [0, 1, 2]
    assert all(tensor.is_contiguous() for tensor in apart.values())


def test_gradients_stay_behind():
    assert not separate_tensors({"w": torch.nn.Parameter(torch.ones(2))})["w"].requires_grad
