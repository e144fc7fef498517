"""The oracle core's values: a partition's state as an immutable node, and what a record makes of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec

from lab import oracle
from lab.oracle_records import Record
from services.scorer.core.absence import Absence
from services.scorer.core.batch import Batch
from services.scorer.core.publish import HealthRow
from services.scorer.core.publish import Record as Published
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition

Identity = tuple[str, str]
Ids = Mapping[Identity, tuple[int, int]]
"""First offset and arrival hour of each id applied, by source and id."""
NEVER = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class SimBatch(Batch):
    """A batch that also names its records, for a core that reads them one by one; `uids` tell records apart."""

    records: Sequence[Record]
    uids: Sequence[int]

    def head(self, rows: int) -> "SimBatch":
        """Return the first rows, of the records as well."""
        cut = Batch.head(self, rows)
        assert isinstance(cut, SimBatch)
        return replace(cut, records=self.records[:rows], uids=self.uids[:rows])


class Account(NamedTuple):
    """An account's value by number, and the last offset it contains while a replay is behind that (else −1)."""

    name: str
    value: int
    upto: int = NEVER


class Whole(NamedTuple):
    """What belongs to the partition as a whole."""

    clock: int | None
    arrival: int
    version: str | None
    rows: tuple[tuple[str, int], ...]
    heard: tuple[tuple[str, int], ...]
    guarded: frozenset[str]
    pending: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """One value of a partition's whole state, and the steps known from it."""

    whole: Whole
    seen: Ids
    accounts: tuple[Account, ...]
    steps: dict[int, "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where one record leads, and what it publishes."""

    after: Node
    fate: str
    reason: str | None = None
    healths: tuple[HealthRow, ...] = ()
    scores: tuple[Published, ...] = ()
    transitions: tuple[Published, ...] = ()
    fact: bytes | None = None
    """Key under which the event is published again."""
    moved_to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What is remembered of an account, and its health as last published."""

    account: oracle.Account
    row: HealthRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a tick made of one account."""

    value: int
    row: HealthRow | None
    scores: tuple[Published, ...]
    transitions: tuple[Published, ...]


class OracleState:
    """The state of a partition: a value, where it stands in the log, and the fates so far."""

    __slots__ = ("counts", "node", "partition", "position")

    lapsed = 0
    running: tuple[tuple[str, int], ...] = ()
    next_due: int | None = None
    horizon_hours = 24

    def __init__(self, partition: int, node: Node, *, position: int, counts: Counter[str]) -> None:
        self.partition = partition
        self.node = node
        self.position = position
        self.counts = counts

    def __deepcopy__(self, _memo: object) -> "OracleState":
        """Return a state that goes its own way; the node stays as it is."""
        return OracleState(self.partition, self.node, position=self.position, counts=self.counts.copy())

    @property
    def clock(self) -> int | None:
        return self.node.whole.clock

    @property
    def pending(self) -> bool:
        return self.node.whole.pending

    @property
    def accounts(self) -> int:
        return len(self.node.accounts)

    @property
    def is_replaying(self) -> bool:
        return any(account.upto >= self.position for account in self.node.accounts)

    def fed_by(self, source: str) -> int:  # noqa: ARG002  guards are told by nobody here
        return 0

    def lasts(self) -> Mapping[str, int]:
        return {}

    def absence(self, source: str, *, ends: Mapping[str, int], until: int, most: int) -> Absence:  # noqa: ARG002
        return Absence()

    def ids(self) -> object:
        return self.node.seen

    def account(self, number: int) -> object:
        return self.node.accounts[number]

    def whole(self) -> object:
        return self.node.whole


def settled(accounts: tuple[Account, ...], offset: int) -> tuple[Account, ...]:
    """Take the fence off accounts that contain nothing beyond an offset."""
    if all(account.upto == NEVER or account.upto > offset for account in accounts):
        return accounts
    return tuple(a if a.upto > offset else Account(a.name, a.value) for a in accounts)


def replaced(accounts: tuple[Account, ...], account: Account) -> tuple[Account, ...]:
    """Return the accounts with one set to another value, or added at the end."""
    if all(one.name != account.name for one in accounts):
        return (*accounts, account)
    return tuple(account if one.name == account.name else one for one in accounts)


def whole_of(log: oracle.Log, *, pending: bool) -> Whole:
    """Return what a log says of the partition as a whole."""
    return Whole(
        log.clock,
        log.arrival,
        log.bundle.version if log.bundle else None,
        tuple(sorted(log.rows.items())),
        tuple(sorted(log.heard.items())),
        frozenset(log.guarded),
        pending=pending,
    )


def row_of(health: AccountHealth) -> HealthRow:
    """Return health as it goes to Redis."""
    told = health.attributes
    listed = (told.owner, told.segment, told.arr, told.name, told.parent)
    payload = msgspec.json.encode(health)
    return HealthRow(health.account, payload, health.health, health.band.value, health.at, *listed, health.offset)


def published(row: AccountHealth | Transition) -> Published:
    """Return a score or transition as it goes to Kafka."""
    return Published(row.account.encode(), msgspec.json.encode(row), row.at)
