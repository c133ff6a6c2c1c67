"""metrics.csv: one row per value, in the order of steps, identical after a resume."""

import csv
import os
from collections.abc import Mapping
from io import StringIO

from limner.core.run_folder import RunFolder
from limner.core.watchers import Moment, Watcher
from limner.storage.disk_problems import write_errors_for
from limner.storage.whole_files import write_whole
from limner.training.disk_refusals import stopping_training

HEADER = ("step", "seconds", "name", "value")


class MetricsFile(Watcher):
    """Appends every logged value to the run's metrics.csv.

    At the start of a resumed run, rows after its checkpoint and an incomplete last line are removed, so that
    each step is in the file once.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Keep the rows up to the checkpoint's step, and open the file to append."""
        path = self._run.metrics
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() and moment.step else ""
        with stopping_training(self._run):
            write_whole(path, _rows_until(text, moment.step), durable=True)
            with write_errors_for(path):
                self._file = path.open("a", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Append one row per value, and flush."""
        with stopping_training(self._run), write_errors_for(self._run.metrics):
            self._rows.writerows(
                (step, f"{seconds:.3f}", name, repr(value)) for name, value in values.items()
            )
            self._file.flush()

    def flush(self) -> None:
        """Sync the rows to disk, so that they survive a power cut."""
        with stopping_training(self._run), write_errors_for(self._run.metrics):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, if it was opened."""
        if hasattr(self, "_file"):
            self._file.close()


def _rows_until(text: str, step: int) -> str:
    text_until = StringIO()
    rows = csv.writer(text_until, lineterminator="\n")
    rows.writerow(HEADER)
    whole_lines = text[: text.rfind("\n") + 1]
    for row in csv.reader(StringIO(whole_lines.replace("\0", ""))):  # zeros are what a power cut leaves
        if len(row) == len(HEADER) and row[0].isdigit() and int(row[0]) <= step:
            rows.writerow(row)
    return text_until.getvalue()
