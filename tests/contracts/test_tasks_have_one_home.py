"""What is particular to a task is written in tasks/ alone: nobody else asks which task it is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import limner
from limner.tasks import TASKS

SOURCE = Path(limner.__file__).parent

MENTION = re.compile(r"\btask\b|Prediction\b")
"""Where a file may ask which task it is, so that most files need not be parsed."""


def is_a_task(node: ast.expr) -> bool:
    """Whether an expression is called a task: ``task``, ``plan.task``, ``settled["task"]``."""
    if isinstance(node, ast.Name):
        return node.id == "task"
    if isinstance(node, ast.Attribute):
        return node.attr == "task" or (node.attr == "name" and is_a_task(node.value))
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value == "task"
    )


def names_a_task(node: ast.expr) -> bool:
    """Whether an expression is the name of a task, or a collection that holds one."""
    if isinstance(node, ast.Constant):
        return node.value in TASKS
    return isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict) and any(
        names_a_task(item) for item in ast.iter_child_nodes(node) if isinstance(item, ast.expr)
    )


def switches(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that compare a task with a name, or look for the class of a prediction."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(is_a_task, sides)) and any(map(names_a_task, sides)):
                yield node.lineno
        elif isinstance(node, ast.Subscript) and is_a_task(node.slice) and names_a_task(node.value):
            yield node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            classes = [n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)]
            if any(name.endswith("Prediction") for name in classes):
                yield node.lineno
        elif isinstance(node, ast.MatchClass) and getattr(node.cls, "id", "").endswith("Prediction"):
            yield node.lineno


def test_nobody_but_tasks_asks_which_task_it_is():
    texts = {path: path.read_text("utf-8") for path in SOURCE.rglob("*.py") if path.parent.name != "tasks"}
    found = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path, text in texts.items()
        if MENTION.search(text)
        for line in switches(ast.parse(text))
    ]
    assert found == []


def test_the_search_finds_what_it_looks_for():
    code = """
if plan.task != "semantic": pass
if task.name in ("instance", "panoptic"): pass
scores = {"instance": "ap"}[task]
if isinstance(found, (SegmentPrediction, Other)): pass
if settled["task"] == "semantic": pass
if task == other: pass
"""
    assert sorted(switches(ast.parse(code))) == [2, 3, 4, 5, 6]
    assert all(MENTION.search(line) for line in code.splitlines()[1:6])
