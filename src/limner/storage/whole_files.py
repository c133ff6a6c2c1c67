"""Write a file so that it is there whole or not at all."""

import json
import os
import threading
from pathlib import Path


def write_whole(path: Path, data: bytes, *, flush: bool = False) -> None:
    """Write aside, then rename over `path`: a crash leaves the old file or the new one, never half of one.

    Args:
        path: The file; missing folders are made.
        data: Its whole content.
        flush: Wait until the bytes are on the disk, so that a power cut cannot lose them either.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name[:40]}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with aside.open("xb") as file:
            file.write(data)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_json(path: Path, values: object) -> None:
    """Write JSON-ready values as UTF-8 text that people can read, by `write_whole`."""
    write_whole(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
