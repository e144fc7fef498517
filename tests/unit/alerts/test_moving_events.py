"""What entered a window less what left it is by how much its sum changed."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.core.moving_events import DayEvents, Move, Span, Tally
from services.alerts.core.signals import Signals
from services.alerts.core.windows import DAY_MS, days_of
from shared.contracts.events import source_of, type_of, wire_time

DAYS = days_of("acme")
D1 = 20_500
HOUR = DAY_MS // 24


def encoded(kind: str = "usage", *, at: int, number: int, **fields: Any) -> bytes:
    data = fields.pop("data", {"user": f"u{number % 3}", "name": "export"})
    envelope = {
        "specversion": "1.0",
        "id": f"m-{number}",
        "source": source_of("app"),
        "type": type_of(kind),
        "subject": "acme",
        "time": wire_time(at),
        "data": data,
    }
    return msgspec.json.encode(envelope | fields)


def tally(*measures: str, earlier: int, later: int, since: int = 0) -> Tally:
    return Tally("acme", measures, Span(days=DAYS, earlier=earlier, later=later, since=since), signals=Signals())


def rows(found: Tally) -> list[DayEvents]:
    return [row for measure in found.results() for row in measure.days]


def summed(found: Tally, window: str) -> int:
    """Return what entered less what left."""
    signs = {Move.ENTERED: 1, Move.LEFT: -1}
    return sum(signs[row.move] * row.count for row in rows(found) if row.window == window)


@pytest.mark.parametrize(
    ("measure", "window", "back", "until"),
    [
        # docs/scoring.md §5         D-35 ... D-8 | D-7 ... D-1 | D
        ("usage_change", "usage_7", 7, 1),
        ("usage_change", "usage_normal_28", 35, 8),
        ("outcomes_28", "outcomes_28", 27, 0),
    ],
)
@given(seed=st.integers(0, 2**32), apart=st.integers(0, 60))
def test_entered_less_left_is_the_change_of_the_sum(
    measure: str, window: str, back: int, until: int, seed: int, apart: int
) -> None:
    draw = random.Random(seed)
    earlier = DAYS.begins(D1) + draw.randrange(DAY_MS)
    later = max(earlier, min(earlier + apart * DAY_MS, DAYS.begins(D1 + apart) + draw.randrange(DAY_MS)))
    found = tally(measure, earlier=earlier, later=later)
    sums = [0, 0]
    for number in range(60):
        at = earlier + draw.randrange(-40 * DAY_MS, max(1, later - earlier))
        received = max(at, draw.choice([at, at + draw.randrange(3 * DAY_MS)]))  # some come late
        if received > later:
            continue
        found.take(encoded("outcome", at=at, number=number), received_at=received, before=received <= earlier)
        for index, (tick, known) in enumerate([(earlier, received <= earlier), (later, True)]):
            day, today = DAYS.of(at), DAYS.of(tick)
            sums[index] += known and today - back <= day <= today - until
    assert summed(found, window) == sums[1] - sums[0]


def test_every_day_that_moved_is_asked_for_and_no_other() -> None:
    """From day 100 to 102.

    usage_7 (D-7 ... D-1)            93 94 [95 ... 99] 100 101
    usage_normal_28 (D-35 ... D-8)   65 66 [67 ... 92] 93 94
    """
    found = tally("usage_change", earlier=DAYS.begins(100), later=DAYS.begins(102))
    assert found.days() == [101, 100, 94, 93, 66, 65]
    assert tally("contract_ok", earlier=DAYS.begins(100), later=DAYS.begins(102)).days() == []


def test_events_are_counted_by_day_kind_and_name_and_users_only_by_number() -> None:
    noon = DAYS.begins(D1) + DAY_MS // 2
    found = tally("active_days_28", earlier=noon, later=noon + DAY_MS)
    for number in range(7):
        found.take(encoded(at=noon + HOUR, number=number), received_at=noon + HOUR, before=False)
    found.take(encoded("login", at=noon - 27 * DAY_MS, number=90, data={}), received_at=noon, before=True)
    found.take(
        encoded("survey", at=noon + HOUR, number=91, data={"kind": "nps", "score": 3}), received_at=noon, before=False
    )
    export, login = rows(found)
    assert (export.move, export.kind, export.name, export.count, export.users) == (
        Move.ENTERED,
        "usage",
        "export",
        7,
        3,
    )
    assert export.ids == ["m-0", "m-1", "m-2", "m-3", "m-4"]
    assert (login.move, login.kind, login.name, login.count, login.users) == (Move.LEFT, "login", None, 1, 0)
    assert b"u1" not in msgspec.json.encode(found.results())


def test_what_the_scorer_sets_aside_is_not_counted() -> None:
    noon = DAYS.begins(D1) + DAY_MS // 2
    found = tally("active_days_28", earlier=noon, later=noon + DAY_MS, since=noon)

    def take(value: bytes | None) -> None:
        found.take(value, received_at=noon + HOUR, before=False)

    take(encoded(at=noon + 1, number=1))
    take(encoded(at=noon + 1, number=1))  # sent again
    take(encoded(at=noon + 2 * HOUR, number=2))  # in the future
    take(encoded(at=noon - 1, number=3))  # before the account was erased
    take(encoded(at=noon + 1, number=4, subject="globex"))
    take(encoded(at=noon + 1, number=5, type="churn.usage.v2"))
    take(encoded("erasure", at=noon + 1, number=6, data={}))
    take(b"{")
    take(None)
    take(encoded(at=noon + 1, number=7, importjob="j", importrow=1))
    take(encoded(at=noon + 1, number=8, importjob="j", importrow=1))
    assert [row.count for row in rows(found)] == [2]


def test_what_was_said_is_named_and_an_accounts_name_is_not() -> None:
    noon = DAYS.begins(D1) + DAY_MS // 2
    found = tally("payment_ok", "seats_used", earlier=noon, later=noon + DAY_MS)
    found.take(encoded("billing", at=noon, number=1, data={"status": "payment_failed"}), received_at=noon, before=False)
    found.take(encoded("account", at=noon, number=2, data={"name": "Acme", "seats": 3}), received_at=noon, before=False)
    assert [(row.window, row.kind, row.name) for row in rows(found)] == [
        ("payment_ok", "billing", "payment_failed"),
        ("seats", "account", None),
    ]
