"""A served model with random weights, and requests to it."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from limner.serving.corrections import Corrections
from limner.serving.image_fetching import ImageFetcher
from limner.serving.limits import Limits
from limner.serving.served_models import load_served_models
from limner.serving.service import Service
from limner.serving.shown_data import open_shown_data
from limner.weights.bundle import save_model

HOST = "http://127.0.0.1:8000"


@pytest.fixture
def model_folder(tiny_model, photo, tmp_path):
    """A model folder with two classes, whose masks are 0 and 255; it sees both in about half of the photo."""
    model = tiny_model()
    with torch.no_grad():
        logits = model(torch.from_numpy(photo).movedim(-1, 0)[None]).logits
        *_, bias = model.network.parameters()
        bias[1] += (logits[:, 0] - logits[:, 1]).median()
    save_model(tmp_path / "cells", model, origin={})
    return tmp_path / "cells"


@pytest.fixture
def make_service(model_folder):
    """Makes the service of the model, or of other folders."""

    def make(
        *folders,
        limits=None,
        token=None,
        keep=None,
        origins=(),
        hosts=(),
        data=None,
        label_studio=None,
        studio_token=None,
    ):
        models = load_served_models(folders or [model_folder], device="cpu", precision="float32")
        corrections = None if keep is None else Corrections(keep)
        shown = None if data is None else open_shown_data(data)
        limits = Limits(**(limits or {}))
        fetcher = None if label_studio is None else ImageFetcher(label_studio, studio_token, limits)
        return Service(models, limits, token, corrections, origins, shown, fetcher, hosts)

    return make


@pytest.fixture
def make_client(make_service):
    """Makes a client of the service, whose requests need no network."""
    opened = []

    def make(*folders, raises=True, **options):
        app = make_service(*folders, **options).app()
        client = TestClient(app, base_url=HOST, raise_server_exceptions=raises)
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def photo():
    """(40, 50, 3) uint8, the same one each time."""
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


@pytest.fixture
def photo_file(photo):
    """The photo as a file of a form."""
    return "images", ("cells 1.png", png(photo), "image/png")


def png(array):
    """Return an array as the bytes of a PNG."""
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(name="png")
def png_fixture():
    return png
