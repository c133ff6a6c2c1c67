"""YAML text: parsed within limits, as a few lines of aliases can stand for billions of values; and written.

libyaml does both where PyYAML was built with it, as in its wheels: several times as fast, the same values.
"""

from typing import Any, TypeAlias

import yaml
from yaml.representer import SafeRepresenter

MAX_CHARACTERS = 2_000_000
"""Twice the names of the largest public class lists; parsed in about 2 seconds, without libyaml in 20."""

MAX_VALUES = 1_000_000
"""Values of a YAML file once its aliases are written out."""

MAX_UNQUOTED = 10_000
"""Characters of one unquoted value; converting a longer number takes seconds to minutes."""

MAX_DEPTH = 1000
"""Lists and mappings inside each other; the limit of libyaml, which its older versions do not have."""

Loader: TypeAlias = type[yaml.SafeLoader] | type[yaml.BaseLoader]

SAFE_LOADER: Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Builds the values that YAML's plain types describe."""

BASE_LOADER: Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Leaves each scalar as text."""

SAFE_DUMPER: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

ONE_LINE = 2**31 - 1
"""A line length that no text reaches."""


def load_yaml(text: str, loader: Loader = SAFE_LOADER) -> Any:  # noqa: ANN401 - YAML may hold anything
    """Parse YAML text; check the number of its values before any is built.

    Args:
        text: The text.
        loader: `SAFE_LOADER` or `BASE_LOADER`.

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


def compose_yaml(text: str, loader: Loader = SAFE_LOADER) -> yaml.Node | None:
    """Return the nodes of YAML text, or None if it is empty; limits and errors as in `load_yaml`."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are read")
    try:
        node = _compose(text, loader)
        if node is not None and _num_values(node, {}) > MAX_VALUES:
            raise ValueError("its aliases refer to each other endlessly")
    except RecursionError:
        raise ValueError("lists or mappings are nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it contains half of a surrogate pair") from None
    return node


def _compose(text: str, loader: Loader) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        if "maximum nesting depth" in f"{error.context} {error.problem}" or _is_deep(text, loader):
            raise RecursionError from None
        # PyYAML's own errors say better what is wrong, and where.
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _is_deep(text: str, loader: Loader) -> bool:
    """Tell whether damaged text is nested too deeply, on which PyYAML itself would spend a second."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                return True
    except yaml.YAMLError:
        pass  # it is shallow up to the damage
    return False


def dump_yaml(value: object, *, flow: bool | None = False, width: int = 80) -> str:
    """Return plain values as YAML, keys in their order.

    Args:
        value: Mappings, lists, texts, numbers.
        flow: Whether to write ``{...}`` and ``[...]``; None does it for collections without others inside,
            except for `value` itself.
        width: Line length at which long values are wrapped.
    """
    # The stubs know neither that None is allowed nor the nodes' kinds.
    representer = SafeRepresenter(default_flow_style=flow, sort_keys=False)  # type: ignore[arg-type]
    node = representer.represent_data(value)
    if flow is None and isinstance(node, yaml.CollectionNode):
        node.flow_style = False
    text: str = yaml.serialize(node, Dumper=SAFE_DUMPER, allow_unicode=True, width=width)
    return text


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
    if not node.style and len(node.value) > MAX_UNQUOTED:
        raise ValueError(
            f"line {node.start_mark.line + 1} holds an unquoted value of {len(node.value):,} characters"
        )
