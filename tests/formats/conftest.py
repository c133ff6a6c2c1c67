"""Files and folders that the tests are made of, written by other libraries than limner reads them with."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Tree = Callable[[Mapping[str, object]], Path]


@pytest.fixture
def make_tree(tmp_path: Path) -> Tree:
    """Write files into a fresh folder: relative path -> array (an image), text, or bytes."""
    root = tmp_path / "data"
    root.mkdir()

    def write(files: Mapping[str, object]) -> Path:
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            elif isinstance(content, bytes):
                path.write_bytes(content)
            elif path.suffix == ".npy":
                np.save(path, np.asarray(content))
            else:
                Image.fromarray(np.asarray(content)).save(path)
        return root

    return write


def picture(height: int = 8, width: int = 10, seed: int = 0) -> np.ndarray:
    """A random RGB image."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mask(height: int = 8, width: int = 10, seed: int = 0) -> np.ndarray:
    """A random mask of 0 and 1."""
    return np.random.default_rng(seed).integers(0, 2, (height, width), dtype=np.uint8)
