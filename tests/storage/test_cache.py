import json
import sys
from pathlib import Path

import pytest

from limner.storage.cache import Cache, cache_folder


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cache of JSON values in a folder of its own."""
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    return Cache("kind", suffix=".json")


def write(value):
    return lambda file: file.write(json.dumps(value).encode())


def test_each_folder_has_a_value_of_its_own(kept, tmp_path):
    for name in ("a/data", "b/data"):
        kept.save(tmp_path / name, write(name))
    assert [kept.load(tmp_path / name, json.load) for name in ("a/data", "b/data", "c/data")] == [
        "a/data",
        "b/data",
        None,
    ]


def test_a_damaged_value_is_none(kept, tmp_path):
    kept.save(tmp_path / "data", write([1, 2]))
    (file,) = (tmp_path / "cache" / "kind").iterdir()
    file.write_bytes(file.read_bytes()[:3])
    assert kept.load(tmp_path / "data", json.load) is None


def test_a_folder_that_cannot_be_written_is_passed_over(kept, tmp_path):
    (tmp_path / "cache").write_text("a file")
    kept.save(tmp_path / "data", write(1))
    assert kept.load(tmp_path / "data", json.load) is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_the_place_on_linux(monkeypatch):
    monkeypatch.delenv("LIMNER_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache" / "limner"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/limner")
