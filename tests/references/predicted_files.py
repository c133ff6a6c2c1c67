"""Prediction with a run of the tests, and what it writes."""

import limner


def files(folder):
    """The files in a folder and their content, without the hidden lists."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def predict(run, images, out, **options):
    return limner.predict(run.root, images, out=out, device="cpu", **options)
