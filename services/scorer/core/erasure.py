"""Forget an account or one of its users, and keep them forgotten (docs/scoring.md §3).

Erasures are rare: what they leave is kept in small dictionaries, not in columns that every account would pay for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.scorer.core.activity import ACCOUNTS, Activity
from services.scorer.core.facts import Facts
from services.scorer.core.table import Flags, Hashes, Ints

NEVER: Final = -1
_HEADS: Final = frozenset({"first_signal", "first_user", "first_use", "first_source", "first_mark"})
_KEPT: Final = _HEADS | {"roll", "hash", "upto"}
_NOT_DUE: Final = np.iinfo(np.int64).max

Entry = tuple[int, bool, bool, int, int]


@dataclass(slots=True)
class Erased:
    """What is remembered of an erased account: erased_at, and the tick (T, offset) that removed its health.

    `gone` while nothing came since; `pending` until a tick has ended its episodes.
    """

    at: int = NEVER
    gone: bool = True
    pending: bool = False
    tick: int = NEVER
    offset: int = NEVER


class Erasures:
    """Erased accounts by row, and erased users by account row and user hash."""

    def __init__(self) -> None:
        self.accounts: dict[int, Erased] = {}
        self.users: dict[int, dict[int, int]] = {}

    def ignores(self, accounts: Ints, *, at: Ints) -> Flags:
        """Say of each event whether its account was erased at or after it."""
        ignored = np.zeros(len(accounts), bool)
        if self.accounts:
            for where in np.flatnonzero(np.isin(accounts, list(self.accounts))).tolist():
                ignored[where] = at[where] <= self.accounts[int(accounts[where])].at
        return ignored

    def without(self, accounts: Ints, *, users: Hashes, at: Ints) -> Hashes:
        """Return the user of each event, 0 where that user was erased at or after it."""
        if not self.users:
            return users
        users = users.copy()
        for where in np.flatnonzero(np.isin(accounts, list(self.users))).tolist():
            erased_at = self.users[int(accounts[where])].get(int(users[where]), NEVER)
            if at[where] <= erased_at:
                users[where] = 0
        return users

    def come(self, accounts: Ints) -> None:
        """Note that something was applied to these accounts: they are not gone any more."""
        if self.accounts:
            for row in self.accounts.keys() & set(accounts.tolist()):
                self.accounts[row].gone = False

    def gone(self) -> list[int]:
        """Return the rows of accounts that are gone."""
        return [row for row, erased in self.accounts.items() if erased.gone]

    def pending(self) -> list[int]:
        """Return the rows of accounts erased since the last tick that evaluated, ascending."""
        return sorted(row for row, erased in self.accounts.items() if erased.pending)

    def removed(self, row: int, *, at: int, offset: int) -> None:
        """Note the tick that ended an erased account's episodes and removed its health."""
        erased = self.accounts[row]
        erased.pending, erased.tick, erased.offset = False, at, offset

    def tick(self, row: int) -> int | None:
        """Return T of the tick that removed an account's health, if it was ever erased."""
        erased = self.accounts.get(row)
        return None if erased is None or erased.tick == NEVER else erased.tick

    def entries(self, rows: Iterable[int]) -> tuple[dict[int, Entry], dict[int, dict[int, int]]]:
        """Return what a checkpoint keeps of some accounts, and of their users."""
        some = set(rows)
        accounts = {
            row: (erased.at, erased.gone, erased.pending, erased.tick, erased.offset)
            for row, erased in self.accounts.items()
            if row in some
        }
        return accounts, {row: dict(users) for row, users in self.users.items() if row in some}

    def restore(self, accounts: dict[int, Entry], users: dict[int, dict[int, int]]) -> None:
        """Take what `entries` returned."""
        self.accounts |= {row: Erased(*entry) for row, entry in accounts.items()}
        self.users |= users


def erase(erasures: Erasures, *, row: int, user: int, at: int, activity: Activity, facts: Facts) -> None:
    """Apply an erasure at `at` to an account, or to one of its users (`user` 0: none is named)."""
    if user:
        _erase_user(erasures, row=row, user=user, at=at, activity=activity)
        return
    known = erasures.accounts.setdefault(row, Erased())
    known.at, known.gone, known.pending = at, True, True
    _clear(row, activity=activity, facts=facts)


def _erase_user(erasures: Erasures, *, row: int, user: int, at: int, activity: Activity) -> None:
    columns = activity.accounts
    users = erasures.users.setdefault(row, {})
    if at <= users.get(user, NEVER):
        return
    users[user] = at
    activity.forget_user(row, user=np.uint64(user))
    is_new = not columns["touched"][row] and columns["evaluated_offset"][row] < 0
    if is_new and row not in erasures.accounts:
        erasures.accounts[row] = Erased()
        columns["due"][row] = _NOT_DUE
    elif row not in erasures.accounts or not erasures.accounts[row].gone:
        columns["touched"][row] = True


def _clear(row: int, *, activity: Activity, facts: Facts) -> None:
    """Set an account back to what a new one is; the rows of its signals, users and sources stay, empty."""
    for name, (_, _, first) in ACCOUNTS.items():
        if name not in _KEPT:
            activity.accounts[name][row] = first
    activity.accounts["due"][row] = _NOT_DUE
    activity.empty_chains(row)
    activity.goals.pop(row, None)
    activity.closures.pop(row, None)
    for known in (facts.fields, facts.attributes, facts.listed, facts.overrides):
        known.pop(row, None)
