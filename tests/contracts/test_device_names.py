"""Accelerators that PyTorch learns of later need no change: one file knows the names of types of devices."""

import ast
import re
from pathlib import Path

import pytest

import limner

SOURCE = Path(limner.__file__).parent

HOME = "devices/backends.py"
"""The only file whose code may name a type of accelerator."""

TYPES = {"cuda", "mps", "xpu", "npu", "hpu", "mlu", "musa", "sdaa", "mtia", "hip", "rocm"}

MENTION = re.compile(rf"(?<![a-z])({'|'.join(TYPES)})(?![a-z])", re.IGNORECASE)
"""Where a file mentions a type anywhere, so that most files need not be parsed."""


def names_of_devices(tree):
    """Return line -> what names a type: identifiers with it as a word, and strings such as "cuda:0"."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts = [node.value] if re.fullmatch(r"\w+(:\d+)?", node.value) else []
        else:
            values = (
                getattr(node, field, None) for field in ("id", "attr", "arg", "name", "module", "asname")
            )
            texts = [value for value in values if isinstance(value, str)]
        named = [text for text in texts if TYPES & set(re.split(r"[^a-z]+", text.lower()))]
        if named:
            found[getattr(node, "lineno", 0)] = named
    return found


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ("torch.cuda.synchronize()", True),
        ("if maps.is_cuda: pass", True),
        ("from torch.backends import mps", True),
        ("torch.empty(1, device='cuda:1')", True),
        ("move(x, to='xpu')", True),
        ("'train on cuda or mps'", False),  # words for a person
        ("torch.accelerator.synchronize()", False),
        ("chips = ships", False),
    ],
)
def test_the_search_finds_names(code, is_found):
    assert bool(names_of_devices(ast.parse(code))) is is_found


def test_code_outside_of_one_file_names_no_type_of_accelerator():
    texts = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in SOURCE.rglob("*.py")}
    named = {path: names_of_devices(ast.parse(text)) for path, text in texts.items() if MENTION.search(text)}
    assert {path: found for path, found in named.items() if found}.keys() == {HOME}, named
