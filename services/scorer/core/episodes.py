"""Keep the episodes of accounts: when each rule opened, how severe it is, and what else is known of it."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from services.scorer.core.days import NO_DAY
from services.scorer.core.table import NONE, Column, Columns, Flags, Ints
from shared.contracts.risk import Severity

SEVERITIES: Final = (None, Severity.AT_RISK, Severity.CRITICAL, Severity.OPPORTUNITY)
"""Severities by their code in the column `severity`."""


class Episodes:
    """When each rule opened for each account (NONE: closed) and how severe it is.

    A rule that holds and is not open yet `waits`: 1, or 2 where it was so before judging began. It opens from the
    account-day `ready` on. Nothing is known of most accounts: only the others have a place, one column a rule.
    """

    def __init__(self, rules: Sequence[str] = ()) -> None:
        self.rules = list(rules)
        width = max(1, len(self.rules))
        self._accounts = Columns({"place": (np.int32, None, -1)})
        self._held = Columns(
            {
                "opened": (np.int64, width, NONE),
                "severity": (np.int8, width, 0),
                "waits": (np.int8, width, 0),
                "ready": (np.int32, width, NO_DAY),
            }
        )
        self._free = np.zeros(0, np.int64)
        """Places that nobody has."""

    @property
    def tables(self) -> tuple[Columns, Columns]:
        """What it consists of: a row an account, and a row a place."""
        return self._accounts, self._held

    def add(self, accounts: int) -> None:
        """Append accounts of which nothing is known."""
        self._accounts.add(accounts)

    def of(self, rows: Ints) -> dict[str, Column]:
        """Return what is known of some accounts: by name, rules × accounts."""
        places = self._accounts["place"][rows]
        has = np.flatnonzero(places >= 0)
        known = self._nothing(len(rows))
        for name, values in known.items():
            values[:, has] = self._held[name][places[has]].T
        return known

    def keep(self, rows: Ints, known: Mapping[str, Column]) -> None:
        """Set what is known of some accounts, as `of` returns it."""
        places = self._accounts["place"]
        is_known = np.zeros(len(rows), bool)
        for name, (_, _, first) in self._held.spec.items():
            is_known |= (known[name] != first).any(axis=0)
        has = places[rows] >= 0
        forgotten, new, some = rows[has & ~is_known], rows[is_known & ~has], np.flatnonzero(is_known)
        if forgotten.size:
            self._free = np.append(self._free, places[forgotten].astype(np.int64))
            places[forgotten] = -1
        places[new] = self._places(len(new))
        for name, values in known.items():
            self._held[name][places[rows[some]]] = values[:, some].T

    def end(self, row: int) -> dict[str, tuple[int, int]]:
        """Forget an account; return opening T and severity code of its open episodes by rule."""
        known = self.of(np.array([row]))
        opened, severity = known["opened"][:, 0].tolist(), known["severity"][:, 0].tolist()
        self.keep(np.array([row]), self._nothing(1))
        return {rule: (opened[k], severity[k]) for k, rule in enumerate(self.rules) if opened[k] != NONE}

    def open(self) -> tuple[Ints, Ints, Ints]:
        """Return account, place of the rule, and opening T of every open episode, account by account."""
        place = self._accounts["place"][: self._accounts.count]
        rows = np.flatnonzero(place >= 0)
        opened = self._held["opened"][place[rows]]
        which, rule = np.nonzero(opened != NONE)
        return rows[which], rule, opened[which, rule]

    def under(self, rules: Sequence[str], *, ahead: Flags) -> "Episodes":
        """Return the same episodes with other columns; those of rules that are not among them are left out.

        Accounts `ahead` were restored from a later moment than the one being replayed: theirs stay, after the others.
        """
        rows = np.flatnonzero(self._accounts["place"][: self._accounts.count] >= 0)
        known, ahead = self.of(rows), ahead[rows]
        later = [rule for k, rule in enumerate(self.rules) if rule not in rules and self._is_known(known, k, ahead)]
        new = Episodes([*rules, *later])
        new.add(self._accounts.count)
        now = new.of(rows)
        for rule in set(new.rules) & set(self.rules):
            whose = ahead if rule in later else slice(None)
            for name, values in known.items():
                now[name][new.rules.index(rule), whose] = values[self.rules.index(rule), whose]
        new.keep(rows, now)
        return new

    def _is_known(self, known: Mapping[str, Column], rule: int, whose: Flags) -> bool:
        """Say whether anything is known of a rule for these accounts."""
        return any((known[name][rule, whose] != first).any() for name, (_, _, first) in self._held.spec.items())

    def _nothing(self, accounts: int) -> dict[str, Column]:
        """Return what is known of accounts of which nothing is."""
        return {
            name: np.full((width or 1, accounts), first, dtype)
            for name, (dtype, width, first) in self._held.spec.items()
        }

    def _places(self, number: int) -> Ints:
        """Return places for accounts that had none: those that are free, then new ones."""
        reused, self._free = self._free[:number], self._free[number:]
        return np.append(reused, self._held.add(number - len(reused)))
