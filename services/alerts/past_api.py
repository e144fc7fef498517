"""Answer what was known of an account at a moment of the past, and what changed between two."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Query, Response, params

from services.alerts.answer import Refused, answer, answers
from services.alerts.core.change_message import headline, line
from services.alerts.core.explain import MeasureChange, explain, moved_by_value
from services.alerts.core.moving_events import Span, Tally
from services.alerts.core.signals import Signals
from services.alerts.core.windows import days_of
from services.alerts.event_log import MOST_S, Between, EventLog, MovingEvents
from services.alerts.scores import Recorded, Scores
from shared.contracts.events import parse_time, wire_time
from shared.contracts.health import AccountHealth, Band
from shared.health_store import HealthStore, NotFilled

MOMENT: Final = "RFC 3339 with an offset: 2026-11-22T07:00:00Z"
DEADLINE_S: Final = 5.0
AT_ONCE: Final = 4
"""Readings of the log side by side; more wait, and their deadline runs."""
MEASURES_TOLD: Final = 3
"""Of so many measures, those that moved most, the events are told."""


class AccountThen(AccountHealth, frozen=True, kw_only=True):
    """The health of an account as it was published last at or before `as_of` (epoch ms): what was known then.

    Every other field is the record as it was written; `at` is when it was judged.
    """

    as_of: int


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of two healths: what was known `as_of` (epoch ms), judged `at`; health in milli-points."""

    as_of: int
    at: int
    health: int | None
    band: Band
    bundle: str
    scorecard: str
    stage: str


class MeasureMoved(MeasureChange, frozen=True, kw_only=True):
    """What one measure did to the health, and the same in words."""

    words: str


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """The change of an account's health: `change` = `by_value` + `by_weight`, and over all measures each sums to it.

    In milli-points; a health of null counts as 0. `events` are those that moved the values that moved most.
    """

    account: str
    earlier: Side
    later: Side
    change: int
    by_value: int
    by_weight: int
    words: str
    measures: list[MeasureMoved]
    events: MovingEvents


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What answering about the past stands on."""

    store: HealthStore
    scores: Scores
    events: EventLog
    signals: Signals
    now_ms: Callable[[], int]
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def then(self, account: str, as_of: str) -> bytes:
        """Return an AccountThen as JSON: the record, byte for byte, with `as_of` before its fields."""
        at = self._moment("as_of", as_of)
        recorded = await self._known_at(account, at, await self._erased_at(account))
        return b'{"as_of":%d,' % at + recorded.raw.lstrip()[1:]

    async def change(self, account: str, *, since: str, until: str | None) -> AccountChange:
        """Explain the change between two moments; without `until` up to the health of now."""
        begin = self._moment("from", since)
        end = self.now_ms() if until is None else self._moment("to", until)
        if begin >= end:
            raise Refused(422, "invalid", "from: must lie before to")
        erased_at = await self._erased_at(account)
        earlier = (await self._known_at(account, begin, erased_at)).health
        later = await self.store.get(account) if until is None else None
        if later is None or later.at < earlier.at:  # Redis may be behind
            later = (await self._known_at(account, end, erased_at)).health
        return await self._explained(
            Between(earlier=earlier, later=later), begin=begin, end=end, erased_at=erased_at or 0
        )

    async def _explained(self, between: Between, *, begin: int, end: int, erased_at: int) -> AccountChange:
        earlier, later = between.earlier, between.later
        explained = explain(earlier, later)
        span = Span(days=days_of(earlier.account), earlier=earlier.at, later=later.at, since=erased_at)
        moved = moved_by_value(explained.measures, most=MEASURES_TOLD)
        tally = Tally(earlier.account, moved, span, signals=self.signals)
        async with self._bounded(DEADLINE_S + MOST_S):
            events = await self.events.moving(between, tally)
        return AccountChange(
            account=earlier.account,
            earlier=_side(earlier, begin),
            later=_side(later, end),
            change=explained.change,
            by_value=explained.by_value,
            by_weight=explained.by_weight,
            words=headline(earlier, later, explained),
            measures=[MeasureMoved(**msgspec.structs.asdict(one), words=line(one)) for one in explained.measures],
            events=events,
        )

    async def _known_at(self, account: str, at: int, erased_at: int | None) -> Recorded:
        if erased_at is not None and at < erased_at:
            raise _erased(account, erased_at)
        async with self._bounded(DEADLINE_S):
            recorded = await self.scores.known_at(account, at)
        if recorded is not None and erased_at is not None and recorded.health.at < erased_at:
            raise _erased(account, erased_at)
        if recorded is None:
            words = (
                f"nothing was known of account {account!r} at {wire_time(at)}: it was not heard of yet, or its id is"
                f" wrong, or that lies before what churn.scores.v1 keeps (800 days); GET /v1/accounts/{account} has"
                " its history"
            )
            raise Refused(404, "not_known_then", words)
        return recorded

    async def _erased_at(self, account: str) -> int | None:
        try:
            return await self.store.erased_at(account)
        except NotFilled as fault:
            words = "whether the account was erased can't be told until health is written again; repeat it"
            raise Refused(503, "not_filled", words, retry_after_s=5) from fault

    @asynccontextmanager
    async def _bounded(self, within_s: float) -> AsyncIterator[None]:
        """Wait for a turn and read, both within a time."""
        try:
            async with asyncio.timeout(within_s), self.turn:
                yield
        except TimeoutError as fault:
            words = f"not read within {within_s:g} s; repeat it, and ask for fewer moments at once"
            raise Refused(503, "too_slow", words, retry_after_s=5) from fault
        except KafkaError as fault:
            raise Refused(503, "unavailable", "kafka can't be read; repeat it", retry_after_s=5) from fault

    def _moment(self, name: str, text: str) -> int:
        at = parse_time(text)
        if at is None or at < 0:
            words = (
                f"{name}: {text!r} is no RFC 3339 time with an offset; write 2026-11-22T07:00:00Z"
                " (in a URL the + of an offset is %2B)"
            )
            raise Refused(422, "invalid", words)
        if at > self.now_ms():
            raise Refused(422, "invalid", f"{name}: {text} has not come yet; leave it out for what is known now")
        return at


def _erased(account: str, at: int) -> Refused:
    return Refused(410, "erased", f"account {account!r} was erased at {wire_time(at)}: nothing from before is told")


def tell_changes(past: Past, routes: APIRouter, reads: params.Depends) -> None:
    """Add the route that explains a change. It goes before that of an account, whose id may have slashes."""

    @routes.get("/accounts/{account:path}/changes", dependencies=[reads], responses=answers(AccountChange, 404, 410))
    async def explain_change(
        account: str,
        since: Annotated[str, Query(alias="from", max_length=40, description=f"The earlier moment. {MOMENT}")],
        until: Annotated[
            str | None, Query(alias="to", max_length=40, description=f"The later one, now unless given. {MOMENT}")
        ] = None,
    ) -> Response:
        """Explain what moved an account's health between two moments, by measure, value and weight, with the events.

        The sum is exact. Events are counted by day; they are read within bounds, and the answer says what is missing.
        """
        return answer(await past.change(account, since=since, until=until))


def _side(health: AccountHealth, as_of: int) -> Side:
    return Side(
        as_of=as_of,
        at=health.at,
        health=health.health,
        band=health.band,
        bundle=health.bundle,
        scorecard=health.scorecard,
        stage=health.stage,
    )
