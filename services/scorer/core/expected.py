"""Notice that an event name is missing though its users are there: what a release lost.

Each account that uses a source is expected to use each of its names as often as it did. Nobody is expected of whom
nothing comes, so nights, weekends, holidays and a source that is out mean nothing here. What people and what programs
do is told apart: a program that goes on says nothing of people who rest.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from services.scorer.core.days import DAY, HOUR
from services.scorer.core.decode import Decoded
from services.scorer.core.table import Flags, Ints

MOST_NAMES: Final = 64
MOST_ACCOUNTS: Final = 4096
HOURS: Final = 7 * 24
SHARE: Final = 0.25
"""Of what is expected: a name is missing while less comes."""
MISSED: Final = 5.0
"""How much of that share must not have come: all of twenty accounts, say."""
ENOUGH: Final = 5.0
"""What must have been expected in an hour of the week until that hour tells what is usual in it."""
BACK_SLOTS: Final = 3
"""For so many slots a name that is back must come as usual: by then its users had time to use it."""
GONE: Final = DAY
"""A name that does not come back within a day is gone for good, and forgotten."""
MOST_SLOTS: Final = 1024
"""After so many slots of an account what it did before counts half."""

SAMPLED: Final = 1024
"""Accounts of a partition that are looked at, about."""
_NAMELESS: Final = ("login", "usage", "outcome")
"""What events without a name are called, by Code."""

Floats = npt.NDArray[np.float64]


Used = tuple[int, str, bool]
"""That an account (its hash) used a name, and whether a person did: no more, for it is made once an event."""
K = TypeVar("K", bound=Hashable)


def used_in(decoded: Decoded, *, rows: Ints, accounts: int) -> Mapping[str, set[Used]]:
    """Return by source which accounts used which names in some rows of a batch, all of them presence.

    Of many `accounts` known only some are looked at, the same ones each time.
    """
    found: dict[str, set[Used]] = {}
    hashes = decoded.account[rows]
    some = hashes % np.uint64(1 + accounts // SAMPLED) == 0
    for row, account in zip(rows[some].tolist(), hashes[some].tolist(), strict=True):
        envelope = decoded.envelopes[row]
        name = envelope.data.name or _NAMELESS[decoded.code[row]]
        found.setdefault(envelope.source, set()).add((account, name, bool(envelope.data.user)))
    return found


class Lost(NamedTuple):
    """A name that is missing, when it came last (epoch ms), and how many accounts came without it since."""

    name: str
    last: int
    accounts: int


class Names:
    """The names of one source; `slot_ms` is how finely time is cut.

    The first 64 names and 4,096 accounts are looked at: what is often used comes first. Arrays are by account (A), by
    program or person (2), by name (F) and by hour of the week (168).
    """

    def __init__(self, slot_ms: int) -> None:
        self._slot_ms = slot_ms
        self._slot = -1
        self._came: set[tuple[int, int, bool]] = set()
        """Account, name (−1: none of those looked at) and whether a person did it, in the slot that runs."""
        self._accounts: dict[int, int] = {}
        self._names: dict[tuple[str, bool], int] = {}
        self._there = np.zeros((MOST_ACCOUNTS, 2), np.int32)
        """Slots in which an account came."""
        self._used = np.zeros((MOST_ACCOUNTS, MOST_NAMES), np.int32)
        """Of these, in how many it used a name."""
        self._without = np.zeros((MOST_ACCOUNTS, MOST_NAMES), bool)
        """Accounts that came without a name since it began to be missing."""
        self._missed = np.zeros(MOST_NAMES)
        self._regular = np.zeros(MOST_NAMES, np.int64)
        """Slots in which a name came since it was missing last."""
        self._last = np.full(MOST_NAMES, -1)
        self._hours = np.zeros((2, HOURS, MOST_NAMES))
        """What was expected, and what came, in each hour of the week when it was last told."""
        self._hour, self._now = -1, np.zeros((2, MOST_NAMES))

    def take(self, used: Iterable[Used], *, at: int) -> None:
        """Count what one batch brought, received at `at` (epoch ms)."""
        slot = at // self._slot_ms
        if slot > self._slot:
            self._close()
            self._slot = slot
        for account, name, by_person in used:
            row = _place(self._accounts, account, most=MOST_ACCOUNTS)
            if row >= 0:
                self._came.add((row, _place(self._names, (name, by_person), most=MOST_NAMES), by_person))

    def missing(self, *, fewest_accounts: int) -> list[Lost]:
        """Return the names so much of which is missing, for at least so many accounts, that it is no chance."""
        columns = np.flatnonzero(self._missed >= MISSED).tolist()
        if not columns:
            return []
        accounts = dict(zip(columns, self._without[:, columns].sum(0).tolist(), strict=True))
        found: dict[str, Lost] = {}
        for (name, _), column in self._names.items():
            if accounts.get(column, 0) >= fewest_accounts:
                found[name] = Lost(name, int(self._last[column] + 1) * self._slot_ms, accounts[column])
        return list(found.values())

    def is_back(self, name: str, *, since: int, now: int) -> bool:
        """Say whether a name missing since a moment (epoch ms) comes as ever again, or is gone for good."""
        columns = [column for (known, _), column in self._names.items() if known == name]
        if now >= since + GONE:
            self._used[:, columns] = 0
            self._missed[columns] = 0
            return True
        return bool(columns) and bool((self._regular[columns] >= BACK_SLOTS).all())

    def _close(self) -> None:
        """Compare the slot that is over with what was expected of the accounts that came in it, and learn from it."""
        rows, used, came = self._by_account()
        if not len(rows):
            return
        kinds = np.array([by_person for _, by_person in self._names], np.int64)
        kinds = np.pad(kinds, (0, MOST_NAMES - len(kinds)))
        there = came[:, kinds]
        chance = there * self._used[rows] / (self._there[rows][:, kinds] + 2)
        self._without[rows] = (self._without[rows] | (chance >= SHARE / 4)) & ~used
        self._compare(chance.sum(0), used.sum(0))
        self._used[rows] += used
        self._there[rows] += came
        tired = rows[self._there[rows].max(1) >= MOST_SLOTS]
        self._used[tired] //= 2
        self._there[tired] //= 2

    def _by_account(self) -> tuple[Ints, Flags, Flags]:
        """Return the rows (n) of the accounts that came, what each used (n, F), and by whom they came (n, 2)."""
        places: dict[int, int] = {}
        used, came = np.zeros((len(self._came), MOST_NAMES), bool), np.zeros((len(self._came), 2), bool)
        for row, column, by_person in self._came:
            where = places.setdefault(row, len(places))
            came[where, int(by_person)] = True
            if column >= 0:
                used[where, column] = True
        self._came.clear()
        rows = np.fromiter(places, np.int64, len(places))
        return rows, used[: len(rows)], came[: len(rows)]

    def _compare(self, expected: Floats, came: Floats) -> None:
        """Add up what is missing of each name (F), and keep what this hour tells of its hour of the week."""
        hour = self._slot * self._slot_ms // HOUR
        if hour > self._hour:
            of_week = self._hours[:, self._hour % HOURS]
            of_week[:, self._now[0] >= ENOUGH] = self._now[:, self._now[0] >= ENOUGH]
            self._hour, self._now = hour, np.zeros((2, MOST_NAMES))
        wanted = SHARE * expected * self._share(hour % HOURS)
        self._missed = np.clip(self._missed + wanted - came, 0, 2 * MISSED)
        is_usual = self._missed == 0
        self._without[:, is_usual] = False
        self._regular = np.where(is_usual, self._regular + (came > 0), 0)
        self._last[came > 0] = self._slot
        learns = self._missed < MISSED
        self._now[:, learns] += np.array([expected, came])[:, learns]

    def _share(self, hour: int) -> Floats:
        """Return how much of what is expected of the accounts usually comes in an hour of the week (F), at most all.

        An hour not known yet is like that of the day on which least came; in one known on no day nothing is expected.
        """
        expected, came = self._hours.reshape(2, 7, 24, MOST_NAMES)[:, :, hour % 24]
        shares = np.where(expected >= ENOUGH, came / np.maximum(expected, ENOUGH), np.inf)
        share = np.where(np.isinf(shares[hour // 24]), shares.min(0), shares[hour // 24])
        return np.where(np.isinf(share), 0.0, np.minimum(share, 1.0))


def _place(known: dict[K, int], key: K, *, most: int) -> int:
    """Return the number of a key, a new one while there is room, else −1."""
    return known.setdefault(key, len(known)) if key in known or len(known) < most else -1
