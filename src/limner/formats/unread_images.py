"""Pictures of kinds that limner does not read, so that none of them vanishes without a word."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from limner.core.finding import Finding
from limner.core.sample import Record
from limner.formats.file_tree import FileTree
from limner.formats.format_codes import format_finding

_KINDS = {
    "raw photos of a camera": ".dng .cr2 .cr3 .crw .nef .nrw .arw .orf .rw2 .raf .pef .srw .raw",
    "JPEG XL": ".jxl",
    "whole slides": ".svs .ndpi .scn .mrxs .vms .vmu .bif .svslide",
    "microscope files": ".czi .lif .nd2 .oib .oif .lsm .vsi .dv .zvi .stk .ims",
    "Photoshop files": ".psd .psb",
    "high dynamic range": ".exr .hdr .pfm",
    "volumes": ".mnc .mgz .mgh .hdr .img .dcm .dicom .ima",
    "videos": ".mp4 .avi .mov .mkv .webm .mpg .mpeg .m4v .wmv",
    "other pictures": ".tga .pbm .pnm .pam .pcx .ico .sgi .ras .svg .eps .pdf .jls .jxr .wdp .hif .mpo",
}
UNREAD = {suffix: kind for kind, suffixes in _KINDS.items() for suffix in suffixes.split()}
"""Suffix -> kind of picture."""

_HEADERS = (".mhd", ".nhdr")
"""Suffixes of headers whose voxels are in a file of the same name."""


def unread_images(tree: FileTree, records: Iterable[Record], root: Path) -> list[Finding]:
    """Return a finding for the unread files in folders of images; elsewhere they may be anything."""
    records = [*records]
    homes = {record.image.parent for record in records}
    found = [path for path in tree.others if is_unread(path) and root / path.parent in homes]
    if found:
        used = {path for record in records for path in record.files}
        voxels = {path.with_suffix("") for path in tree.images if path.suffix.lower() in _HEADERS}
        found = [path for path in found if root / path not in used and path.with_suffix("") not in voxels]
    if not found:
        return []
    names = tuple(path.as_posix() for path in found)
    suffixes = dict.fromkeys(path.suffix.lower() for path in found)
    kinds = ", ".join(f"{suffix} ({UNREAD[suffix]})" for suffix in suffixes)
    return [
        format_finding(
            "image-kind-not-read",
            names[0],
            f"{len(names)} file{'' if len(names) == 1 else 's'} of a kind that is not read: {kinds}",
            expected="PNG, JPEG, TIFF, WebP, AVIF, JPEG 2000 or NPY, among others",
            fix="Left out. Save them as PNG, or as TIFF if they have more than 8 bits.",
            files=names,
        )
    ]


def is_unread(path: PurePosixPath) -> bool:
    """Tell whether a file's suffix is that of a picture that limner does not read."""
    return path.suffix.lower() in UNREAD
