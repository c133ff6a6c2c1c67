"""Folders as people have them, built file by file; each test states what is right by hand."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Tree = Callable[[Mapping[str, object]], Path]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Write files below a folder: relative path -> array (an image) or text; the caches are empty."""
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data"

    def write(files: Mapping[str, object]) -> Path:
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                Image.fromarray(np.asarray(content)).save(path)
        return root

    return write
