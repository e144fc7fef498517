"""Let accounts live two stories of which volume says the opposite of the truth: programs take over, and an exit.

Everybody works as ever for ten weeks; then the story begins.

automation   people leave their work to programs within one to four weeks, down to 5 to 25 % of it. A program does with
             0.25 to 1.3 events what people did with one. No risk
exit         half of what is done becomes exports by the admin, while up to half of the users are removed: as much is
             done as ever; then it cancels
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.importing.mapping import Row
from services.scorer.core.days import DAY, HOUR
from services.scorer.core.table import Ints
from shared.contracts.events import Kind

AUTOMATION: Final = "automation"
EXIT: Final = "exit"
PROGRAMS: Final = "api"
"""The source of what no person does."""
EXPORT: Final = "Export All Records"
STEADY_DAYS: Final = 70
STORY_DAYS: Final = {AUTOMATION: 56, EXIT: 28}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account: its users, what they do on a workday together, and how its days differ (1: always alike)."""

    name: str
    users: int
    volume: float
    moods: Ints


def rows_of(family: str, *, accounts: int, start: int, seed: int) -> Iterator[Row]:
    """Yield what the accounts of a family do from `start` (epoch ms, a Monday) on, account by account."""
    rng = np.random.default_rng([seed, len(family)])
    for number in range(accounts):
        users = int(rng.integers(4, 11))
        account, volume = f"{family}-{number}", users * rng.uniform(1.5, 3)
        shape = rng.uniform(4, 40)
        left, ramp = rng.uniform(0.05, 0.25), rng.uniform(7, 28)
        for_one = np.exp(rng.uniform(np.log(0.25), np.log(1.3)))
        for day in range(STEADY_DAYS + STORY_DAYS[family]):
            into = day - STEADY_DAYS + 1
            midnight, works = start + day * DAY, day % 7 < 5
            mood = rng.gamma(shape) / shape * works
            told = max(0.0, min(1.0, into / ramp))
            if family == AUTOMATION:
                by_hand = 1 - (1 - left) * told
                yield from _use(rng, account, midnight, count=volume * by_hand * mood, users=users)
                programs = volume * 5 / 7 * (1 - left) * told * for_one
                yield from _use(rng, account, midnight, count=programs, users=0)
            elif into <= 0:
                yield from _use(rng, account, midnight, count=volume * mood, users=users)
            else:
                gone = min(users // 2, into // 5)
                if into % 5 == 0 and into // 5 <= users // 2:
                    removed = {"user": f"u{users - gone}", "removed": True}
                    yield (0, account, midnight + 9 * HOUR, Kind.USER, "crm", f"u{users - gone}", None, removed)
                yield from _use(rng, account, midnight, count=volume * mood / 2, users=users - gone)
                yield from _use(rng, account, midnight, count=volume * mood / 2, users=1, name=EXPORT)
        if family == EXIT:
            ends = start + (STEADY_DAYS + STORY_DAYS[EXIT]) * DAY
            yield (0, account, ends, Kind.SUBSCRIPTION, "crm", None, None, {"status": "cancelled"})


def _use(
    rng: np.random.Generator, account: str, midnight: int, *, count: float, users: int, name: str = "Record Edited"
) -> Iterator[Row]:
    """Yield Poisson events of a day by any of the users, in working hours; without users, of programs at any hour."""
    hours = (8, 18) if users else (0, 24)
    for at in rng.integers(hours[0] * HOUR, hours[1] * HOUR, rng.poisson(count)).tolist():
        user = f"u{int(rng.integers(users))}" if users else None
        source = "web" if users else PROGRAMS
        yield (0, account, midnight + at, Kind.USAGE, source, user, name if users else "Sync Run", None)
