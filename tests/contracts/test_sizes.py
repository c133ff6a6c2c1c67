"""Files and functions stay short enough to be read in one go."""

import ast
from pathlib import Path

import limner

SOURCE = Path(limner.__file__).parent

LONGEST_FUNCTION = 60
LONGEST_FILE = 500
LONGEST_NETWORK = 700

LONG_FILES = {"core/score_names.py": "the one table of scores"}
"""Files that may be longer, and why."""


def length(function):
    """Return the number of lines; the docstring of a public verb describes many arguments and is left out."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if function.name in limner.__all__ and ast.get_docstring(function) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def test_functions_are_short():
    found = {
        f"{path.relative_to(SOURCE)}: {node.name}": length(node)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in found.items() if lines > LONGEST_FUNCTION} == {}


def test_files_are_short():
    found = {}
    for path in SOURCE.rglob("*.py"):
        most = LONGEST_NETWORK if path.parent.name == "networks" else LONGEST_FILE
        lines = path.read_text("utf-8").count("\n")
        if lines > most:
            found[path.relative_to(SOURCE).as_posix()] = lines
    assert found.keys() == LONG_FILES.keys(), found
