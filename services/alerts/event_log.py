"""Read from the event log what moved an account's measures between two ticks, within bounds.

-----[ day that left ]--------[ day that left ]-----| earlier |=== what came since ===| later |---->
        3rd                        2nd                             1st
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from services.alerts.core.moving_events import MeasureEvents, Tally, date_of
from services.alerts.core.windows import Days, days_of
from shared.contracts.health import AccountHealth
from shared.contracts.topology import Topology
from shared.key_search import KeySearch

MOST_RECORDS: Final = 5_000_000
"""Of the account's partition, everybody's included."""
MOST_S: Final = 5.0
EARLY_MS: Final = 300_000
LATE_MS: Final = 3_600_000
"""Events of a day that left a window are sought from so long before it begins until so long after it ends."""


class Cut(StrEnum):
    """Why not everything was read."""

    TIME = "time"
    RECORDS = "records"
    EVENTS = "events"
    """The account has more than are told apart."""
    EXPIRED = "expired"
    """The log does not reach back so far."""
    UNAVAILABLE = "unavailable"


class MovingEvents(msgspec.Struct, frozen=True, kw_only=True):
    """The events that moved measures. Where some are missing, `cut` says why and `unread` which days' (UTC dates).

    `records` is how many were passed over, everybody's included.
    """

    measures: list[MeasureEvents]
    cut: Cut | None
    unread: list[str]
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Two healths of an account between whose ticks something moved."""

    earlier: AccountHealth
    later: AccountHealth

    def days(self, of: Days) -> range:
        """Return the account-days from one tick to the other."""
        return range(of.of(self.earlier.at), of.of(self.later.at) + 1)


class EventLog:
    """The events of accounts, in whichever generation of the log they lie."""

    def __init__(self, search: KeySearch, *, most_records: int = MOST_RECORDS, most_s: float = MOST_S) -> None:
        self._search = search
        self._most_records = most_records
        self._most_s = most_s

    async def moving(self, between: Between, tally: Tally) -> MovingEvents:
        """Count in `tally` what entered or left its windows; what stops that is said in the answer, never raised."""
        reading = _Reading(self._search, between, tally=tally, most_records=self._most_records)
        try:
            async with asyncio.timeout(self._most_s):
                await reading.run()
        except TimeoutError:
            reading.cut = Cut.TIME
        except KafkaError as fault:
            structlog.get_logger(__name__).warning("events_unread", fault=repr(fault))
            reading.cut = Cut.UNAVAILABLE
        return MovingEvents(
            measures=tally.results(),
            cut=reading.cut,
            unread=[date_of(day) for day in sorted(reading.unread)],
            records=reading.records,
        )


class _Reading:
    """One walk over the log: what came between the ticks, then the days that left a window, the latest first."""

    def __init__(self, search: KeySearch, between: Between, *, tally: Tally, most_records: int) -> None:
        self._search = search
        self._between = between
        self._tally = tally
        self._most_records = most_records
        self._days = days_of(between.earlier.account)
        self._key = between.earlier.account.encode()
        self.unread = {*between.days(self._days), *tally.days()}
        self.records = 0
        self.cut: Cut | None = None

    async def run(self) -> None:
        """Read until everything is, or a bound is met."""
        async for tp, start, end in self._since():
            if not await self._read(tp, start=start, end=end, before=False):
                return
        if self.cut is None:
            self.unread &= {*self._tally.days()}
        for day in self._tally.days():
            if not await self._read_day(day):
                return

    async def _since(self) -> AsyncIterator[tuple[TopicPartition, int, int]]:
        """Yield the stretches between the two ticks: the log may have been cut anew in between."""
        earlier, later = self._between.earlier, self._between.later
        old, new = log_of(earlier), log_of(later)
        if old == new:
            yield old, earlier.offset + 1, later.offset
            return
        yield old, earlier.offset + 1, await self._search.end(old)
        yield new, 0, later.offset

    async def _read_day(self, day: int) -> bool:
        """Read what came of one day before the earlier tick; say whether to go on."""
        tp = log_of(self._between.earlier)
        start = await self._search.offset_at(tp, self._days.begins(day) - EARLY_MS)
        end = await self._search.offset_at(tp, self._days.begins(day + 1) + LATE_MS)
        if 0 < start == await self._search.begin(tp):
            self.cut = Cut.EXPIRED
        elif not await self._read(tp, start=start, end=min(end, self._between.earlier.offset), before=True):
            return False
        else:
            self.unread.discard(day)
        return True

    async def _read(self, tp: TopicPartition, *, start: int, end: int, before: bool) -> bool:
        """Count what lies between two offsets; say whether to go on."""
        upto = max(start, await self._search.begin(tp))
        if upto > start:
            self.cut = Cut.EXPIRED
        while upto < end:
            if self.records >= self._most_records or self._tally.is_full:
                self.cut = Cut.EVENTS if self._tally.is_full else Cut.RECORDS
                return False
            found = await self._search.next_stretch(tp, self._key, start=upto, end=end)
            for hit in found.hits:
                self._tally.take(hit.value, received_at=hit.timestamp, before=before)
            upto, self.records = found.upto, self.records + found.records
        return True


def log_of(health: AccountHealth) -> TopicPartition:
    """Return the partition of the event log in which the tick of a health lies."""
    return TopicPartition(Topology(generation=health.generation, partitions=1).events, health.partition)
