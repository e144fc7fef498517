"""What survives a process: the event log, the checkpoint's topic, the output topics, commits and Redis.

A world is copied at every effect that changes it: each copy is what a crash at that moment leaves behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.oracle_records import Record
from shared.contracts.context import Crash, Quarantine
from shared.contracts.events import tick_record
from tests.faults.sim.oracle_state import SimBatch
from tests.support.log import DAY, HOUR, batch_of

Payload = tuple[int, int, bytes]
"""Generation, offset and health of one account in Redis."""


class EventLogs:
    """The event log of each partition of one case. What is appended while it runs is numbered by what it is."""

    def __init__(self, records: Sequence[Sequence[Record]]) -> None:
        self.records: dict[int, Record] = {}
        self._uids: dict[tuple[int, Record], int] = {}
        self._batches: dict[tuple[int, ...], SimBatch] = {}
        self.first: tuple[tuple[int, ...], ...] = tuple(
            tuple(self.uid(partition, record) for record in mine) for partition, mine in enumerate(records)
        )

    def uid(self, partition: int, record: Record) -> int:
        """Return the number of a record at its place."""
        uid = self._uids.setdefault((partition, record), len(self._uids))
        self.records[uid] = record
        return uid

    def batch(self, uids: tuple[int, ...], *, partition: int) -> SimBatch:
        """Return records as one poll hands them over."""
        batch = self._batches.get(uids)
        if batch is None:
            records = [self.records[uid] for uid in uids]
            plain = batch_of(records, partition=partition, generation=1)
            columns = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
            batch = self._batches[uids] = SimBatch(**columns, records=records, uids=uids)
        return batch


@dataclass(slots=True, kw_only=True)
class World:
    """Everything durable; lists are by partition."""

    logs: EventLogs
    events: list[tuple[int, ...]]
    begins: list[int]
    activity: list[list[bytes]]
    activity_start: list[int]
    published: set[tuple[str, bytes]] = field(default_factory=set)
    dead: set[tuple[int, int, str]] = field(default_factory=set)
    commits: list[int]
    owners: list[int]
    redis: dict[str, Payload] = field(default_factory=dict)
    filled: dict[int, int] = field(default_factory=dict)
    filling: dict[int, str] = field(default_factory=dict)
    told: list[Crash | Quarantine] = field(default_factory=list)
    """What processes wrote into the context topic."""
    faults: list[str] = field(default_factory=list)
    """What was seen to go wrong on the way."""

    @classmethod
    def new(cls, logs: EventLogs) -> "World":
        """Return the world before the first process."""
        count = len(logs.first)
        return cls(
            logs=logs,
            events=list(logs.first),
            begins=[0] * count,
            activity=[[] for _ in range(count)],
            activity_start=[0] * count,
            commits=[0] * count,
            owners=[0] * count,
        )

    def copy(self) -> "World":
        """Return what a crash now leaves behind."""
        return World(
            logs=self.logs,
            events=self.events.copy(),
            begins=self.begins.copy(),
            activity=[records.copy() for records in self.activity],
            activity_start=self.activity_start.copy(),
            published=self.published.copy(),
            dead=self.dead.copy(),
            commits=self.commits.copy(),
            owners=self.owners.copy(),
            redis=self.redis.copy(),
            filled=self.filled.copy(),
            filling=self.filling.copy(),
            told=self.told.copy(),
            faults=self.faults.copy(),
        )

    def key(self) -> int:
        """Return a number that tells worlds apart by what a later process can see or a check looks at."""
        return hash(
            (
                tuple(self.events),
                tuple(self.begins),
                tuple(map(tuple, self.activity)),
                tuple(self.activity_start),
                frozenset(self.published),
                frozenset(self.dead),
                tuple(self.commits),
                frozenset(self.redis.items()),
                frozenset(self.filled),
                tuple((type(entry), getattr(entry, "offset", None)) for entry in self.told),
                len(self.faults),
            )
        )

    def lose_redis(self) -> None:
        """Empty Redis."""
        for held in (self.redis, self.filled, self.filling):
            held.clear()

    def append_event(self, partition: int, record: Record) -> None:
        """Append to the event log; the record gets its offset."""
        at = Record(
            offset=len(self.events[partition]),
            ts=record.ts,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )
        self.events[partition] = (*self.events[partition], self.logs.uid(partition, at))

    def append_tick(self, partition: int) -> None:
        """Append a tick an hour after the last record, as the owner's ticker does when events wait for one."""
        last = max(self.logs.records[uid].ts for uid in self.events[partition])
        at = last + DAY + HOUR
        self.append_event(partition, Record(offset=-1, ts=at, value=tick_record(at, context=0)))

    def trim(self, partition: int, before: int) -> None:
        """Delete what lies before an offset of the checkpoint's topic."""
        start = self.activity_start[partition]
        if before > start:
            del self.activity[partition][: before - start]
            self.activity_start[partition] = before

    def activity_end(self, partition: int) -> int:
        return self.activity_start[partition] + len(self.activity[partition])
