"""Look at accounts as they are at a moment: what features are made of, each part worked out once, when asked for."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import numpy as np

from services.scorer.core.activity import STAGES, USER_DAYS, Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.counts import Counts
from services.scorer.core.days import DAY, HORIZON_DAYS, NO_DAY, add_up, back_from, day_of
from services.scorer.core.facts import SUBSCRIPTIONS
from services.scorer.core.goals import Progress, progress_of
from services.scorer.core.medians import Medians
from services.scorer.core.position import Position, position_of
from services.scorer.core.signals import FIRST_NAMED
from services.scorer.core.silence import deadlines_now
from services.scorer.core.table import NONE, Column, Flags, Hashes, Ints

MISSING: Final = NONE
"""The value of a feature where there is none."""
_CANCELLED: Final = SUBSCRIPTIONS.index("cancelled")


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
        self._counted: Counts | None = None

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
        days: Ints = np.count_nonzero(self._hours, axis=1)
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
        deadline[judged] = deadlines_now(
            self.activity, rows=self.rows[judged], hours=self._hours[judged], bundle=self.bundle
        )
        return deadline

    def nothing(self) -> Ints:
        """Return a column of zeros."""
        return np.zeros(len(self.rows), np.int64)

    def active_days(self, *, since: int, until: int = 0) -> Ints:
        """Count active days among D − since … D − until."""
        days: Ints = (self._active_sums[since + 1] - self._active_sums[until]).astype(np.int64)
        return days

    def events(self, group: str, *, since: int, until: int = 0) -> Ints:
        """Count the events of a group of signals on the days D − since … D − until."""
        return self._counts(days=since + 1).events(group, since=since, until=until)

    def days_with(self, group: str, *, days: int) -> Flags:
        """Say of each of the days D, D − 1, … whether it has events of a group (days × accounts)."""
        return self._counts(days=days).days_with(group, days=days)

    def _count_back(self, group: str, places: Ints, since: Ints) -> Ints:
        """Count events of a group for accounts at some places on the days D − since … D − 1."""
        counted = np.zeros(len(places), np.int64)
        for days in np.unique(since).tolist():
            its = since == days
            counted[its] = self.events(group, since=days, until=1)[places[its]]
        return counted

    def used(self, name: str, *, days: int) -> Flags:
        """Say whether a key feature was used on one of the last days."""
        return self.events(f"use:{name}", since=days - 1) > 0

    def days_since(self, group: str) -> Ints:
        """Return for how many days there was no event of a group, MISSING where there never was one."""
        latest = self._counts(days=1).latest(group)
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
        """Return the rings of active hours (accounts × 91): they lie far apart, and are fetched once."""
        return self.column("hours")

    @cached_property
    def _active_sums(self) -> Column:
        """Return on how many of the latest 0, 1, 2 … days accounts were active (92 × accounts)."""
        hours = back_from(self._hours, self.front, day=self.day, days=HORIZON_DAYS)
        sums = np.zeros((HORIZON_DAYS + 1, len(self.rows)), np.int8)
        sums[1:] = hours != 0
        return add_up(sums)

    def _counts(self, *, days: int) -> Counts:
        """Return counts of at least so many days; events are counted once if no more are asked for than is usual."""
        if self._counted is None or self._counted.days < days:
            usual = max((self.bundle.days_back[card] for card in set(self.scorecard.tolist())), default=1)
            self._counted = Counts(self.activity, rows=self.rows, day=self.day, days=max(days, usual))
        return self._counted

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
