"""The tiny run of the tests of training."""

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parents[1] / "training" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("training_conftest", _PATH)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
tiny, run_script = _MODULE.tiny, _MODULE.run_script
