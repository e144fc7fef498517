"""Propose key features and log-ins from counts, and point at traffic that may be no customer's.

A key feature is used by hand (nine of ten events have a user), by several users of several accounts, on several days,
and people come back to it; it is no page view, error, log-in or log-out and does not sound automatic.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lab.sources.counts import Counted, Totals, UserSeen
from lab.sources.names import Sort, sort_of

MOST_FEATURES: Final = 12
"""More dilute `features_used`; the scorecard takes 64."""
LEAST_USERS: Final = 5
LEAST_ACCOUNTS: Final = 3
LEAST_ACCOUNTS_PERCENT: Final = 10
LEAST_DAYS: Final = 5
MOST_BY_MACHINES_PERCENT: Final = 10
LEAST_RETURNED_PERCENT: Final = 20
STAFF_ACCOUNTS: Final = 5
ROBOT_HOURS: Final = 18.0
ROBOT_DAYS: Final = 3
MOST_HINTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What to paste and what to look at; `passed` are the most used names that are no key feature, and why."""

    key_features: Sequence[Counted]
    log_ins: Sequence[Counted]
    personal: Sequence[Counted]
    automatic: Sequence[Counted]
    staff: Sequence[UserSeen]
    robots: Sequence[UserSeen]
    passed: Sequence[tuple[Counted, str]]


def suggest(names: Sequence[Counted], users: Sequence[UserSeen], totals: Totals) -> Suggestion:
    """Return what counts propose, the widest used first."""
    ordered = sorted(names, key=lambda one: (-one.accounts, -one.users, one.name))
    reasons = {one.name: why_not(one, totals) for one in ordered}
    good = [one for one in ordered if reasons[one.name] is None]
    return Suggestion(
        key_features=good[:MOST_FEATURES],
        log_ins=[one for one in ordered if sort_of(one.name) is Sort.LOG_IN],
        personal=[one for one in ordered if sort_of(one.name) is Sort.PERSONAL],
        automatic=[one for one in ordered if sort_of(one.name) is Sort.AUTOMATIC],
        staff=_most(user for user in users if user.accounts >= STAFF_ACCOUNTS),
        robots=_most(user for user in users if user.days >= ROBOT_DAYS and user.hours_a_day >= ROBOT_HOURS),
        passed=[
            *((one, reason) for one in ordered if (reason := reasons[one.name]) is not None),
            *((one, f"{MOST_FEATURES} others are wider used") for one in good[MOST_FEATURES:]),
        ],
    )


def why_not(one: Counted, totals: Totals) -> str | None:
    """Return why a name is no key feature, None if it is one."""
    sort = sort_of(one.name)
    by_machines = 100 - one.by_users * 100 // one.events
    judged = (
        (sort is not Sort.USE, f"looks like {sort}"),
        (by_machines > MOST_BY_MACHINES_PERCENT, f"{by_machines} % of its events have no user"),
        (one.users < LEAST_USERS, f"{one.users} users, at least {LEAST_USERS} are wanted"),
        (
            one.accounts < LEAST_ACCOUNTS or one.accounts * 100 < totals.accounts * LEAST_ACCOUNTS_PERCENT,
            f"{one.accounts} of {totals.accounts} accounts, too few",
        ),
        (one.days < LEAST_DAYS, f"{one.days} days, at least {LEAST_DAYS} are wanted"),
        (
            one.returned * 100 < one.users * LEAST_RETURNED_PERCENT,
            f"only {percent(one.returned, one.users)} of its users came back to it",
        ),
    )
    return next((reason for holds, reason in judged if holds), None)


def percent(part: int, whole: int) -> str:
    """Return a share in whole percent."""
    return f"{round(100 * part / whole) if whole else 0} %"


def _most(users: Iterable[UserSeen]) -> Sequence[UserSeen]:
    return sorted(users, key=lambda user: (-user.accounts, -user.events, user.user))[:MOST_HINTS]
