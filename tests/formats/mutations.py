"""Annotation files with one thing wrong: in every place, in the ways of tools, editors and disks."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from itertools import count
from pathlib import PurePosixPath

import numpy as np
import yaml

Named = Iterator[tuple[str, bytes]]
"""What is wrong, and the whole file."""
Place = tuple[str | int, ...]
Choice = Callable[[Sequence[str]], Sequence[str]]

HUGE = "1" + "0" * 400
NESTED = {depth: "[" * depth + "]" * depth for depth in (300, 2_000)}
WRONG_JSON = (
    *("null", "true", "0", "-1", "0.5", "1000000000", "1e20", "-1e300", HUGE, "NaN", "Infinity"),
    *('""', '"x"', '"../../x"', r'"\ud800"', '"٣"', "[]", "[[]]", "[null]", "[1, 2]", "{}", '{"a": 1}'),
    NESTED[300],
)
WRONG_YAML = (
    *("null", "true", "-1", "1e20", HUGE, ".nan", "2001-01-99", "''", "[]", "{}", "[[1]]", "{a: 1}"),
    *("[null]", "!!python/name:os.system", "*nowhere"),
)
WRONG_TEXT = ("", "x", "-1", "0.5", "1e20", "1e999", "nan", "inf", HUGE, "\u0663", "a,b;c d", "\ufffd")
WRONG_LINES = (*WRONG_TEXT, "\x00", '"', "'", "x" * 200_000, "1 " * 2_000, "," * 2_000)
MOST_ITEMS = 2
"""Items of a list that are spoilt; those behind them are like them."""


def mutations(name: str, data: bytes, *, share: int = 1) -> Named:
    """Yield the file with one thing wrong at a time.

    Args:
        name: Its suffix says what it holds.
        data: Its good content.
        share: Each place gets one in `share` of the wrong values, the next place the next ones.
    """
    places = count()

    def choice(wrong: Sequence[str]) -> Sequence[str]:
        return wrong[next(places) % share :: share]

    yield from _damaged(data)
    suffix = PurePosixPath(name).suffix
    if suffix in (".json", ".geojson"):
        yield from _json(json.loads(data), choice)
    elif suffix == ".xml":
        yield from _xml(data, choice)
    elif suffix == ".yaml":
        yield from _yaml(yaml.safe_load(data), choice)
    elif suffix == ".npy":
        yield from _npy(data)
    elif suffix != ".png":
        yield from _lines(data.decode("utf-8-sig").splitlines(), choice)


def mutated(data: bytes, draw: np.random.Generator) -> bytes:
    """Change, drop, repeat or insert some bytes at random, as a failing disk or cable does."""
    changed = bytearray(data)
    for _ in range(draw.integers(1, 6)):
        at = int(draw.integers(0, max(1, len(changed))))
        span = int(draw.integers(1, 9))
        kind = draw.integers(0, 4)
        if kind == 0:
            changed[at : at + span] = draw.integers(0, 256, span, dtype=np.uint8).tobytes()
        elif kind == 1:
            del changed[at : at + span]
        elif kind == 2:
            changed[at:at] = changed[at : at + span] * 2
        elif len(changed):
            changed[min(at, len(changed) - 1)] ^= 1 << int(draw.integers(0, 8))
    return bytes(changed)


def _damaged(data: bytes) -> Named:
    yield "empty", b""
    yield "blank", b" \n\n"
    yield "another kind", b"some text"
    for part in (3, 2):
        yield f"cut off at 1/{part}", data[: len(data) // part]
    yield "zeros", bytes(len(data))
    yield "one byte that is no UTF-8", data[: len(data) // 2] + b"\xff" + data[len(data) // 2 :]
    yield "a byte order mark", b"\xef\xbb\xbf" + data
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    yield "UTF-16", text.encode("utf-16")
    yield "Latin-1", text.encode("latin-1", "replace")


def _json(good: object, choice: Choice) -> Named:
    for wrong in ("null", "1", '"x"', "[]", "{}", "[null]", "[[]]", '[{"a": 1}]', NESTED[2_000]):
        yield f"the whole is {wrong[:20]}", wrong.encode()
    for place in _places(good):
        shown = "/".join(map(str, place))
        for wrong in choice(WRONG_JSON):
            yield f"{shown} is {wrong[:20]}", _with(good, place, wrong).encode()
        yield f"no {shown}", json.dumps(_without(good, place)).encode()
        if isinstance(place[-1], str):
            key = json.dumps(place[-1])
            for wrong in choice(("null", "[1]")):
                twice = _with(good, place, f"{json.dumps(_at(good, place))}, {key}: {wrong}")
                yield f"{shown} twice, the second {wrong}", twice.encode()
    for wrong in (NESTED[2_000], "1" * 5_000):
        yield f"the last part is {wrong[:10]}...", _with(good, place, wrong).encode()


def _places(value: object, before: Place = ()) -> Iterator[Place]:
    """Yield the way to each value inside another one, the outermost first."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        if isinstance(key, str) or key < MOST_ITEMS:
            yield (*before, key)
            yield from _places(item, (*before, key))


def _at(whole: object, place: Place) -> object:
    for key in place:
        whole = whole[key]
    return whole


def _with(whole: object, place: Place, token: str) -> str:
    """Return JSON with a token in one place, which may be no JSON value."""
    whole = deepcopy(whole)
    _at(whole, place[:-1])[place[-1]] = "@@@"
    return json.dumps(whole).replace('"@@@"', token)


def _without(whole: object, place: Place) -> object:
    whole = deepcopy(whole)
    del _at(whole, place[:-1])[place[-1]]
    return whole


def _xml(data: bytes, choice: Choice) -> Named:
    def changed(number: int, name: str, change: Callable[[ElementTree.Element], object]) -> tuple[str, bytes]:
        root = ElementTree.fromstring(data)
        element = list(root.iter())[number]
        change(element)
        return f"<{element.tag}> {number}: {name}", ElementTree.tostring(root, "utf-8")

    root = ElementTree.fromstring(data)
    for number, element in enumerate(root.iter()):
        for key in element.attrib:
            for wrong in choice(WRONG_TEXT):
                yield changed(number, f"{key} is {wrong[:20]!r}", lambda e, k=key, w=wrong: e.set(k, w))
            yield changed(number, f"no {key}", lambda e, k=key: e.attrib.pop(k))
        for wrong in choice(WRONG_TEXT):
            yield changed(number, f"text {wrong[:20]!r}", lambda e, w=wrong: setattr(e, "text", w))
        yield changed(number, "no children", lambda e: e.__delitem__(slice(None)))
        yield changed(number, "children twice", lambda e: e.extend(list(e)))
        yield changed(number, "another tag", lambda e: setattr(e, "tag", "other"))
    start, end = b"<" + root.tag.encode(), b"</" + root.tag.encode()
    one = [b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 9 if n else b"x" * 9) for n in range(9)]
    bomb = data.replace(start, b"<!DOCTYPE a [" + b"".join(one) + b"]>" + start, 1)
    yield "entities of entities", bomb.replace(b"><", b">&e8;<", 9)
    for depth in NESTED:
        yield f"{depth} deep", data.replace(end, b"<object>" * depth + b"</object>" * depth + end)


def _yaml(good: object, choice: Choice) -> Named:
    for place in _places(good):
        for wrong in choice(WRONG_YAML):
            yield f"{place} is {wrong[:20]}", _with(good, place, wrong).encode()
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    bomb = "\n".join(["a0: &a0 [x, x, x]", *rows])
    # PyYAML takes long for deep lists, so each key gets one.
    for key, depth in zip(good, (300, 2_000, 300, 2_000), strict=False):
        yield f"{key} nests {depth} deep", f"{key}: {NESTED[depth]}\n".encode()
        yield f"{key} is an alias of aliases", f"{bomb}\n{key}: *a29\n".encode()
        yield f"{key} holds itself", f"{key}: &a [*a]\n".encode()
    yield "a tab", b"names:\n\t- a\n"


def _lines(lines: list[str], choice: Choice) -> Named:
    def changed(number: int, line: str) -> bytes:
        return "\n".join([*lines[:number], line, *lines[number + 1 :], ""]).encode()

    for number, line in enumerate(lines[:MOST_ITEMS]):
        for separator in sorted({s for s in (",", " ", ":", "\t") if s in line}):
            cells = line.split(separator)
            for column in range(len(cells)):
                for wrong in choice(WRONG_TEXT):
                    spoilt = separator.join([*cells[:column], wrong, *cells[column + 1 :]])
                    yield f"line {number}, column {column} is {wrong[:20]!r}", changed(number, spoilt)
            yield f"line {number}, a column less", changed(number, separator.join(cells[:-1]))
            yield f"line {number}, a column more", changed(number, separator.join([*cells, "7"]))
            yield f"line {number}, columns twice", changed(number, separator.join([*cells, *cells]))
        for wrong in choice(WRONG_LINES):
            yield f"line {number} is {wrong[:20]!r}", changed(number, wrong)
        yield f"line {number} twice", changed(number, f"{line}\n{line}")


def _npy(data: bytes) -> Named:
    for shape in (
        b"()",
        b"(0, 0)",
        b"(1,)",
        b"(-1, 9)",
        b"(1000000000, 1000000000)",
        b"(6, 9, 1, 1)",
        b"'x'",
    ):
        yield f"shape {shape!r}", re.sub(rb"'shape': \([^)]*\)", b"'shape': " + shape, data)
    for kind in (complex, object, "M8[s]", "U3", float):
        file = io.BytesIO()
        np.save(file, np.load(io.BytesIO(data)).astype(kind))
        yield f"of {kind}", file.getvalue()
