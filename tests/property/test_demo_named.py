"""The demo's named accounts fall silent when they are meant to, whatever the hour and weekday it is started."""

import pytest

from lab.demo.customers import NAMED
from lab.demo.named import Customer, Placed, place, rows_of
from lab.oracle import Bundle
from services.scorer.core.compile import compile_bundle
from shared.contracts.context import Import, ImportState
from shared.contracts.health import Band
from shared.contracts.risk import Change
from tests.support.histories import shipped
from tests.support.log import DAY, HOUR, MINUTE, SECOND, START, Log, Outcome, by_columns

SCORECARD, RULES = shipped()
BUNDLE = Bundle(version="b_demo", scorecard=SCORECARD, rules=RULES)
COMPILED = compile_bundle(BUNDLE.version, {"scorecard": SCORECARD, "rules": RULES})
JOB = "named"


def placed_at(customer: Customer, *, now: int, wait_s: int) -> Placed:
    return place(customer, at=now + wait_s * SECOND, now=now, bundle=COMPILED, seed=3)


def lived(placed: Placed, *, now: int, until: int) -> Outcome:
    """Import the past at `now`, and let the core tick every second afterwards.

    context: 0 the configuration, 1 the import runs, 2 it ended

        rows   tick(1)   tick(2) tick tick … until
        now     +1 s      +2 s
    """
    log, account = Log(), placed.customer.account
    log.tick(now - MINUTE)
    for number, row in enumerate(rows_of(placed)):
        data = {"user": row.user, "name": row.name, **(row.data or {})}
        known = {name: value for name, value in data.items() if value is not None}
        log.event(account, row.kind, at=row.at, ts=now, data=known, source=row.source or "crm", imported=(JOB, number))
    log.tick(now + SECOND, context=1)
    for at in range(now + 2 * SECOND, until + 1, SECOND):
        log.tick(at, context=2)
    contexts: dict[int, Bundle | Import] = {
        0: BUNDLE,
        1: Import(job=JOB, state=ImportState.RUNNING, at=now),
        2: Import(job=JOB, state=ImportState.ENDED, at=now),
    }
    return by_columns(log.records, contexts)


@pytest.mark.parametrize("weekday", range(7))
@pytest.mark.parametrize("customer", NAMED, ids=lambda customer: customer.account)
def test_silence_opens_at_the_moment_meant_in_every_hour_of_a_week(customer: Customer, weekday: int) -> None:
    for hour in range(24):
        now = START + (7 * weekday + weekday) * DAY + hour * HOUR + (7 * hour % 60) * MINUTE + 137
        placed = placed_at(customer, now=now, wait_s=60 + hour)
        meant = now + (60 + hour) * SECOND
        outcome = lived(placed, now=now, until=meant + 5 * SECOND)
        [opened] = outcome.transitions
        assert (opened.rule, opened.change, opened.standing) == ("silence", Change.OPENED, False), hour
        assert abs(opened.at - meant) <= 1500, hour
        assert placed.moments[-1] < now, hour
        assert {health.band for health in outcome.healths} <= {Band.HEALTHY, Band.WATCH}, hour


def test_the_same_seed_places_the_same_past() -> None:
    first, again = (placed_at(NAMED[0], now=START, wait_s=60) for _ in range(2))
    assert list(rows_of(first)) == list(rows_of(again))
