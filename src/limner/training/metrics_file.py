"""metrics.csv: one row a value, in the order of the steps, the same after a resume as without one."""

import csv
import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from limner.core.errors import TrainingError, describe
from limner.core.watchers import Moment, Watcher
from limner.storage.durable_files import disk_problem, write_text_durably

HEADER = ("step", "seconds", "name", "value")


class MetricsFile(Watcher):
    """Appends every logged value to the run's metrics.csv.

    At the start, rows that were written after the checkpoint the run goes on from are removed, and so is
    a last line that a kill cut short: each step stands in the file once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Keep the rows up to the checkpoint's step, and go on after them."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() and moment.step else ""
        write_text_durably(self._path, _rows_until(text, moment.step))
        self._file = self._path.open("a", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Append one row a value, and hand them to the system at once."""
        try:
            self._rows.writerows(
                (step, f"{seconds:.3f}", name, repr(value)) for name, value in values.items()
            )
            self._file.flush()
        except OSError as error:
            raise TrainingError(
                describe(
                    "Training stopped because its log could not be written",
                    where=self._path,
                    found=disk_problem(error) or str(error),
                    fix="Free some space, then go on with: limner train --resume "
                    f"{self._path.parent}. The last checkpoint is intact.",
                )
            ) from error

    def flush(self) -> None:
        """Make the rows survive a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, if it was opened."""
        if hasattr(self, "_file"):
            self._file.close()


def _rows_until(text: str, step: int) -> str:
    kept = StringIO()
    rows = csv.writer(kept, lineterminator="\n")
    rows.writerow(HEADER)
    whole_lines = text[: text.rfind("\n") + 1]
    for row in csv.reader(StringIO(whole_lines)):
        if len(row) == len(HEADER) and row[0].isdigit() and int(row[0]) <= step:
            rows.writerow(row)
    return kept.getvalue()
