import errno

import pytest

from limner.core.errors import WriteError
from limner.storage.disk_problems import disk_problem, write_errors_for


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on the disk"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
        # As safetensors says it, since 0.5 and before.
        (RuntimeError("I/O error: No space left on device (os error 28)"), "no space left on the disk"),
        (
            RuntimeError("IoError(Os { code: 28, kind: StorageFull })"),
            "no space left on the disk",
        ),
        (RuntimeError("I/O error: Permission denied (os error 13)"), "Permission denied"),
    ],
)
def test_what_disks_and_libraries_say(error, said):
    assert said in disk_problem(error)


def test_other_errors_are_none():
    assert disk_problem(ValueError("os is fine")) is None


def test_the_file_that_failed_first_is_the_one_named(tmp_path):
    with (
        pytest.raises(WriteError, match="inner"),
        write_errors_for(tmp_path / "outer"),
        write_errors_for(tmp_path / "inner"),
    ):
        raise OSError(errno.EIO, "Input/output error")
