"""Give an account a history whose silence becomes abnormal at a wanted moment, whatever the hour and weekday.

The deadline of docs/scoring.md §6 lies as far in its hour as the last activity in its own. So pasts of a weekly habit
are drawn until one has a day whose deadline falls in the hour of the moment wanted. No clock is faked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import numpy as np

from lab.demo.row import Row
from services.scorer.core.activity import Activity, Applied
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import DAY, HOUR
from services.scorer.core.decode import Code
from services.scorer.core.signals import LOGIN
from services.scorer.core.silence import deadlines_of
from services.scorer.core.table import Ints
from shared.contracts.events import Kind, wire_time
from shared.contracts.partition import roll_ms

HISTORY_DAYS: Final = 89
DAYS_BACK: Final = 12
ATTEMPTS: Final = 16
PASTS: Final = 64
"""Drawn of the same habit at each attempt: each has deadlines in a few hours of a week."""
MOST_LEFT_OUT: Final = 0.25
"""Of the days of a habit, at most."""
EVENTS_A_DAY: Final = 3
"""So few that no rule about the amount of usage applies: what is told is the silence alone."""
RENEWS_IN_DAYS: Final = 73


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """When an account is active: weekdays (0 is Monday) and hours of its local day."""

    weekdays: frozenset[int]
    hours: range

    def holds(self, local_ms: int) -> bool:
        """Say whether it is active at a local moment."""
        return (local_ms // DAY + 3) % 7 in self.weekdays and local_ms % DAY // HOUR in self.hours


HABITS: Final = (
    Habit(weekdays=frozenset(range(5)), hours=range(8, 18)),
    Habit(weekdays=frozenset(range(6)), hours=range(8, 20)),
    Habit(weekdays=frozenset(range(7)), hours=range(7, 22)),
    Habit(weekdays=frozenset(range(7)), hours=range(24)),
)
"""From an office to a place that never closes; the first that fits is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """An account that is to fall silent: who it is, and where; `zone_h` is its offset from UTC in hours."""

    account: str
    name: str
    owner: str
    country: str
    zone_h: float
    arr: int
    currency: str
    source: str
    users: Sequence[str] = ("u1", "u2", "u3")
    seats: int = 4
    habits: Sequence[Habit] = HABITS
    """In the order in which they are tried; the last ones hold in every hour of a week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A customer's whole past: presence at `moments` (epoch ms, rising), the last of which has the deadline."""

    customer: Customer
    moments: Sequence[int]
    deadline: int
    in_habit: bool = field(compare=False)


class NoPlace(ValueError):
    """No habit and day gives a deadline near the moment wanted."""


def place(customer: Customer, *, at: int, now: int, bundle: CompiledBundle, seed: int) -> Placed:
    """Return a past up to before `now` whose silence deadline is `at` (epoch ms); raises NoPlace."""
    found = None
    for attempt, habit in product(range(ATTEMPTS), customer.habits):
        placed = _placed(customer, habit, at=at, now=now, bundle=bundle, seed=seed * ATTEMPTS + attempt)
        if placed is not None and placed.in_habit:
            return placed
        found = found or placed
    if found is None:
        raise NoPlace(f"{customer.account}: no last activity makes its silence abnormal at {at}")
    return found


def rows_of(placed: Placed) -> Iterator[Row]:
    """Yield what happened to a placed customer, in time order."""
    customer, first = placed.customer, placed.moments[0]
    # no country is told: on its holidays nobody would be missed, and the demo is started on any day
    renewal = wire_time(placed.deadline + RENEWS_IN_DAYS * DAY)[:10]
    facts = {
        "name": customer.name,
        "renewal_date": renewal,
        "owner": customer.owner,
        "arr": customer.arr,
        "currency": customer.currency,
        "seats": customer.seats,
        "segment": "mid",
    }
    yield Row(account=customer.account, at=first - 3000, kind=Kind.ACCOUNT, data=facts)
    yield Row(account=customer.account, at=first - 2000, kind=Kind.SUBSCRIPTION, data={"status": "started"})
    yield Row(account=customer.account, at=first - 1000, kind=Kind.BILLING, data={"status": "invoice_paid"})
    for number, at in enumerate(placed.moments):
        user = customer.users[number % len(customer.users)]
        kind, name = (Kind.LOGIN, None) if number % EVENTS_A_DAY == 0 else (Kind.USAGE, "Report Viewed")
        yield Row(account=customer.account, at=at, kind=kind, source=customer.source, user=user, name=name)


def _placed(customer: Customer, habit: Habit, *, at: int, now: int, bundle: CompiledBundle, seed: int) -> Placed | None:
    """Return a past that ends before `now` and has the deadline wanted, within the habit if there is such an hour."""
    roll, zone_ms = roll_ms(customer.account.encode()), int(customer.zone_h * HOUR)
    pasts = _pasts(habit, zone_ms=zone_ms, before=now, seed=seed)
    # whichever hour of a day is the last, the deadline is the same
    days = (now - roll) // DAY * DAY + roll + (at - roll) % HOUR - DAY * np.arange(1, DAYS_BACK)
    found = np.argwhere(_deadlines_of(pasts, last=days, roll=roll, bundle=bundle) == at)
    if not len(found):
        return None
    number, day = found[0].tolist()
    hours = [int(days[day]) + hour * HOUR for hour in range(24)]
    last = next((hour for hour in hours if habit.holds(hour + zone_ms)), hours[0])
    moments = [*pasts[number, pasts[number] < last].tolist(), last]
    return Placed(customer=customer, moments=moments, deadline=at, in_habit=habit.holds(last + zone_ms))


def _pasts(habit: Habit, *, zone_ms: int, before: int, seed: int) -> Ints:
    """Return moments (epoch ms, one past a row) of some weeks of a habit; `before` stands for what is left out.

    Each past leaves out days at a rate of its own: so no two have the same deadlines.
    """
    rng = np.random.default_rng(seed)
    today = (before + zone_ms) // DAY
    days = np.arange(today - HISTORY_DAYS + DAYS_BACK, today + 1)
    days = days[np.isin((days + 3) % 7, list(habit.weekdays))]
    into = rng.integers(habit.hours.start * HOUR, habit.hours.stop * HOUR, (PASTS, len(days), EVENTS_A_DAY))
    left_out = rng.random((PASTS, len(days), 1)) < rng.uniform(0, MOST_LEFT_OUT, (PASTS, 1, 1))
    moments = days[:, None] * DAY + np.sort(into, axis=2) - zone_ms
    return np.where(left_out, before, np.minimum(moments, before)).reshape(PASTS, -1)


def _deadlines_of(pasts: Ints, *, last: Ints, roll: int, bundle: CompiledBundle) -> Ints:
    """Return the silence deadline (epoch ms) of each past (a row) for each time of the last activity (a column)."""
    activity = Activity()
    rows = activity.add_accounts(list(map(str, range(PASTS))), hashes=np.arange(1, PASTS + 1).astype(np.uint64))
    activity.accounts["roll"][rows] = roll
    count = pasts.size
    activity.fold(
        Applied(
            account=np.repeat(rows, pasts.shape[1]),
            at=pasts.reshape(-1),
            code=np.full(count, int(Code.LOGIN), np.int8),
            signal=np.full(count, LOGIN, np.int64),
            source=np.full(count, activity.source("any"), np.int64),
            user=np.zeros(count, np.uint64),
        )
    )
    every = np.tile(last, PASTS)
    found = deadlines_of(activity, rows=np.repeat(rows, len(last)), last=every, bundle=bundle)
    return found.reshape(PASTS, len(last))
