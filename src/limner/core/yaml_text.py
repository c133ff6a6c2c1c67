"""YAML text, parsed within limits: a few lines of aliases can stand for billions of values."""

from typing import Any, TypeAlias

import yaml

MAX_CHARACTERS = 2_000_000
"""Twice the names of the largest public class lists; PyYAML parses this in about 20 seconds."""

MAX_VALUES = 1_000_000
"""Values of a YAML file once its aliases are written out."""

MAX_UNQUOTED = 10_000
"""Characters of one unquoted value; converting a longer number takes seconds to minutes."""

Loader: TypeAlias = type[yaml.SafeLoader] | type[yaml.BaseLoader]


def load_yaml(text: str, loader: Loader = yaml.SafeLoader) -> Any:  # noqa: ANN401 - YAML may hold anything
    """Parse YAML text; check the number of its values before any is built.

    Args:
        text: The text.
        loader: ``SafeLoader``, or ``BaseLoader`` to leave each scalar as text.

    Raises:
        yaml.YAMLError: The text is not YAML.
        ValueError: It is longer, more deeply nested or more often repeated than any real file, or holds a
            date or number that does not exist.
    """
    reader = loader("")
    try:
        node = compose_yaml(text, loader)
        return None if node is None else reader.construct_document(node)
    except RecursionError:
        raise ValueError("lists or mappings are nested too deeply") from None
    except OverflowError:
        raise ValueError("it holds a number that is too large") from None
    finally:
        reader.dispose()


def compose_yaml(text: str, loader: Loader = yaml.SafeLoader) -> yaml.Node | None:
    """Return the nodes of YAML text, or None if it is empty; limits and errors as in `load_yaml`."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are read")
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=loader)
        if node is not None and _num_values(node, {}) > MAX_VALUES:
            raise ValueError("its aliases repeat each other without end")
    except RecursionError:
        raise ValueError("lists or mappings are nested too deeply") from None
    return node


def _num_values(node: yaml.Node, known: dict[int, float]) -> float:
    """Return the number of values inside, aliases written out; infinite where a node holds itself."""
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(node)
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")
        pairs = isinstance(node, yaml.MappingNode)
        items = [item for pair in node.value for item in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_num_values(item, known) for item in items)
    return known[id(node)]


def _check_scalar(node: yaml.ScalarNode) -> None:
    if node.style is None and len(node.value) > MAX_UNQUOTED:
        raise ValueError(
            f"line {node.start_mark.line + 1} holds an unquoted value of {len(node.value):,} characters"
        )
