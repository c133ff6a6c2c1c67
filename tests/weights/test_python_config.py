"""Configurations in Python are read as text."""

from limner.weights.python_config import read_python_config

TEXT = """
import os
os.system('touch evil')
norm_cfg = dict(type='SyncBN', requires_grad=True)
size = (512, -1)
model = dict(
    head=dict(norm_cfg=norm_cfg, classes=19, scales=[0.5, 1.0]),
    test_cfg={'mode': 'slide', 'crop_size': size},
    path=os.path.join('a', 'b'))
"""


def test_literals_dicts_and_names_are_read_and_nothing_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read_python_config(TEXT)
    norm = {"type": "SyncBN", "requires_grad": True}
    assert found["model"] == {
        "head": {"norm_cfg": norm, "classes": 19, "scales": [0.5, 1.0]},
        "test_cfg": {"mode": "slide", "crop_size": [512, -1]},
        "path": None,
    }
    assert not (tmp_path / "evil").exists()


def test_what_is_no_python_is_empty():
    assert read_python_config("model = dict(") == {} and read_python_config("\0") == {}
