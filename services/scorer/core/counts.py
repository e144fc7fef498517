"""Count the events of accounts by day, over groups of their signals."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.scorer.core.activity import Activity
from services.scorer.core.days import NO_DAY, add_up, back_from
from services.scorer.core.signals import FIRST_NAMED, GROUPS, codes_of
from services.scorer.core.table import Flags, Ints


class Counts:
    """The events of accounts `rows` (n) on their `day` (n) and before it, `days` in all."""

    def __init__(self, activity: Activity, *, rows: Ints, day: Ints, days: int) -> None:
        self.days = days
        self._activity = activity
        self._day = day
        where, signals = activity.rows_of(activity.signals, head="first_signal", accounts=rows)
        order = np.argsort(where, kind="stable")
        self._where, self._signals = where[order], signals[order]
        self._known: dict[str, tuple[Ints, Ints, Ints]] = {}

    def events(self, group: str, *, since: int, until: int = 0) -> Ints:
        """Count the events of a group of signals on the days D − since … D − until."""
        which, begins, accounts = self._of(group)
        counted = np.zeros(len(self._day), np.int64)
        if which.size:
            counted[accounts] = np.add.reduceat((self._sums[since + 1] - self._sums[until])[which], begins)
        return counted

    def days_with(self, group: str, *, days: int) -> Flags:
        """Say of each of the days D, D − 1, … whether it has events of a group (days × accounts)."""
        which, begins, accounts = self._of(group)
        found = np.zeros((days, len(self._day)), bool)
        if which.size:
            sums = self._sums[: days + 1, which]
            found[:, accounts] = np.logical_or.reduceat(sums[1:] != sums[:-1], begins, axis=1)
        return found

    def latest(self, group: str) -> Ints:
        """Return the latest day with events of a group, NO_DAY where there never was one."""
        which, begins, accounts = self._of(group)
        days = np.full(len(self._day), NO_DAY, np.int64)
        if which.size:
            days[accounts] = np.maximum.reduceat(self._activity.signals["front"][self._signals[which]], begins)
        return days

    @cached_property
    def _sums(self) -> npt.NDArray[np.int32]:
        """Return how many events each signal had on the latest 0, 1, 2 … days (days + 1 × signals).

        91 days of at most 65,535 events, of all signals of an account: no sum comes near to what 32 bits hold.
        """
        columns, signals = self._activity.signals, self._signals
        sums = np.zeros((self.days + 1, len(signals)), np.int32)
        sums[1:] = back_from(
            columns["count"][signals], columns["front"][signals], day=self._day[self._where], days=self.days
        )
        return add_up(sums)

    def _of(self, group: str) -> tuple[Ints, Ints, Ints]:
        """Return places of a group's signals, by account, and of each account that has some: their begin, its place."""
        if group not in self._known:
            which = np.flatnonzero(self._is_in(group)[self._activity.signals["signal"][self._signals]])
            where = self._where[which]
            begins = np.flatnonzero(np.diff(where, prepend=-1))
            self._known[group] = which, begins, where[begins]
        return self._known[group]

    def _is_in(self, group: str) -> Flags:
        """Say of each signal, by its number, whether it is one of a group."""
        names = self._activity.signal_names
        kind, _, name = group.partition(":")
        if kind == "use":
            return np.array([False] * FIRST_NAMED + [known == name for known in names])
        return np.isin(codes_of(names), list(GROUPS[kind]))
