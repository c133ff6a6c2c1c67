"""Single output files: one that exists is replaced only if it is limner's, and unchanged since.

Each file ends with a mark: the command that wrote it, and a hash of the rest. So it is recognised wherever it
is moved, and after an edit it is the user's.
"""

import os
import re
import struct
import zlib
from hashlib import blake2b
from pathlib import Path

from limner.storage.filled_folder import would_replace
from limner.storage.output_folder import refuse_unwritable
from limner.storage.user_paths import user_path
from limner.storage.whole_files import remove_leftovers_of, write_whole

_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_MARK = re.compile(rb"limner [\w-]+ [0-9a-f]{32}")


def refuse_taken_file(path: Path | str, *, by: str) -> None:
    """Refuse an output file, before the work begins, if something else is there or it cannot be written.

    Args:
        path: The file that the user named.
        by: The command, such as ``browse``; it replaces only what the same command wrote.

    Raises:
        ConfigError: The command did not write the file, or it was changed since.
        DataError: Its place cannot be written.
    """
    path = user_path(path)
    is_plain = path.is_file() and not path.is_symlink()
    if os.path.lexists(path) and not (is_plain and _is_own(path.read_bytes(), by)):
        raise would_replace(path)
    refuse_unwritable(path)


def write_own_file(path: Path | str, content: bytes | str, *, by: str) -> Path:
    """Write a PNG, a page or YAML with a mark.

    Args:
        path: The file.
        content: Bytes, or text.
        by: As in `refuse_taken_file`.

    Returns:
        The file.

    Raises:
        ConfigError: As in `refuse_taken_file`.
        WriteError: The disk is full, read-only or failing.
    """
    path = user_path(path)
    refuse_taken_file(path, by=by)
    plain = content.encode() if isinstance(content, str) else content
    write_whole(path, _marked(plain, _mark(plain, by)))
    remove_leftovers_of(path)
    return path


def _marked(content: bytes, mark: bytes) -> bytes:
    if not content.endswith(_PNG_END):
        return content + (b"<!-- %b -->\n" if content.startswith(b"<") else b"# %b\n") % mark
    chunk = b"tEXtSoftware\0" + mark
    size, checksum = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    return content.removesuffix(_PNG_END) + size + chunk + checksum + _PNG_END


def _is_own(content: bytes, by: str) -> bool:
    """Tell whether a command wrote this content, by composing it again."""
    found = _MARK.search(content, max(0, len(content) - 200))
    if found is None:
        return False
    end = _PNG_END if content.endswith(_PNG_END) else b""
    before = b"size" + b"tEXtSoftware\0" if end else b"<!-- " if content.startswith(b"<") else b"# "
    plain = content[: found.start() - len(before)] + end
    return _marked(plain, _mark(plain, by)) == content


def _mark(content: bytes, by: str) -> bytes:
    return f"limner {by} {blake2b(content, digest_size=16).hexdigest()}".encode()
