"""The demo's vendor keeps to its limits: how much, how long, from where; its truth is that of what it tells."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from lab.demo.customers import OWNERS, SOURCES
from lab.demo.leavers import leavers_of
from lab.demo.traffic import call_of, recent
from lab.demo.vendor import ACCOUNTS, DAYS, MOST_EVENTS, Fate, Past, past_of
from lab.simulate.places import PLACES
from lab.simulate.stories import Story
from shared.contracts.events import Kind
from shared.contracts.health import Attributes, Band
from shared.contracts.risk import Change, Severity, Transition
from tests.support.log import DAY, HOUR, START

NOW = START + 100 * DAY + 13 * HOUR + 77


@pytest.fixture(scope="module")
def past() -> Past:
    return past_of(now=NOW)


def test_it_is_ninety_days_up_to_now_and_not_too_much(past: Past) -> None:
    told = [row for row in past.rows if row.kind != Kind.ACCOUNT]
    assert NOW - DAYS * DAY <= told[0].at < NOW - DAYS * DAY + HOUR
    assert NOW - HOUR < told[-1].at < NOW
    assert [row.at for row in past.rows] == sorted(row.at for row in past.rows)
    assert 100_000 < len(past.rows) <= MOST_EVENTS


def test_customers_live_in_several_zones_with_owners_in_each(past: Past) -> None:
    assert len(past.accounts) == len({account.name for account in past.accounts.values()}) == ACCOUNTS
    countries = Counter(account.country for account in past.accounts.values())
    assert countries.keys() == OWNERS.keys()
    assert all(account.owner in OWNERS[account.country] for account in past.accounts.values())
    described = {row.account: row.data for row in past.rows if row.kind == Kind.ACCOUNT}
    assert described.keys() == past.accounts.keys()
    assert all(data and data["owner"] == past.accounts[account].owner for account, data in described.items())


@pytest.mark.parametrize("country", ["JP", "US"])
def test_customers_work_in_the_daytime_of_their_own_zone(past: Past, country: str) -> None:
    mine = {account.account for account in past.accounts.values() if account.country == country}
    zone = ZoneInfo(PLACES[country].timezone)
    moments = [row.at for row in past.rows if row.account in mine and row.user]
    hours = Counter(datetime.fromtimestamp(at / 1000, zone).hour for at in moments)
    by_day = sum(hours[hour] for hour in range(7, 20))
    assert by_day > 0.9 * hours.total()


def test_every_product_is_used_and_every_fate_met(past: Past) -> None:
    used = Counter(row.source for row in past.rows if row.kind == Kind.USAGE)
    assert used.keys() == set(SOURCES)
    assert min(used.values()) > 0.15 * used.total()
    assert {account.fate for account in past.accounts.values()} == set(Fate)
    left = {account.account: account.left_at for account in past.accounts.values() if account.left_at is not None}
    assert left
    assert all(row.at <= left[row.account] + DAY for row in past.rows if row.account in left)


def test_live_events_are_of_healthy_customers_in_their_proportion(past: Past) -> None:
    like = recent(past, now=NOW, sources=SOURCES)
    healthy = {account.account for account in past.healthy()}
    assert all(row.account in healthy and row.source == source for source, rows in like.items() for row in rows)
    assert all(like.values())
    names = {call_of(row)["event"] for rows in like.values() for row in rows}
    assert {"Signed In", "Report Viewed", "Outcome Achieved"} <= names


def test_the_same_seed_tells_the_same_past(past: Past) -> None:
    assert past_of(now=NOW).rows == past.rows


def opened(account: str, *, at: int, change: Change = Change.OPENED) -> Transition:
    return Transition(
        id="t",
        episode=f"ep_{account}",
        account=account,
        rule="silence",
        change=change,
        severity=Severity.AT_RISK,
        at=at,
        opened_at=at,
        partition=0,
        offset=0,
        bundle="b",
        standing=False,
        playbook=None,
        band=Band.HEALTHY,
        health=1,
        evidence=[],
        contributions=[],
        attributes=Attributes(),
    )


def test_only_alerts_open_when_a_customer_left_count(past: Past) -> None:
    """Draw the leavers' alerts against the moment L at which they left.

    first     open ----------------- L      counts, 10 days
    second    open --- resolved      L      does not
    third                            L open does not

    A customer who stayed and was never pressed to leave counts as disturbed, one who was pressed doesn't.
    """
    left = [account for account in past.accounts.values() if account.left_at is not None]
    stopped = [replace(account, pressed=[Story.SUDDEN_STOP]) for account in left[:2]]
    leavers = [*stopped, replace(left[2], pressed=[])]
    stayers = [account for account in past.accounts.values() if account.left_at is None]
    steady, pressed = (next(a for a in stayers if bool(a.pressed) is is_pressed) for is_pressed in (False, True))
    some = Past(rows=[], accounts={account.account: account for account in (*leavers, steady, pressed)})
    (first, at), (second, over), (third, late) = [(a.account, a.left_at or 0) for a in leavers]
    transitions = [
        opened(first, at=at - 10 * DAY),
        opened(second, at=over - 10 * DAY),
        opened(second, at=over - 5 * DAY, change=Change.RESOLVED),
        opened(third, at=late + 1),
        opened(steady.account, at=late),
        opened(pressed.account, at=late),
    ]
    found = leavers_of(some, transitions)
    assert (found.left, found.named, found.days) == (3, 1, 10.0)
    assert (found.pressed, found.foreseen, found.stories) == (2, 1, {Story.SUDDEN_STOP: (2, 1)})
    assert (found.steady, found.disturbed) == (1, 1)
