"""Remember how far each import came in a partition: its rows take the place of ids (docs/scoring.md §1, §2)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.table import Ints
from shared.contracts.context import Import, ImportState

PATIENCE_MS: Final = 600_000
"""An import of which nothing is heard for so long is over, whatever its last entry says."""
NO_JOB: Final = -1
_NEVER: Final = -1


class Imports:
    """Jobs by number, with the greatest row applied of each and when the last one arrived (epoch ms)."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.rows: list[int] = []
        self.heard: list[int] = []
        self._numbers: dict[str, int] = {}

    def number(self, job: str) -> int:
        """Return the number of a job, a new one if need be."""
        if job not in self._numbers:
            self._numbers[job] = len(self.names)
            self.names.append(job)
            self.rows.append(_NEVER)
            self.heard.append(_NEVER)
        return self._numbers[job]

    def take(self, jobs: Sequence[str], *, rows: Ints, timestamps: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Return the number of each row's job and whether it came before; remember the others as applied."""
        numbers = np.array([self.number(job) for job in jobs], np.int64)
        repeats = np.zeros(len(rows), bool)
        for number in np.unique(numbers).tolist():
            where = np.flatnonzero(numbers == number)
            greatest = np.maximum.accumulate(np.append(self.rows[number], rows[where]))
            repeats[where] = rows[where] <= greatest[:-1]
            self.rows[number] = int(greatest[-1])
            fresh = where[~repeats[where]]
            self.heard[number] = max(self.heard[number], int(timestamps[fresh].max(initial=_NEVER)))
        return numbers, repeats

    def running(self, known: Mapping[str, Import], *, at: int) -> npt.NDArray[np.bool_]:
        """Say of each job whether it runs at T = `at`."""
        return np.array([self._runs(known.get(job), number, at=at) for job, number in self._numbers.items()], bool)

    def said_running(self, known: Mapping[str, Import]) -> npt.NDArray[np.bool_]:
        """Say of each job whether its last entry says that it runs."""
        entries = [known.get(job) for job in self.names]
        return np.array([entry is not None and entry.state is ImportState.RUNNING for entry in entries], bool)

    def entries(self) -> list[tuple[str, int, int]]:
        """Return what a checkpoint keeps: job, greatest row, heard."""
        return list(zip(self.names, self.rows, self.heard, strict=True))

    def restore(self, entries: Iterable[tuple[str, int, int]]) -> None:
        """Take what `entries` returned."""
        for job, row, heard in entries:
            number = self.number(job)
            self.rows[number], self.heard[number] = row, heard

    def _runs(self, entry: Import | None, number: int, *, at: int) -> bool:
        if entry is None or entry.state is not ImportState.RUNNING:
            return False
        return at < max(entry.at, self.heard[number]) + PATIENCE_MS
