"""Hand lines of the event log to the core without Kafka."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.scorer.core.batch import Batch
from shared.contracts.topics import EVENTS


def batch_of_lines(lines: Sequence[bytes | None], *, first: int, times: npt.NDArray[np.int64]) -> Batch:
    """Return lines as one batch from the offset `first` on, received at `times` (epoch ms), without keys."""
    lengths = np.array([-1 if line is None else len(line) for line in lines], np.int64)
    ends = np.cumsum(np.maximum(lengths, 0))
    nothing = np.full(len(lines), -1, np.int64)
    return Batch(
        topic=EVENTS,
        partition=0,
        generation=0,
        data=b"".join(line or b"" for line in lines),
        offsets=np.arange(first, first + len(lines), dtype=np.int64),
        timestamps=times,
        key_start=nothing,
        key_length=nothing,
        value_start=ends - np.maximum(lengths, 0),
        value_length=lengths,
    )
