"""When a partition gets a tick, drawn on a line of time."""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from services.scorer.ticker import Ticker, is_due
from shared.contracts.topics import EVENTS
from tests.support.fake_core import as_any

NOW = 1_800_000_000_000


@dataclass
class State:
    clock: int | None = None
    next_due: int | None = None
    pending: bool = False


def due(state: State, *, last: int | None = None, now: int = NOW) -> bool:
    return is_due(state, now=now, last=last, fewest_ms=1000)


def test_a_log_without_a_tick_gets_one_at_once_and_only_one() -> None:
    assert due(State())
    assert not due(State(), last=NOW - 1)


@pytest.mark.parametrize(
    ("since_ms", "pending", "wanted"),
    # last tick ─── 1 s ──────────────── 60 s ───▶
    #   never        when events came      always
    [(999, True, False), (1000, True, True), (1000, False, False), (59_999, False, False), (60_000, False, True)],
)
def test_at_most_one_a_second_and_at_least_one_a_minute(since_ms: int, *, pending: bool, wanted: bool) -> None:
    assert due(State(clock=NOW - since_ms, pending=pending)) is wanted


def test_while_its_last_tick_lies_unread_a_scorer_writes_one_a_minute() -> None:
    behind = State(clock=NOW - 90_000, next_due=NOW - 80_000, pending=True)
    assert due(behind)
    assert not due(behind, last=NOW - 59_999)
    assert due(behind, last=NOW - 60_000)
    assert due(State(clock=NOW - 1000, pending=True), last=NOW - 1000)


def test_a_deadline_that_passed_is_a_reason() -> None:
    assert due(State(clock=NOW - 2000, next_due=NOW))
    assert not due(State(clock=NOW - 2000, next_due=NOW + 1))


def test_a_log_ahead_of_the_wall_gets_none() -> None:
    assert not due(State(clock=NOW + 5000, pending=True))


class Producer:
    def __init__(self) -> None:
        self.sent: list[tuple[str, int, dict[str, Any]]] = []

    async def send(self, topic: str, *, value: bytes, partition: int) -> asyncio.Future[None]:
        self.sent.append((topic, partition, msgspec.json.decode(value)))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def test_a_tick_names_the_time_and_the_context_it_knows() -> None:
    producer, now = Producer(), [NOW]
    states = {3: State(), 5: State(clock=NOW - 10, pending=True)}
    ticker = Ticker(
        as_any(producer), topic=EVENTS, owned=lambda: states, context=lambda: 41, now_ms=lambda: now[0], fewest_ms=1000
    )
    await ticker.turn()
    await ticker.turn()
    assert [(topic, partition) for topic, partition, _ in producer.sent] == [(EVENTS, 3)]
    tick = producer.sent[0][2]
    assert (tick["type"], tick["time"], tick["data"]) == ("churn.tick.v1", "2027-01-15T08:00:00.000Z", {"context": 41})
    now[0] += 1000
    states[3].clock, states[3].pending = NOW, True
    await ticker.turn()
    assert sorted(partition for _, partition, _ in producer.sent[1:]) == [3, 5]
