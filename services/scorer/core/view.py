"""Look at accounts as they are at a moment: what features are made of, each part worked out once, when asked for."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import numpy as np

from services.scorer.core.activity import STAGES, USER_DAYS, Activity, Links
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.days import DAY, HORIZON_DAYS, NO_DAY, back_from, day_of
from services.scorer.core.facts import SUBSCRIPTIONS
from services.scorer.core.goals import Progress, progress_of
from services.scorer.core.medians import Medians
from services.scorer.core.position import Position, position_of
from services.scorer.core.signals import FIRST_NAMED, GROUPS, codes_of
from services.scorer.core.silence import deadlines_of
from services.scorer.core.table import NONE, Column, Hashes, Ints

MISSING: Final = NONE
"""The value of a feature where there is none."""
_CANCELLED: Final = SUBSCRIPTIONS.index("cancelled")

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


class View:
    """The accounts `rows` at their moments `at` (epoch ms); every number is a column of as many values.

    Without `medians` nothing is known of segments.
    """

    def __init__(
        self, at: Ints, *, rows: Ints, activity: Activity, bundle: CompiledBundle, medians: Medians | None = None
    ) -> None:
        self.at = at
        self.rows = rows
        self.activity = activity
        self.bundle = bundle
        self.day: Ints = day_of(at, roll=activity.accounts["roll"][rows])
        self.front: Ints = self.column("front").astype(np.int64)
        self.present: Flags = self.front != NO_DAY
        self.judged: Mapping[str, Ints] = {}
        """What is made of features, once it is: health and band."""
        self._medians = medians or Medians()
        self._sums: dict[str, Ints] = {}

    def column(self, name: str) -> Column:
        """Return a column of the accounts."""
        return self.activity.accounts[name][self.rows]

    @cached_property
    def last(self) -> Ints:
        """Return the latest presence (epoch ms), MISSING where there was none."""
        last: Ints = self.column("last")
        return last

    @cached_property
    def tenure(self) -> Ints:
        """Return how many days accounts are known, today included."""
        tenure: Ints = self.day - self.column("first_day").astype(np.int64) + 1
        return tenure

    @cached_property
    def active_days_ever(self) -> Ints:
        """Return on how many days accounts were active that are not forgotten."""
        days: Ints = np.count_nonzero(self.column("hours"), axis=1)
        return days

    @cached_property
    def evident(self) -> Flags:
        """Say of which accounts there is evidence enough to judge."""
        least = self.bundle.scorecard.evidence
        return self.present & (self.tenure >= least.days) & (self.active_days_ever >= least.active_days)

    @cached_property
    def ended(self) -> Flags:
        """Say which accounts are customers no more."""
        ended: Flags = self.column("deleted") | (self.column("subscription") == _CANCELLED)
        return ended

    @cached_property
    def stage(self) -> Ints:
        """Return the number of each account's lifecycle stage: the one told, else what it follows from (§7)."""
        at = self.bundle.scorecard.stages
        trial, onboarding, renewal, adoption = range(len(STAGES))
        until = self.column("renewal_day").astype(np.int64) - self.day
        is_due = (self.column("renewal_day") != NO_DAY) & (until >= 0) & (until <= at.renewal_days)
        is_new = ~self.present | (self.tenure < at.onboarding_days)
        derived = np.where(is_new, onboarding, np.where(is_due, renewal, adoption))
        told = self.column("stage").astype(np.int64)
        return np.where(told >= 0, told, np.where(self.column("trial"), trial, derived))

    @cached_property
    def position(self) -> Position:
        """Return where accounts stand in their journey."""
        return position_of(
            self.at, day=self.day, rows=self.rows, stage=self.stage, activity=self.activity, bundle=self.bundle
        )

    @cached_property
    def progress(self) -> Progress:
        """Return how far accounts are on the way to their goals."""
        goals = self.activity.goals
        mine = {place: goals[row] for place, row in enumerate(self.rows.tolist()) if row in goals} if goals else {}
        named = self.bundle.scorecard.key_features
        return progress_of(self.day, goals=mine, key_features=named, count=self._count_back)

    @cached_property
    def scorecard(self) -> Ints:
        """Return the place among the bundle's scorecards of the one each account is scored by."""
        chosen, activity = self.nothing(), self.activity
        for use in reversed(self.bundle.uses):
            fits = np.ones(len(self.rows), bool)
            for words, known, numbers in (
                (use.segments, activity.segments, self.column("segment")),
                (use.stages, activity.stages, self.stage),
            ):
                if words is not None:
                    fits &= np.isin(numbers, [known.find(word) for word in words])
            chosen[fits] = self.bundle.scorecard_names.index(use.scorecard)
        chosen[self.overridden] = len(self.bundle.scorecard_names) - 1
        return chosen

    @cached_property
    def overridden(self) -> Flags:
        """Say of which accounts somebody set the health, for today at least."""
        set_by_hand: Flags = (self.column("override") >= 0) & (self.day <= self.column("override_until"))
        return set_by_hand

    @cached_property
    def deadline(self) -> Ints:
        """Return when silence becomes abnormal (epoch ms), MISSING where that can't be told."""
        deadline = np.full(len(self.rows), MISSING)
        judged = np.flatnonzero(self.evident & ~self.ended)
        rows, last = self.rows[judged], self.last[judged]
        deadline[judged] = deadlines_of(self.activity, rows=rows, last=last, bundle=self.bundle)
        return deadline

    def nothing(self) -> Ints:
        """Return a column of zeros."""
        return np.zeros(len(self.rows), np.int64)

    def active_days(self, *, since: int, until: int = 0) -> Ints:
        """Count active days among D − since … D − until."""
        days: Ints = np.count_nonzero(self._hours[:, until : since + 1], axis=1)
        return days

    def events(self, group: str, *, since: int, until: int = 0) -> Ints:
        """Count the events of a group of signals on the days D − since … D − until."""
        sums = self._running_sums(group, days=since + 1)
        counted: Ints = sums[:, since + 1] - sums[:, until]
        return counted

    def days_with(self, group: str, *, days: int) -> Flags:
        """Say of each of the days D, D − 1, … whether it has events of a group (accounts × days)."""
        sums = self._running_sums(group, days=days)
        found: Flags = np.diff(sums[:, : days + 1], axis=1) > 0
        return found

    def _count_back(self, group: str, places: Ints, since: Ints) -> Ints:
        """Count events of a group for accounts at some places on the days D − since … D − 1."""
        sums = self._running_sums(group, days=HORIZON_DAYS)
        counted: Ints = sums[places, since + 1] - sums[places, 1]
        return counted

    def used(self, name: str, *, days: int) -> Flags:
        """Say whether a key feature was used on one of the last days."""
        return self.events(f"use:{name}", since=days - 1) > 0

    def days_since(self, group: str) -> Ints:
        """Return for how many days there was no event of a group, MISSING where there never was one."""
        latest = np.full(len(self.rows), NO_DAY, np.int64)
        for where, links in self._links_of(group):
            latest[where] = np.maximum(latest[where], self.activity.signals["front"][links])
        return np.where(latest == NO_DAY, MISSING, np.maximum(0, self.day - latest))

    def users_since(self, days: int) -> Ints:
        """Count users whose latest day is after D − days."""
        where, _, back = self._users
        return np.bincount(where[back < days], minlength=len(self.rows))

    def users_on(self, *, since: int, until: int = 0) -> Ints:
        """Count users active on one of the days D − since … D − until, of at most 32 days."""
        where, days, _ = self._users
        return np.bincount(where[days & _bits(since, until) != 0], minlength=len(self.rows))

    def active_days_of_users(self, *, since: int, until: int = 0) -> tuple[Ints, Ints]:
        """Return the active days of each user among D − since … D − until, and the place of its account in `rows`."""
        where, days, _ = self._users
        return np.bitwise_count(days & _bits(since, until)).astype(np.int64), where

    def days_of_users(self) -> tuple[Ints, Hashes, Ints]:
        """Return of each user the place of its account in `rows`, active days (bit n: latest - n), the latest one."""
        where, rows = self._user_rows
        users = self.activity.users
        return where, users["days"][rows].astype(np.uint64), users["last_day"][rows].astype(np.int64)

    def users_of(self, name: str, *, days: int) -> Ints:
        """Count users who used a key feature after D − days."""
        where, signal, last = self._uses
        known = name in self.activity.signal_names
        number = FIRST_NAMED + self.activity.signal_names.index(name) if known else -1
        counts = (signal == number) & (last > self.day[where] - days) & (last > self.front[where] - USER_DAYS)
        return np.bincount(where[counts], minlength=len(self.rows))

    def usual(self, feature: str) -> Ints:
        """Return the median of a feature in the account's segment, MISSING where there is none."""
        segments = self.column("segment").astype(np.int64)
        return self._medians.of(feature, days=self.at // DAY, segments=segments, names=self.activity.segments.texts)

    @cached_property
    def _hours(self) -> Column:
        """Return the active hours of the days D, D − 1, … that are not forgotten (accounts × days)."""
        activity = self.activity.accounts
        return back_from(activity["hours"], activity["front"], rows=self.rows, day=self.day, days=HORIZON_DAYS)

    def _running_sums(self, group: str, *, days: int) -> Ints:
        """Return counts of the latest 0, 1, 2 … days, at least up to `days`."""
        if group in self._sums and self._sums[group].shape[1] > days:
            return self._sums[group]
        days = max(days, self._days_back)
        sums, signals = np.zeros((len(self.rows), days + 1), np.int64), self.activity.signals
        for where, links in self._links_of(group):
            sums[where, 1:] += back_from(signals["count"], signals["front"], rows=links, day=self.day[where], days=days)
        self._sums[group] = np.cumsum(sums, axis=1, out=sums)
        return sums

    @cached_property
    def _days_back(self) -> int:
        """Return of how many days events are counted at most, so that they are counted once."""
        return max((self.bundle.days_back[card] for card in set(self.scorecard.tolist())), default=1)

    def _links_of(self, group: str) -> Links:
        """Return links of the accounts' signals, without those of other groups."""
        signals = self.activity.signals
        is_its = np.zeros(FIRST_NAMED + len(self.activity.signal_names), bool)
        kind, _, name = group.partition(":")
        if kind == "use":
            is_its[FIRST_NAMED:] = [known == name for known in self.activity.signal_names]
        else:
            is_its[:] = np.isin(codes_of(self.activity.signal_names), list(GROUPS[kind]))
        kept = [(where, links, is_its[signals["signal"][links]]) for where, links in self._signals]
        return [(where[its], links[its]) for where, links, its in kept if its.any()]

    @cached_property
    def _signals(self) -> Links:
        return self.activity.chain(self.activity.signals, head="first_signal", accounts=self.rows)

    @cached_property
    def _users(self) -> tuple[Ints, Hashes, Ints]:
        """Return of every user not forgotten the place of its account, active days (bit n: D − n), D − last_day."""
        where, days, last = self.days_of_users()
        back = self.day[where] - last
        behind = days << np.clip(back, 0, 63).astype(np.uint64)
        return where, np.where(back < 0, days >> np.clip(-back, 0, 63).astype(np.uint64), behind), back

    @cached_property
    def _user_rows(self) -> tuple[Ints, Ints]:
        """Return of every user not forgotten the place of its account, and its row."""
        users = self.activity.users
        where, rows = self.activity.rows_of(users, head="first_user", accounts=self.rows)
        last = users["last_day"][rows].astype(np.int64)
        kept = (last != NO_DAY) & (last > self.front[where] - USER_DAYS)
        return where[kept], rows[kept]

    @cached_property
    def _uses(self) -> tuple[Ints, Ints, Ints]:
        """Return of every use of a key feature: place of the account in `rows`, signal, the user's latest day."""
        uses = self.activity.uses
        where, rows = self.activity.rows_of(uses, head="first_use", accounts=self.rows)
        last = uses["last_day"][rows].astype(np.int64)
        kept = last != NO_DAY
        return where[kept], uses["signal"][rows[kept]].astype(np.int64), last[kept]


def _bits(since: int, until: int) -> np.uint64:
    return np.uint64((1 << since + 1) - (1 << until))
