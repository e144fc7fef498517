"""Give an account a history whose silence becomes abnormal at a wanted moment, whatever the hour and weekday.

The deadline of docs/scoring.md §6 rises with the time L of the last activity, within a day without a gap. So a day and
a weekly habit are looked for whose deadlines enclose the moment, and L is found by halving. No clock is faked.
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
from shared.contracts.events import Kind, wire_time
from shared.contracts.partition import roll_ms

HISTORY_DAYS: Final = 89
DAYS_BACK: Final = 12
ATTEMPTS: Final = 8
"""Pasts drawn of the same habit: between the last deadline of a day and the first of the next may lie a gap."""
EVENTS_A_DAY: Final = 3
"""So few that no rule about the amount of usage applies: what is told is the silence alone."""
RENEWS_IN_DAYS: Final = 73
NEAR_MS: Final = 400
"""A deadline this near to the moment wanted is near enough: ticks come once a second."""


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
    """Return a past up to before `now` whose silence deadline is `at` ± NEAR_MS (epoch ms); raises NoPlace."""
    found = None
    for attempt, habit, day in product(range(ATTEMPTS), customer.habits, range(1, DAYS_BACK)):
        placed = _on_day(customer, habit, days_back=day, at=at, now=now, bundle=bundle, seed=seed * ATTEMPTS + attempt)
        if placed is not None and placed.in_habit:
            return placed
        found = found or placed
    if found is None:
        raise NoPlace(f"{customer.account}: no last activity makes its silence abnormal at {at}")
    return found


def rows_of(placed: Placed) -> Iterator[Row]:
    """Yield what happened to a placed customer, in time order."""
    customer, first = placed.customer, placed.moments[0]
    renewal = wire_time(placed.deadline + RENEWS_IN_DAYS * DAY)[:10]
    facts = {
        "name": customer.name,
        "renewal_date": renewal,
        "owner": customer.owner,
        "country": customer.country,
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


def _on_day(  # noqa: PLR0913  one search, told in full
    customer: Customer, habit: Habit, *, days_back: int, at: int, now: int, bundle: CompiledBundle, seed: int
) -> Placed | None:
    """Return a past that ends on the account-day so many days before `now`, if one has the deadline wanted."""
    roll = roll_ms(customer.account.encode())
    start = ((now - roll) // DAY - days_back) * DAY + roll
    past = _past(habit, zone_ms=int(customer.zone_h * HOUR), before=start, seed=seed)
    deadline_of = _Deadlines(customer.account, [*past, start], bundle=bundle)
    low, high = start, min(start + DAY, now) - 1
    if not (deadline_of(low) <= at <= deadline_of(high)):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if deadline_of(middle) < at else (low, middle)
    if abs(deadline_of(low) - at) > NEAR_MS:
        return None
    in_habit = habit.holds(low + int(customer.zone_h * HOUR))
    return Placed(customer=customer, moments=[*past, low], deadline=deadline_of(low), in_habit=in_habit)


def _past(habit: Habit, *, zone_ms: int, before: int, seed: int) -> list[int]:
    """Return moments (epoch ms, rising) of some weeks of a habit, up to `before`."""
    rng = np.random.default_rng(seed)
    today = (before + zone_ms) // DAY
    moments = []
    for day in range(today - HISTORY_DAYS + DAYS_BACK, today + 1):
        into = np.sort(rng.integers(habit.hours.start * HOUR, habit.hours.stop * HOUR, EVENTS_A_DAY)).tolist()
        if (day + 3) % 7 in habit.weekdays:
            moments += [day * DAY + ms - zone_ms for ms in into]
    return [moment for moment in moments if moment < before]


class _Deadlines:
    """The silence deadline of one account by the time of its last activity."""

    def __init__(self, account: str, presence: Sequence[int], *, bundle: CompiledBundle) -> None:
        self._bundle = bundle
        self._activity = Activity()
        self._row = self._activity.add_accounts([account], hashes=np.ones(1, np.uint64))
        count = len(presence)
        self._activity.fold(
            Applied(
                account=np.zeros(count, np.int64),
                at=np.array(presence, np.int64),
                code=np.full(count, int(Code.LOGIN), np.int8),
                signal=np.full(count, LOGIN, np.int64),
                source=np.full(count, self._activity.source("any"), np.int64),
                user=np.zeros(count, np.uint64),
            )
        )

    def __call__(self, last: int) -> int:
        """Return the deadline (epoch ms) if the last activity is at `last`, on the day of the last presence known."""
        found = deadlines_of(self._activity, rows=self._row, last=np.array([last], np.int64), bundle=self._bundle)
        return int(found[0])
