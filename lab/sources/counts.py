"""Count events by name and by user, in memory that grows with names and users only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MOST_NAMES: Final = 20_000
"""Names counted; a product that puts ids into names has more, and the first so many show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One event as far as it is counted; `name` is None for what is no usage."""

    account: str
    user: str | None
    name: str | None
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How a name was used: events, those with a user, users, accounts, days; `returned` users on two days or more."""

    name: str
    events: int
    by_users: int
    users: int
    accounts: int
    days: int
    returned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSeen:
    """What a user did: in how many accounts, on how many days, and in how many hours of such a day on average."""

    user: str
    events: int
    accounts: int
    days: int
    hours_a_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What was read of all names together."""

    events: int
    users: int
    accounts: int
    days: int


@dataclass(slots=True)
class _Name:
    events: int = 0
    by_users: int = 0
    days: int = 0
    by_user: dict[str, int] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _User:
    events: int = 0
    accounts: set[str] = field(default_factory=set)
    hours: dict[int, int] = field(default_factory=dict)


class Counts:
    """Takes events one by one. Days are bits of an integer, counted from `since` (epoch ms)."""

    def __init__(self, since: int) -> None:
        self._since = since
        self._names: dict[str, _Name] = {}
        self._users: dict[str, _User] = {}
        self._accounts: set[str] = set()
        self._days = 0
        self._events = 0

    def take(self, seen: Seen) -> None:
        """Count one event; one before `since` is left out."""
        if seen.at < self._since:
            return
        day = (seen.at - self._since) // DAY_MS
        self._events += 1
        self._days |= 1 << day
        self._accounts.add(seen.account)
        if seen.user is not None:
            self._take_user(seen, seen.user)
        if seen.name is not None and (seen.name in self._names or len(self._names) < MOST_NAMES):
            self._take_name(seen, seen.name, bit=1 << day)

    def _take_user(self, seen: Seen, user: str) -> None:
        held = self._users.setdefault(user, _User())
        held.events += 1
        held.accounts.add(seen.account)
        day, within = divmod(seen.at, DAY_MS)
        held.hours[day] = held.hours.get(day, 0) | 1 << within // HOUR_MS

    def _take_name(self, seen: Seen, name: str, *, bit: int) -> None:
        held = self._names.setdefault(name, _Name())
        held.events += 1
        held.days |= bit
        held.accounts.add(seen.account)
        if seen.user is not None:
            held.by_users += 1
            held.by_user[seen.user] = held.by_user.get(seen.user, 0) | bit

    def names(self) -> Sequence[Counted]:
        """Return the counts of every name."""
        return [
            Counted(
                name=name,
                events=held.events,
                by_users=held.by_users,
                users=len(held.by_user),
                accounts=len(held.accounts),
                days=held.days.bit_count(),
                returned=sum(days.bit_count() > 1 for days in held.by_user.values()),
            )
            for name, held in self._names.items()
        ]

    def users(self) -> Sequence[UserSeen]:
        """Return what every user did."""
        return [
            UserSeen(
                user=user,
                events=held.events,
                accounts=len(held.accounts),
                days=len(held.hours),
                hours_a_day=sum(hours.bit_count() for hours in held.hours.values()) / len(held.hours),
            )
            for user, held in self._users.items()
        ]

    def totals(self) -> Totals:
        """Return what was counted of all names together."""
        return Totals(
            events=self._events, users=len(self._users), accounts=len(self._accounts), days=self._days.bit_count()
        )
