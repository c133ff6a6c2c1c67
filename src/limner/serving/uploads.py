"""Receive the files of a request: within the limits of size and time, into a temporary folder.

The name of an uploaded file is never used as a path; only its suffix is, if it is one of images. Every file
has a folder of its own, so that the header of a volume cannot name another file.
"""

import asyncio
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from limner.core.picture import Picture
from limner.core.printable import printable_line
from limner.core.sample import size_text
from limner.images.file_names import IMAGE_SUFFIXES, image_suffix
from limner.images.pixels import Reduce
from limner.images.read_image import image_header, read_image
from limner.serving.limits import Limits
from limner.serving.refusal import Refusal
from limner.storage.disk_problems import write_errors_for
from limner.storage.file_states import file_state
from limner.storage.folder_lock import process_space, process_start

MULTIPART = "multipart/form-data"
MAX_FILES = 64
"""Maximum number of files in a request."""
MAX_FIELDS = 16
TEMPORARY = "limner-serve-"
"""Beginning of the names of temporary folders; the id of the system or container follows, and the process."""
LONGEST_REQUEST = 24 * 3600
"""Seconds after which a request counts as ended if its process is not visible from here."""
LONGEST_NAME = 200
"""Characters of a file's name that are kept for answers."""

HOW_TO_SEND = "multipart/form-data with the file as `images`: curl -F images=@photo.jpg URL/predict"


@dataclass(frozen=True)
class Upload:
    """A file of a request.

    Attributes:
        name: Its name in the request, for answers only.
        path: The temporary file with its content.
    """

    name: str
    path: Path

    def read(self, limits: Limits, *, reduce: Reduce | None = None) -> Picture:
        """Read the image; its size is compared with the limit before it is decoded.

        Args:
            limits: The limits.
            reduce: How much smaller a JPEG is decoded for a model; None decodes it at full size.

        Raises:
            DataError: It cannot be read.
            Refusal: It is too large.
        """
        self.refuse_large(limits)
        return read_image(self.path, reduce=reduce)

    def refuse_large(self, limits: Limits) -> None:
        """Refuse an image with too many pixels, by its header.

        Raises:
            DataError: It is no image.
            Refusal: It is too large.
        """
        shape = image_header(self.path).shape
        if math.prod(shape) > limits.max_pixels:
            raise Refusal(
                413,
                f"The image is too large: {self.name}",
                found=f"{size_text(shape)} pixels, {math.prod(shape) / 1e6:.1f} million",
                expected=f"at most {limits.max_pixels / 1e6:g} million pixels",
                fix="Cut the image into tiles, or start the server with a larger --max-pixels.",
            )


@asynccontextmanager
async def received(request: Request, limits: Limits, *fields: str) -> AsyncIterator[dict[str, list[Upload]]]:
    """Receive the files of form fields; they are deleted when the block ends.

    Args:
        request: The request.
        limits: Limits of size and time.
        fields: Names of the fields, each of one file or several.

    Raises:
        Refusal: The request is no form, lacks a file, is too large or too slow.
        WriteError: The disk of temporary files is full, read-only or failing.
    """
    form = await _form(request, limits)
    try:
        files = {name: [f for f in form.getlist(name) if isinstance(f, UploadFile)] for name in fields}
        for name, found in files.items():
            if not found:
                raise Refusal(
                    400,
                    f"The request has no file in the field `{name}`",
                    found=", ".join(dict.fromkeys(form)) or "an empty form",
                    expected=f"a file in each of the fields: {', '.join(fields)}",
                    fix=f"Send {HOW_TO_SEND}",
                )
        with temporary_folder() as folder:
            yield await asyncio.to_thread(_store_all, files, Path(folder))
    finally:
        await form.close()


def temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for images, deleted at the end of the block, or by the next server after a kill."""
    return tempfile.TemporaryDirectory(prefix=f"{TEMPORARY}{process_space()}-{os.getpid()}-")


def remove_abandoned() -> None:
    """Remove the temporary folders of servers that were killed, with the images in them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*"):
        owner = re.match(rf"{TEMPORARY}([0-9a-f]+)-(\d+)-", folder.name)
        if owner is not None and _is_abandoned(folder, space=owner[1], process=int(owner[2])):
            shutil.rmtree(folder, ignore_errors=True)  # those of other users stay


def _is_abandoned(folder: Path, *, space: str, process: int) -> bool:
    """Tell whether the server of a folder has ended: by its process, or by age if that is not visible."""
    if space == process_space():
        return process_start(process) is None
    state = file_state(folder)
    return state is not None and time.time() - state[1] / 1e9 > LONGEST_REQUEST


async def _form(request: Request, limits: Limits) -> FormData:
    sent = request.headers.get("content-type", "")
    if not sent.lower().startswith(MULTIPART):
        raise Refusal(
            415,
            "The request is no form with files",
            found=f"Content-Type: {sent}" if sent else "no Content-Type",
            expected=MULTIPART,
            fix=f"Send {HOW_TO_SEND}",
        )

    async def parse() -> FormData:
        with write_errors_for(Path(tempfile.gettempdir())):  # large files are kept there
            return await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS)

    try:
        return await asyncio.wait_for(parse(), limits.timeout)
    except (asyncio.TimeoutError, TimeoutError):
        raise Refusal(
            408,
            "The request took too long to arrive",
            found=f"no end of it after {limits.timeout:g} s",
            expected=f"at most {limits.timeout:g} s",
            fix="Send it over a faster connection, or start the server with a larger --timeout.",
        ) from None
    except FormParserError as error:  # not caught by older versions of Starlette
        raise Refusal(
            400, "The form cannot be read", found=str(error), expected=MULTIPART, fix=f"Send {HOW_TO_SEND}"
        ) from None


def _store_all(files: dict[str, list[UploadFile]], folder: Path) -> dict[str, list[Upload]]:
    return {
        field: [_store(file, folder / f"{field}-{number}") for number, file in enumerate(found)]
        for field, found in files.items()
    }


def _store(file: UploadFile, folder: Path) -> Upload:
    return stored_upload(file.filename, file.file, folder)


def stored_upload(name: str | None, content: IO[bytes], folder: Path) -> Upload:
    """Store a file under a name of the service's own.

    Args:
        name: Its name, of which only the suffix is used.
        content: The open file.
        folder: A folder for it alone, which does not exist yet.

    Raises:
        WriteError: The disk of temporary files is full, read-only or failing.
    """
    shown = shown_name(name)
    suffix = image_suffix(shown)
    path = folder / f"image{suffix if suffix in IMAGE_SUFFIXES else ''}"
    with write_errors_for(path):
        folder.mkdir()
        with path.open("wb") as out:
            shutil.copyfileobj(content, out)
    return Upload(shown, path)


def shown_name(name: str | None) -> str:
    """Return the last part of a file's name in a request, printable and of limited length."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    return printable_line(last)[-LONGEST_NAME:] or "image"


def safe_stem(stem: str) -> str:
    """Return a stem as a plain file name on every system: letters, digits, ``_``, ``-`` and inner dots."""
    return re.sub(r"[^\w.-]+", "_", stem).strip("._-")[:100] or "image"
