"""How long an account is waited for is kept from tick to tick; what it follows from must never change without it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.histories import bundles, calendars
from tests.support.log import DAY, HOUR, MINUTE, START, Log, by_columns, by_oracle

WEEKS = 8
END = START + WEEKS * 7 * DAY
MONDAY = END + 9 * HOUR


def lived() -> Log:
    """Return a log of an account that comes every other workday at nine, judged every day at ten."""
    log, shipped = Log(), bundles()[0]
    shipped = replace(shipped, calendars=calendars())
    often = {**shipped.rules, "silence": {"alpha_permille": 200}}
    log.contexts = {0: shipped, 1: replace(shipped, version="another", rules=often)}
    for day in range(WEEKS * 7 + 1):
        at = START + day * DAY + 9 * HOUR
        if day % 7 in (0, 2, 4):
            log.event("acme", "usage", at=at, ts=at, data={"name": "Report Viewed", "quantity": 1000})
        log.tick(at + HOUR, context=0)
    return log


def came(log: Log, at: int) -> None:
    log.event("acme", "usage", at=at, ts=max(at, MONDAY + 2 * HOUR), data={"name": "Report Viewed", "quantity": 1000})


def told(log: Log, **facts: object) -> None:
    log.event("acme", "account", at=MONDAY, ts=MONDAY + 2 * HOUR, data=facts)


def began_long_ago(log: Log) -> None:
    used = {"name": "Report Viewed", "quantity": 1000}
    log.event("acme", "usage", at=START - 200 * DAY, ts=MONDAY + 2 * HOUR, data=used, imported=("history", 1))


def late_tuesdays(log: Log) -> None:
    for week in range(WEEKS):
        came(log, START + (7 * week + 1) * DAY + 12 * HOUR)


def deadline(log: Log, *, context: int = 0) -> int | None:
    """Return the deadline that the account has at a last tick, by the core; the oracle must find the same ones."""
    log.tick(MONDAY + 50 * HOUR, context=context)
    columns, oracle = (run(log.records, log.contexts).healths for run in (by_columns, by_oracle))
    assert columns == oracle
    return max(columns, key=lambda health: health.at).silence_deadline


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(late_tuesdays, id="events of past days come late"),
        pytest.param(began_long_ago, id="its first days are imported"),
        pytest.param(lambda log: told(log, country="JP"), id="its country is told"),
        pytest.param(
            lambda log: told(log, closures=[{"from": "2026-04-27", "to": "2026-05-08"}]),
            id="it is closed for a while",
        ),
        pytest.param(lambda log: came(log, MONDAY + 2 * DAY), id="it comes on the next day"),
    ],
)
def test_an_account_is_waited_for_as_if_nothing_had_been_kept(happens: Callable[[Log], None]) -> None:
    log = lived()
    happens(log)
    assert deadline(log) != deadline(lived())


def test_another_configuration_waits_for_everybody_anew() -> None:
    assert deadline(lived(), context=1) != deadline(lived())


def test_on_the_same_day_the_end_moves_with_the_minute() -> None:
    log = lived()
    came(log, MONDAY + 7 * MINUTE)
    assert deadline(log) == (deadline(lived()) or 0) + 7 * MINUTE
