"""One name for each thing: no two public classes or functions, and no two files, share one."""

import re
from collections import defaultdict
from pathlib import Path

import limner

SOURCE = Path(limner.__file__).parent

VERBS = {path.stem for path in (SOURCE / "cli").glob("*.py")}
"""A verb is a function in a file of its own, in api/, which does it, and in cli/, which reads its options."""

SYMBOL = re.compile(r"^(?:class|def) ([^\W_]\w*)", re.MULTILINE)
"""A public class or function of a file: parsing the whole source would take seconds."""

SAME_SYMBOLS = {
    "import_checkpoint": "limner.weights.import_checkpoint reads; the verb also writes the model folder",
    "Layout": "each network file has its own table of widths, which no other file imports",
}
"""Names that stand for several things, and why."""

SAME_FILES = {
    "plan.py": "the verb, and the thing that it makes",
    "vit.py": "the network, and the backbone inside it",
}
"""File names that stand twice, and why."""


def places_of_symbols():
    places = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        for name in SYMBOL.findall(path.read_text("utf-8")):
            places[name].add(path.relative_to(SOURCE))
    return places


def twins(places):
    """Return name -> files of the names that stand in several files, except verbs."""
    return {
        name: sorted(map(str, files))
        for name, files in places.items()
        if len(files) > 1
        and not (Path(name).stem in VERBS and {path.parts[0] for path in files} == {"api", "cli"})
    }


def test_no_two_public_symbols_share_a_name():
    found = twins(places_of_symbols())
    assert {name: files for name, files in found.items() if name not in SAME_SYMBOLS} == {}
    assert SAME_SYMBOLS.keys() <= found.keys(), "an exception that is no longer needed"


def test_no_two_files_share_a_name():
    places = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        if path.name != "__init__.py":
            places[path.name].add(path.relative_to(SOURCE))
    found = twins(places)
    assert {name: files for name, files in found.items() if name not in SAME_FILES} == {}
    assert SAME_FILES.keys() <= found.keys(), "an exception that is no longer needed"
