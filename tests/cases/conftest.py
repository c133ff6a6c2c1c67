"""Folders as people have them, built file by file; each test states what is right by hand."""

import pytest


@pytest.fixture
def tree(make_tree, tmp_path, monkeypatch):
    """Write files below a folder, with empty caches."""
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    return make_tree
