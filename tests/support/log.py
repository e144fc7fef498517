"""Make logs with their own time, and run them through the columnar core and through the oracle alike."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
import numpy as np

from lab import oracle
from lab.oracle_records import Record
from services.scorer.core.batch import Batch
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.compile import compile_bundle
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.step import Outputs, step
from shared.contracts.context import Guard, Import, Quarantine, Summary
from shared.contracts.events import source_of, tick_record, type_of, wire_time
from shared.contracts.health import AccountHealth
from shared.contracts.partition import partition_of
from shared.contracts.risk import Transition
from shared.contracts.topics import EVENTS

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)
"""A Monday."""
SEED = 7
FATES = {"applied": "applied", "duplicate": "duplicate", "moved": "moved", "tick": "ticks"}


class Log:
    """Records of one log before they are put into partitions; offsets are row numbers.

    No dataclass, so that hypothesis prints how a log was drawn and not its thousands of records.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.accounts: list[str | None] = []
        """Whose each record is; None for ticks and what can't be read: those go to every partition."""
        self.contexts: dict[int, oracle.Entry] = {}
        """The entries of the context topic that ticks name."""

    def __repr__(self) -> str:
        return f"a log of {len(self.records)} records"

    def copy(self) -> "Log":
        log = Log()
        log.records, log.accounts = list(self.records), list(self.accounts)
        log.contexts = dict(self.contexts)
        return log

    def append(self, value: bytes | None, *, ts: int, account: str | None = None, moved: bool = False) -> None:
        headers = (("moved", b"1"),) if moved else ()
        key = account.encode() if account is not None else None
        self.records.append(Record(offset=len(self.records), ts=ts, key=key, value=value, headers=headers))
        self.accounts.append(account)

    def event(
        self,
        account: str,
        kind: str,
        *,
        at: int,
        data: Mapping[str, object] | None = None,
        id: str | None = None,  # noqa: A002  the envelope's own word
        ts: int | None = None,
        source: str = "app",
        moved: bool = False,
        imported: tuple[object, object] | None = None,
    ) -> None:
        """Append an event that occurred at `at`, received at `ts` (at once unless said); ids are row numbers.

        `imported` is job and row of a history.
        """
        envelope: dict[str, object] = {
            "specversion": "1.0",
            "id": f"e{len(self.records)}" if id is None else id,
            "source": source_of(source),
            "type": type_of(kind),
            "subject": account,
            "time": wire_time(at),
            "data": data or {},
        }
        if imported is not None:
            envelope |= {"importjob": imported[0], "importrow": imported[1]}
        self.append(msgspec.json.encode(envelope), ts=at if ts is None else ts, account=account, moved=moved)

    def tick(self, at: int, *, context: int = 0, ts: int | None = None) -> None:
        """Append a tick: it is now `at`."""
        self.append(tick_record(at, context=context), ts=at if ts is None else ts)

    def partition(self, number: int, *, partitions: int) -> list[Record]:
        """Return what one of `partitions` holds: the events of its accounts, and every tick."""
        rows = zip(self.records, self.accounts, strict=True)
        mine = [r for r, a in rows if a is None or partition_of(a.encode(), partitions=partitions) == number]
        return [replace(record, offset=offset) for offset, record in enumerate(mine)]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a log became, in an order and form in which two runs of the same log must be equal."""

    counts: dict[str, int]
    dead: list[tuple[int, str]]
    moved: list[int]
    healths: list[AccountHealth]
    scores: list[AccountHealth]
    transitions: list[Transition]
    facts: list[tuple[int, bytes, bytes | None]]
    """Offset, key and value of what was published again."""
    removed: list[tuple[int, str]]
    """Offset of the tick and account of what was taken out of Redis with nothing in its place."""

    def of(self, account: str) -> tuple[list[object], ...]:
        """Return what was said of one account, wherever its partition lies."""
        return tuple(
            [_anywhere(row) for row in rows if row.account == account]
            for rows in (self.healths, self.scores, self.transitions)
        )

    def without_offsets(self) -> tuple[list[object], ...]:
        """Return everything said of all accounts but its place in the log."""
        return tuple([_anywhere(row) for row in rows] for rows in (self.healths, self.scores, self.transitions))


def by_oracle(
    records: Sequence[Record], contexts: oracle.Contexts, *, partition: int = 0, partitions: int = 1
) -> Outcome:
    """Run the records of one partition through the oracle."""
    result = oracle.run(records, partition=partition, partitions=partitions, contexts=contexts)
    fates = [(record.offset, fate) for record, fate in zip(records, result.fates, strict=True)]
    value = {record.offset: record.value for record in records}
    healths = [health for evaluation in result.evaluations for health in evaluation.healths.values()]
    return Outcome(
        counts=dict(Counter(FATES.get(fate, "dead") for _, fate in fates)),
        dead=[(offset, fate) for offset, fate in fates if fate not in FATES],
        moved=[offset for offset, fate in fates if fate == "moved"],
        healths=sorted(healths, key=_place),
        scores=sorted(result.scores, key=_place),
        transitions=sorted(result.transitions, key=_place),
        facts=[(offset, key.encode(), value[offset]) for offset, key in result.facts],
        removed=sorted((e.offset, account) for e in result.evaluations for account in e.erased - e.healths.keys()),
    )


def by_columns(
    records: Sequence[Record],
    contexts: oracle.Contexts,
    *,
    partition: int = 0,
    partitions: int = 1,
    cuts: Iterable[int] = (),
) -> Outcome:
    """Run the records of one partition through the columnar core, in batches that end before the rows `cuts`."""
    state = Partition.empty(partition=partition, partitions=partitions, seed=SEED)
    known_at = Configurations(contexts)
    steps = [(batch, step(state, batch, known_at=known_at)) for batch in batches(records, partition, cuts=cuts)]
    return outcome_of(state, steps)


def outcome_of(state: Partition, steps: Sequence[tuple[Batch, Outputs]]) -> Outcome:
    """Return what the core said of the batches given to it."""
    outputs = [out for _, out in steps]
    healths = [
        msgspec.json.decode(row.payload, type=AccountHealth) for out in outputs for row in out.healths if row.payload
    ]
    scores = [msgspec.json.decode(record.value, type=AccountHealth) for out in outputs for record in out.scores]
    transitions = [msgspec.json.decode(record.value, type=Transition) for out in outputs for record in out.transitions]
    return Outcome(
        counts={fate: n for fate, n in state.counts.items() if n},
        dead=[(dead.offset, str(dead.reason)) for out in outputs for dead in out.dead],
        moved=[int(batch.offsets[moved.row]) for batch, out in steps for moved in out.moved],
        healths=sorted(healths, key=_place),
        scores=sorted(scores, key=_place),
        transitions=sorted(transitions, key=_place),
        removed=sorted((row.offset, row.account) for out in outputs for row in out.healths if not row.payload),
        facts=[(fact.offset, fact.key, batch.value(fact.row)) for batch, out in steps for fact in out.facts],
    )


class Configurations:
    """What is known at an offset of the context topic; bundles are compiled once."""

    def __init__(self, contexts: oracle.Contexts) -> None:
        self._entries = [(offset, _compiled(entry)) for offset, entry in sorted(contexts.items())]

    def __call__(self, context: int, partition: int) -> Known:
        entries = [entry for offset, entry in self._entries if offset <= context]
        bundles = [entry for entry in entries if isinstance(entry, CompiledBundle)]
        return Known(
            bundle=bundles[-1] if bundles else None,
            imports={entry.job: entry for entry in entries if isinstance(entry, Import)},
            guards={
                entry.key: entry for entry in entries if isinstance(entry, Guard) and partition in entry.partitions
            },
            summaries={entry.partition: entry for entry in entries if isinstance(entry, Summary)},
        )


def _compiled(entry: oracle.Entry) -> CompiledBundle | Import | Guard | Quarantine | Summary:
    if isinstance(entry, oracle.Bundle):
        return compile_bundle(entry.version, _config(entry))
    return entry


def _config(bundle: oracle.Bundle) -> dict[str, object]:
    config: dict[str, object] = {"scorecard": bundle.scorecard, "rules": bundle.rules}
    others = {"journey": bundle.journey, "calendars": bundle.calendars}
    return config | {name: told for name, told in others.items() if told is not None}


def batches(
    records: Sequence[Record], partition: int, *, cuts: Iterable[int] = (), generation: int = 0
) -> Iterator[Batch]:
    """Yield the records in batches, a new one at each row of `cuts`."""
    ends = sorted({cut for cut in cuts if 0 < cut < len(records)} | {len(records)})
    for start, end in zip([0, *ends], ends, strict=False):
        yield batch_of(records[start:end], partition=partition, generation=generation)


def batch_of(records: Sequence[Record], *, partition: int, generation: int = 0) -> Batch:
    """Return records as columns over one buffer."""
    parts = [part for record in records for part in (record.key, record.value)]
    lengths = np.array([-1 if part is None else len(part) for part in parts], np.int64)
    ends = np.cumsum(np.maximum(lengths, 0))
    starts = ends - np.maximum(lengths, 0)
    return Batch(
        topic=EVENTS,
        partition=partition,
        generation=generation,
        data=b"".join(part or b"" for part in parts),
        offsets=np.array([record.offset for record in records], np.int64),
        timestamps=np.array([record.ts for record in records], np.int64),
        key_start=starts[0::2].copy(),
        key_length=lengths[0::2].copy(),
        value_start=starts[1::2].copy(),
        value_length=lengths[1::2].copy(),
        headers={row: record.headers for row, record in enumerate(records) if record.headers},
    )


def _place(row: AccountHealth | Transition) -> tuple[int, str]:
    return row.offset, row.account


def _anywhere(row: AccountHealth | Transition) -> object:
    return msgspec.structs.replace(row, offset=0, partition=0)
