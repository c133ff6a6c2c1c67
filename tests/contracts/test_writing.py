"""Files are written by storage/ alone, so that each is whole or absent, and a full disk is said clearly."""

import re
from pathlib import Path

import limner

SOURCE = Path(limner.__file__).parent

WRITES = re.compile(
    r"""\.open\(\s*["'][wxa+]|\bopen\((?!file\b)[^)]*,\s*["'][wxa]|\.write_(text|bytes)\(|\bmkstemp\(|NamedTemporaryFile\("""
    r"""|\bnp\.savez?(_compressed)?\((?!file\b)|\bsave_file\(|\bimwrite\(|\btorch\.save\("""
)

ELSEWHERE = {
    "training/metrics_file.py": "a log that is read while it grows; its errors are named by storage/",
    "training/checkpoints.py": "safetensors writes into a file that is written aside",
    "weights/bundle.py": "files of a folder that is written aside",
    "weights/torch_files.py": "advises how to save tensors, and writes nothing",
    "serving/uploads.py": "an uploaded file in a temporary folder of its own, which goes with the request",
    "serving/corrections.py": "a mask that is written aside, and put in place after its image",
    "exporting/export_model.py": "files of a folder that is written aside",
    "devices/memory.py": "a switch of the Linux kernel, which is no file on disk",
}


def test_nobody_else_writes_files():
    writing = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if path.parent.name != "storage" and WRITES.search(path.read_text("utf-8"))
    }
    assert writing == ELSEWHERE.keys()
