"""Import OpenMMLab's libraries without mmcv's compiled operators, which no benchmark or test uses."""

import importlib.machinery
import sys
import types
from collections.abc import Callable


def stand_in_for_compiled_operators() -> str:
    """Let mmsegmentation and mmdetection import with mmcv-lite, and return mmcv's version.

    mmsegmentation 1.2.2 refuses mmcv 2.2 by number, though nothing that it uses here changed. It imports
    mmpretrain where that is installed, whose language models need another version of transformers.
    """
    operators = _CompiledOperators("mmcv._ext")
    operators.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
    sys.modules.setdefault("mmcv._ext", operators)
    sys.modules.setdefault("mmpretrain.models.multimodal", types.ModuleType("multimodal"))
    import mmcv

    version: str = mmcv.__version__
    mmcv.__version__ = "2.1.0"
    return version


class _CompiledOperators(types.ModuleType):
    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)

        def absent(*_: object, **__: object) -> None:
            raise RuntimeError(f"mmcv's compiled operator {name} is not installed")

        return absent
