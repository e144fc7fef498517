"""Generate the events of a vendor whose customers live, decline and churn with a known hazard.

The true hazard of an account to churn on a day, written to the truth file in millionths:

    base(segment) · exp(2·decline + 1.5·unpaid + 1·detractor) · (20 on its renewal date)

where decline is the share of its usual activity that is gone (0-1), unpaid and detractor are 0 or 1. A decline begins
on a day with probability `DECLINE`, is gradual or, in one case of five, a sudden stop. All follows from the seed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.simulated_lines import Facts, Usage, usage_lines
from shared.contracts.events import Kind

DAY = 86_400_000
MONDAY = 1_767_571_200_000
"""2026-01-05, 00:00 UTC."""
SEGMENTS = ("smb", "mid", "enterprise")
SEATS = np.array([8, 40, 200])
PRICE = np.array([240, 300, 360])
BASE_HAZARD = np.array([0.0010, 0.0005, 0.0002])
DECLINE = 0.002
SUDDEN = 0.2
PAYMENT_FAILS = 0.0015
PAID_LATE = 0.12
SURVEYED = 1 / 45
WORKDAYS = np.array([1, 1, 1, 1, 0.85, 0.08, 0.05])

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What to simulate: `start` is the first midnight (epoch ms, UTC)."""

    accounts: int = 300
    days: int = 90
    seed: int = 7
    start: int = MONDAY
    user_events_a_day: float = 3.0

    @property
    def first_weekday(self) -> int:
        """The weekday of the first day, 0 is Monday."""
        return (self.start // DAY + 3) % 7


@dataclass(slots=True, kw_only=True)
class Accounts:
    """Every account by row: who it is, how it is doing, and when it left (-1: it has not)."""

    names: list[str]
    segment: Ints
    seats: Ints
    renewal: Ints
    user_account: Ints
    user_rate: Floats
    user_hour: Floats
    activity: Floats
    fade: Floats
    unpaid: Flags
    detractor: Flags
    churned: Ints
    declined: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One simulated day: events as lines of `churn.events.v1` JSON in time order, and each account's true hazard."""

    number: int
    lines: list[str]
    hazard: Floats


def simulate(vendor: Vendor) -> Iterator[tuple[Day, Accounts]]:
    """Yield day after day and the accounts as they are at its end; memory holds one day."""
    rng = np.random.default_rng(vendor.seed)
    accounts = _accounts(vendor, rng)
    facts = Facts()
    for number in range(vendor.days):
        midnight = vendor.start + number * DAY
        hazard = _live(accounts, number, rng=rng, facts=facts, midnight=midnight)
        usage = _usage(accounts, number + vendor.first_weekday, rng=rng)
        lines = usage_lines(usage, accounts.names, midnight=midnight, rng=rng)
        yield Day(number=number, lines=facts.merged(lines, usage.moments, midnight=midnight), hazard=hazard), accounts


def write(vendor: Vendor, *, out: Path, truth: Path) -> int:
    """Write events to `out` and one line an account to `truth`; return how many events."""
    hazards, events, accounts = [], 0, None
    with out.open("w", encoding="utf-8") as file:
        for day, accounts in simulate(vendor):  # noqa: B007  the last is the end state
            file.write("".join(day.lines))
            events += len(day.lines)
            hazards.append((day.hazard * 1e6).astype(np.int64))
    if accounts is not None:
        by_account = np.stack(hazards, axis=1).tolist()
        with truth.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(_truth(accounts, row, by_account[row])) + "\n" for row in range(vendor.accounts))
    return events


def _accounts(vendor: Vendor, rng: np.random.Generator) -> Accounts:
    count = vendor.accounts
    segment = rng.choice(3, count, p=[0.6, 0.3, 0.1])
    seats = np.maximum(2, (SEATS[segment] * rng.lognormal(0, 0.4, count)).astype(np.int64))
    users = np.maximum(1, (seats * rng.beta(4, 3, count)).astype(np.int64))
    user_account = np.repeat(np.arange(count), users)
    return Accounts(
        names=[f"acct-{n:06d}" for n in range(count)],
        segment=segment,
        seats=seats,
        renewal=rng.integers(0, 365, count),
        user_account=user_account,
        user_rate=vendor.user_events_a_day * rng.lognormal(-0.3, 0.8, len(user_account)),
        user_hour=rng.normal(8, 1.5, count)[user_account] + rng.normal(0, 0.7, len(user_account)),
        activity=np.ones(count),
        fade=np.ones(count),
        unpaid=np.zeros(count, bool),
        detractor=np.zeros(count, bool),
        churned=np.full(count, -1),
        declined=np.full(count, -1),
    )


def _live(accounts: Accounts, number: int, *, rng: np.random.Generator, facts: Facts, midnight: int) -> Floats:
    """Let every account live one day: decline, be billed and asked, renew or leave. Returns the true hazards."""
    count = len(accounts.names)
    alive = accounts.churned < 0
    if number == 0:
        for row in range(count):
            facts.tell(accounts.names[row], Kind.ACCOUNT, _described(accounts, row, midnight), at=row % 60_000)
            facts.tell(accounts.names[row], Kind.SUBSCRIPTION, {"status": "started"}, at=60_000)
    begins = alive & (accounts.declined < 0) & (rng.random(count) < DECLINE)
    accounts.declined[begins] = number
    accounts.fade[begins] = np.where(rng.random(count) < SUDDEN, 0.0, rng.uniform(0.90, 0.97, count))[begins]
    accounts.activity *= accounts.fade
    decline = 1 - accounts.activity
    _bill(accounts, alive, rng=rng, facts=facts)
    _ask(accounts, alive, decline, rng=rng, facts=facts)
    renews = alive & (number % 365 == accounts.renewal)
    effects = 2 * decline + 1.5 * accounts.unpaid + 1.0 * accounts.detractor
    hazard: Floats = np.minimum(1, BASE_HAZARD[accounts.segment] * np.exp(effects) * np.where(renews, 20, 1)) * alive
    leaves = rng.random(count) < hazard
    for row in np.flatnonzero(leaves).tolist():
        facts.tell(accounts.names[row], Kind.SUBSCRIPTION, {"status": "cancelled"}, at=_at_any_time(rng))
    for row in np.flatnonzero(renews & ~leaves).tolist():
        facts.tell(accounts.names[row], Kind.SUBSCRIPTION, {"status": "renewed"}, at=_at_any_time(rng))
    accounts.churned[leaves] = number
    return hazard


def _bill(accounts: Accounts, alive: Flags, *, rng: np.random.Generator, facts: Facts) -> None:
    chance = rng.random(len(alive))
    fails = alive & ~accounts.unpaid & (chance < PAYMENT_FAILS)
    pays = alive & accounts.unpaid & (chance < PAID_LATE)
    accounts.unpaid ^= fails | pays
    for row in np.flatnonzero(fails | pays).tolist():
        status = "payment_failed" if fails[row] else "invoice_paid"
        facts.tell(accounts.names[row], Kind.BILLING, {"status": status}, at=_at_any_time(rng))


def _ask(accounts: Accounts, alive: Flags, decline: Floats, *, rng: np.random.Generator, facts: Facts) -> None:
    asked = alive & (rng.random(len(alive)) < SURVEYED)
    scores = np.clip(np.round(rng.normal(8.3 - 3 * decline, 1.6)), 0, 10).astype(np.int64)
    accounts.detractor = np.where(asked, scores <= 6, accounts.detractor)
    for row in np.flatnonzero(asked).tolist():
        data = {"kind": "nps", "score": int(scores[row])}
        facts.tell(accounts.names[row], Kind.SURVEY, data, at=_at_any_time(rng))


def _usage(accounts: Accounts, weekday: int, *, rng: np.random.Generator) -> Usage:
    lively = accounts.activity * (accounts.churned < 0) * WORKDAYS[weekday % 7]
    counts = rng.poisson(accounts.user_rate * lively[accounts.user_account])
    users = np.repeat(np.arange(len(counts)), counts)
    hours = accounts.user_hour[users] + rng.gamma(2.0, 2.0, len(users))
    moments = (np.clip(hours, 0, 23.999) * 3_600_000).astype(np.int64)
    order = np.argsort(moments, kind="stable")
    return Usage(users=users[order], moments=moments[order], user_account=accounts.user_account)


def _at_any_time(rng: np.random.Generator) -> int:
    return int(rng.integers(60_001, DAY))


def _described(accounts: Accounts, row: int, midnight: int) -> dict[str, Any]:
    segment, seats = int(accounts.segment[row]), int(accounts.seats[row])
    renewal = np.datetime64(midnight + int(accounts.renewal[row]) * DAY, "ms").astype("datetime64[D]")
    return {
        "name": f"Customer {row}",
        "owner": f"csm{row % 7}@vendor.example",
        "segment": SEGMENTS[segment],
        "arr": seats * int(PRICE[segment]),
        "currency": "EUR",
        "seats": seats,
        "renewal_date": str(renewal),
    }


def _truth(accounts: Accounts, row: int, hazards: list[int]) -> dict[str, Any]:
    return {
        "account": accounts.names[row],
        "segment": SEGMENTS[int(accounts.segment[row])],
        "declined_on_day": int(accounts.declined[row]),
        "churned_on_day": int(accounts.churned[row]),
        "hazard_millionths": hazards,
    }
