"""Prediction needs none of what training, the command line and pretrained weights need."""

import subprocess
import sys

import cv2
import numpy as np

from limner.weights.bundle import save_model

ABSENT = (
    *("accelerate", "tensorboard", "timm", "torchvision", "scipy", "rich", "typer", "wandb", "mlflow"),
    *("limner.training", "limner.api", "limner.cli", "limner.reporting", "limner.checks"),
)

PREDICT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == absent or name.startswith(absent + ".") for absent in {absent!r}):
            raise ModuleNotFoundError("blocked: " + name, name=name)

sys.meta_path.insert(0, Absent())
from limner.inference.predictor import Predictor
from limner.weights.bundle import load_model

prediction = Predictor(load_model({model!r}), device="cpu").predict({image!r})
print(prediction.semantic.shape)
"""


def test_a_model_predicts_where_only_torch_and_the_readers_are_installed(tmp_path, tiny_model):
    save_model(tmp_path / "model", tiny_model(), origin={})
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((40, 50, 3), np.uint8))
    script = PREDICT.format(absent=ABSENT, model=str(tmp_path / "model"), image=str(tmp_path / "image.png"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.stdout.strip() == "(40, 50)", done.stderr


def test_importing_limner_imports_no_library():
    script = (
        "import sys; import limner; print({'torch', 'numpy', 'pydantic', 'cv2', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "set()"
