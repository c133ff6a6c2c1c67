"""limner turns your own labelled images into trained, measured, deployable vision models.

The commands are available as functions::

    import limner

    limner.check("my_images")
    run = limner.train("my_images", minutes=5)
    model = limner.load(run.model)
    prediction = model.predict("new_image.png")

Each function is imported on first use, so that ``import limner`` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from limner.api.browse import browse
    from limner.api.check import check
    from limner.api.compare import compare
    from limner.api.compare_networks import compare_networks
    from limner.api.convert import convert
    from limner.api.cross_validate import cross_validate
    from limner.api.demo import demo
    from limner.api.doctor import doctor
    from limner.api.evaluate import evaluate
    from limner.api.explain import explain
    from limner.api.export import export
    from limner.api.import_checkpoint import import_checkpoint
    from limner.api.load import load
    from limner.api.measure import measure
    from limner.api.plan import plan
    from limner.api.predict import predict
    from limner.api.report import report
    from limner.api.serve import serve
    from limner.api.split import split
    from limner.api.stats import stats
    from limner.api.train import train
    from limner.api.tune import tune

__all__ = [
    "browse",
    "check",
    "compare",
    "compare_networks",
    "convert",
    "cross_validate",
    "demo",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "import_checkpoint",
    "load",
    "measure",
    "plan",
    "predict",
    "report",
    "serve",
    "split",
    "stats",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute may be anything
    if name in __all__:
        return getattr(import_module(f"limner.api.{name}"), name)
    raise AttributeError(f"module 'limner' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
