"""Reading configurations written as Python, without running them.

Files of mmsegmentation are assignments of literals and of ``dict(...)``; anything else in them is left out.
"""

import ast
from typing import Any


def read_python_config(text: str) -> dict[str, Any]:
    """Return name -> value of the assignments of a configuration; empty if the text is not Python.

    Values are literals, lists, dicts and ``dict(...)``; a value that is anything else is None.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = _value(node.value, found)
    return found


def _value(node: ast.expr, names: dict[str, Any]) -> Any:  # noqa: ANN401 - any plain value
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item, names) for item in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {ast.literal_eval(k): _value(v, names) for k, v in pairs if isinstance(k, ast.Constant)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {k.arg: _value(k.value, names) for k in node.keywords if k.arg is not None}
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
