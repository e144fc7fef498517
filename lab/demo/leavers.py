"""Say of the simulated customers who left whom an alert would have named before, and how early: a replay of history.

The history is folded by the scorer's own core, with a tick at the end of every day. Simulated customers, a replay: no
more is claimed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec
import numpy as np

from lab.demo.row import Row
from lab.demo.vendor import Account, Fate, Past
from services.scorer.core.batch import Batch
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import DAY
from services.scorer.core.known import Known
from services.scorer.core.step import Partition, step
from shared.contracts.events import source_of, tick_record, type_of, wire_time
from shared.contracts.risk import ENDS, Change, Transition
from shared.contracts.topics import EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Leavers:
    """Of `left` customers `named` had an open alert when they left, the median one for `days` (None: none had).

    `showed` of them had changed before, by the truth: the others left out of the blue.
    """

    left: int
    showed: int
    named: int
    days: float | None


def leavers_of(past: Past, *, bundle: CompiledBundle) -> Leavers:
    """Replay a past and compare it with the truth."""
    transitions = list(replayed(past.rows, bundle=bundle))
    leavers = [account for account in past.accounts.values() if account.left_at is not None]
    leads = [lead for account in leavers if (lead := _lead(account, transitions)) is not None]
    showed = sum(account.fate is not Fate.HEALTHY for account in leavers)
    days = round(median(leads) / DAY, 1) if leads else None
    return Leavers(left=len(leavers), showed=showed, named=len(leads), days=days)


def replayed(rows: Sequence[Row], *, bundle: CompiledBundle) -> Iterator[Transition]:
    """Yield the transitions of rows in time order, judged at the end of every day."""
    state = Partition.empty(partition=0, partitions=1, seed=0)
    known = Known(bundle=bundle)
    days = np.array([row.at // DAY for row in rows])
    for day in range(int(days[0]), int(days[-1]) + 1):
        start, end = np.searchsorted(days, [day, day + 1]).tolist()
        batch = _batch(rows[start:end], first=state.position, tick=(day + 1) * DAY)
        for record in step(state, batch, known_at=lambda _offset, _partition: known).transitions:
            yield msgspec.json.decode(record.value, type=Transition)


def _lead(account: Account, transitions: Sequence[Transition]) -> int | None:
    """Return for how long (ms) an alert was open when the account left; None if none was."""
    left = account.left_at or 0
    opened: dict[str, int] = {}
    for transition in transitions:
        if transition.account == account.account and transition.at <= left:
            if transition.change is Change.OPENED:
                opened[transition.episode] = transition.at
            elif transition.change in ENDS:
                opened.pop(transition.episode, None)
    return left - min(opened.values()) if opened else None


def _batch(rows: Sequence[Row], *, first: int, tick: int) -> Batch:
    values = [_encoded(row, number) for number, row in enumerate(rows, start=first)]
    values.append(tick_record(tick, context=0))
    lengths = np.array([len(value) for value in values], np.int64)
    nothing = np.full(len(values), -1, np.int64)
    return Batch(
        topic=EVENTS,
        partition=0,
        generation=0,
        data=b"".join(values),
        offsets=np.arange(first, first + len(values), dtype=np.int64),
        timestamps=np.array([*(row.at for row in rows), tick], np.int64),
        key_start=nothing,
        key_length=nothing,
        value_start=np.cumsum(lengths) - lengths,
        value_length=lengths,
    )


def _encoded(row: Row, number: int) -> bytes:
    data = {"user": row.user, "name": row.name, **(row.data or {})}
    event = {
        "specversion": "1.0",
        "id": str(number),
        "source": source_of(row.source or "crm"),
        "type": type_of(row.kind),
        "subject": row.account,
        "time": wire_time(row.at),
        "data": {name: value for name, value in data.items() if value is not None},
    }
    return msgspec.json.encode(event)
