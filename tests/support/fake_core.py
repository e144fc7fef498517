"""Ten lines of core: every record becomes an output, a record `dead` a dead letter, and nothing is forgotten."""

from collections.abc import Callable, Generator, Iterator
from typing import Any, cast

import numpy as np

from services.scorer.core import pack
from services.scorer.core.batch import Batch
from services.scorer.core.decode import Reason
from services.scorer.core.fates import Dead
from services.scorer.core.partition import Partition
from services.scorer.core.publish import HealthRow, Record
from services.scorer.core.step import Judged, Outputs
from services.scorer.cores import Columnar


class FakeCore:
    """A core whose step is `step`; cycles and empty states are the columnar core's."""

    def __init__(self) -> None:
        self.step: Callable[..., Outputs] = fake_step
        self.pauses = 1
        self._columnar = Columnar(partitions=1, seed=0)

    def step_in_slices(self, state: Partition, given: Batch, **known: Any) -> Generator[None, None, Outputs]:
        outputs = self.step(state, given, **known)
        for _ in range(self.pauses):
            yield
        return outputs

    def empty(self, partition: int) -> Partition:
        return self._columnar.empty(partition)

    def begin(self, state: Partition, *, writer: str) -> pack.Cycle:
        return self._columnar.begin(state, writer=writer)

    def last_healths(self, _state: Partition) -> Iterator[list[HealthRow]]:
        return iter(())


def fake_step(state: Partition, batch: Batch, *, known_at: Callable[[int, int], Any]) -> Outputs:  # noqa: ARG001
    """Take the state past a batch; the health of an account is the offset of its last record, `tick` a tick."""
    outputs = Outputs(fates=np.zeros(len(batch), np.int8))
    for row, offset in enumerate(batch.offsets.tolist()):
        account, value = (batch.key(row) or b"").decode(), batch.value(row) or b""
        if value == b"tick":
            outputs.judged = Judged(offset, offset)
        if value == b"dead":
            outputs.dead.append(Dead(offset, Reason.BAD_JSON, "as told", row))
        outputs.scores.append(Record(account.encode(), value, offset))
        outputs.healths.append(HealthRow(account, value, offset, "watch", offset, None, None, None, None, None, offset))
        state.counts["applied"] += 1
    state.position = int(batch.offsets[-1]) + 1
    return outputs


def batch(first: int, *values: bytes, partition: int = 0) -> Batch:
    """Return a batch of values from an offset on, each with the key `a`."""
    n = len(values)
    lengths = np.array([len(value) for value in values], np.int64)
    starts = 1 + np.cumsum(lengths) - lengths
    return Batch(
        topic="events",
        partition=partition,
        generation=1,
        data=b"a" + b"".join(values),
        offsets=np.arange(first, first + n),
        timestamps=np.arange(first, first + n),
        key_start=np.zeros(n, np.int64),
        key_length=np.ones(n, np.int64),
        value_start=starts,
        value_length=lengths,
    )


def as_any(value: object) -> Any:
    """Hand a fake over where the real class is named."""
    return cast("Any", value)
