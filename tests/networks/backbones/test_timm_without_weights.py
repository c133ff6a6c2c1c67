"""Models of timm without memory, also those that compute with tensors while they are built."""

import timm
import torch

from limner.networks.backbones.timm_backbone import TimmBackbone
from limner.networks.weightless import weightless


def test_a_model_that_needs_values_is_built_on_the_cpu_first(monkeypatch):
    create, tried = timm.create_model, []

    def create_model(name, **options):
        tried.append(torch.empty(0).device.type)
        if tried[-1] == "meta":
            raise NotImplementedError("aten::_unique2")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", create_model)
    with weightless():
        backbone = TimmBackbone("resnet10t")
    assert tried == ["meta", "cpu"]
    assert {parameter.device.type for parameter in backbone.parameters()} == {"meta"}
    assert backbone.strides == (2, 4, 8, 16, 32)
