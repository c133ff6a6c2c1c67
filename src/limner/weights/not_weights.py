"""What people pass as a checkpoint that is none, recognised by its first bytes."""

from pathlib import Path

from limner.core.errors import describe

_LFS = b"version https://git-lfs.github.com"
_ARCHIVES = {b"\x1f\x8b": "a gzip archive", b"7z\xbc\xaf": "a 7z archive", b"BZh": "a bzip2 archive"}


def refusal_of(path: Path, start: bytes) -> str | None:
    """Return the error message for a file that cannot hold weights, or None.

    Args:
        path: The file.
        start: Its first 64 bytes.
    """
    text = start.lstrip().lower()
    if start.startswith(_LFS):
        return describe(
            "The file is a pointer of Git LFS, not the weights",
            where=path,
            found=f"{path.stat().st_size} bytes of text",
            fix="Fetch the content: git lfs pull, or download the file from its web page.",
        )
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return describe(
            "The file is a web page, not the weights",
            where=path,
            found=f"HTML, {path.stat().st_size:,} bytes",
            fix="The download needs a login, or the address is that of a page: download the file itself.",
        )
    if not start:
        return describe("The file is empty", where=path, fix="Download or copy it again.")
    if start.startswith(b"\x08") and path.suffix == ".onnx":
        return describe(
            "The file is an ONNX graph, which has no state dict to import",
            where=path,
            fix="Import the checkpoint that it was exported from.",
        )
    for sign, kind in _ARCHIVES.items():
        if start.startswith(sign):
            return describe(f"The file is {kind}", where=path, fix="Unpack it, and pass the file inside.")
    return None
