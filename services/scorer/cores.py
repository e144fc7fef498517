"""Name what the effect loop needs of a core, and bind the columnar one to it.

The loop knows no rule of scoring: it carries a state through a core, and effects outside. The simulator puts the naive
oracle in the core's place.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from services.scorer.core import chunks, pack, step
from services.scorer.core.absence import Absence
from services.scorer.core.batch import Batch
from services.scorer.core.known import KnownAt
from services.scorer.core.partition import Partition
from services.scorer.core.publish import HealthRow
from services.scorer.core.restore import restore
from services.scorer.core.step import Outputs


class State(Protocol):
    """What is remembered of a partition: a function of its log before `position`."""

    partition: int
    position: int
    counts: Counter[str]
    running: tuple[tuple[str, int], ...]
    lapsed: int
    clock: int | None
    next_due: int | None
    pending: bool

    @property
    def accounts(self) -> int: ...

    @property
    def is_replaying(self) -> bool: ...

    @property
    def horizon_hours(self) -> int: ...

    def fed_by(self, source: str) -> int: ...

    def lasts(self) -> Mapping[str, int]: ...

    def absence(self, source: str, *, ends: Mapping[str, int], until: int, most: int) -> Absence: ...


S = TypeVar("S", bound=State)
S_contra = TypeVar("S_contra", bound=State, contravariant=True)


class Cycle(Protocol[S_contra]):
    """One pass of the rolling checkpoint over a state: chunks until there are none, then the marker."""

    def next(self, state: S_contra, /) -> Sequence[bytes] | None: ...

    def marker(self, *, first_record: int, previous: int, mirrored: bool = False) -> bytes: ...


class Marker(Protocol):
    """What closes a cycle: where its records begin in the topic, where its state stands in the log.

    `mirrored` says that Redis had all of its healths then.
    """

    @property
    def first_record(self) -> int: ...

    @property
    def base(self) -> int: ...

    @property
    def mirrored(self) -> bool: ...


class Core(Protocol[S]):
    """The decisions: all pure, nothing here waits."""

    def empty(self, partition: int) -> S:
        """Return the state before the first record."""

    def step(self, state: S, batch: Batch, *, known_at: KnownAt) -> Outputs:
        """Apply a batch and return what it leads to."""

    def step_in_slices(self, state: S, batch: Batch, *, known_at: KnownAt) -> Generator[None, None, Outputs]:
        """Do the same with pauses, in which the state is neither the one before nor the one after."""

    def last_healths(self, state: S) -> Iterator[list[HealthRow]]:
        """Yield every account's health as last published."""

    def begin(self, state: S, *, writer: str) -> Cycle[S]:
        """Begin a checkpoint cycle at the state's position."""

    def marker_of(self, record: bytes) -> Marker | None:
        """Return the marker that a record of the checkpoint is, None for any other."""

    def base_of(self, record: bytes) -> int | None:
        """Return the base of the cycle that a record of the checkpoint belongs to."""

    def restore(self, records: Iterable[bytes], *, partition: int) -> S | None:
        """Return the state of the complete cycle with the highest base among records, None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columnar:
    """The core of `services/scorer/core/`; `seed` keys its hashes."""

    partitions: int
    seed: int
    generation: int = 1

    def empty(self, partition: int) -> Partition:
        return Partition.empty(
            partition=partition, partitions=self.partitions, seed=self.seed, generation=self.generation
        )

    def step(self, state: Partition, batch: Batch, *, known_at: KnownAt) -> Outputs:
        return step.step(state, batch, known_at=known_at)

    def step_in_slices(self, state: Partition, batch: Batch, *, known_at: KnownAt) -> Generator[None, None, Outputs]:
        return step.step_in_slices(state, batch, known_at=known_at)

    def last_healths(self, state: Partition) -> Iterator[list[HealthRow]]:
        return step.last_healths(state)

    def begin(self, state: Partition, *, writer: str) -> pack.Cycle:
        return pack.begin(state, writer=writer)

    def marker_of(self, record: bytes) -> chunks.Marker | None:
        return chunks.read_marker(record) if chunks.kind_of(record) == "marker" else None

    def base_of(self, record: bytes) -> int | None:
        return chunks.base_of(record)

    def restore(self, records: Iterable[bytes], *, partition: int) -> Partition | None:
        return restore(records, partition=partition, partitions=self.partitions, seed=self.seed)
