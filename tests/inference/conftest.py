"""The predictor of a model beside that of its export."""

import pytest
import torch
from exports import write_export

from limner.core.plan import InferencePlan
from limner.inference.open_predictor import open_predictor
from limner.inference.predictor import Predictor
from limner.weights import exported
from limner.weights.exported import Runtime


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Makes the predictor of a model, and that of its export, which runs the same network."""

    def make(model, *, settings=None, **export):
        def load(path):
            def run(images):
                with torch.no_grad():
                    return tuple(each.numpy() for each in model(torch.from_numpy(images)).tensors().values())

            return run

        monkeypatch.setitem(exported.RUNTIMES, "onnx", Runtime("the network itself", "model.onnx", load))
        folder = write_export(tmp_path / "export", model.plan, model.labels, **export)
        settings = None if settings is None else InferencePlan(**settings)
        theirs = open_predictor(folder, settings=settings)
        assert not isinstance(theirs, Predictor)
        return Predictor(model, device="cpu", precision="float32", settings=settings), theirs

    return make
