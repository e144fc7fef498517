"""Let the accounts of cases live by a habit, and ask when their silence begins to mean something."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final, NamedTuple, get_args

import numpy as np

from lab.scorecard.case import CaseFile, Day, Habit
from services.scorer.core.activity import Activity
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.calendar import country_key
from services.scorer.core.days import DAY, HORIZON_DAYS, HOUR
from services.scorer.core.silence import deadlines_of
from services.scorer.core.table import Ints

_DAYS: Final = get_args(Day)
_EPOCH: Final = date(1970, 1, 1)


class Silence(NamedTuple):
    """From when on an account counts as silent: hours after its last activity, and the day."""

    after: float
    on: date


class Habits:
    """The accounts of cases that have a habit; the others aren't here."""

    def __init__(self, file: CaseFile, *, today: int) -> None:
        habits = {place: habit for place, habit in enumerate(file.habits) if habit is not None}
        self._places, self._activity = list(habits), Activity()
        names, hashes = [f"habit {n}" for n in habits], np.arange(1, len(habits) + 1, dtype=np.uint64)
        self._rows = self._activity.add_accounts(names, hashes=hashes)
        columns = self._activity.accounts
        columns["roll"][self._rows] = 0
        columns["country"][self._rows] = [country_key(str(file.given[place].get("country") or "")) for place in habits]
        for row, (place, habit) in zip(self._rows.tolist(), habits.items(), strict=True):
            until = file.cases[place].until
            _live(self._activity, row=row, habit=habit, until=today - 1 if until is None else (until - _EPOCH).days)

    def silences(self, bundle: CompiledBundle) -> Mapping[int, Silence]:
        """Return when each counts as silent, by its place among the cases."""
        last: Ints = self._activity.accounts["last"][self._rows]
        found = deadlines_of(self._activity, rows=self._rows, last=last, bundle=bundle)
        return {
            place: Silence(round((one - since) / HOUR, 2), datetime.fromtimestamp(one / 1000, UTC).date())
            for place, one, since in zip(self._places, found.tolist(), last.tolist(), strict=True)
        }


def _live(activity: Activity, *, row: int, habit: Habit, until: int) -> None:
    """Let an account live by its habit for so many weeks up to a day."""
    columns = activity.accounts
    days = np.arange(until + 1 - 7 * habit.weeks, until + 1)
    days = days[np.isin((days + 3) % 7, [_DAYS.index(day) for day in habit.days])]
    columns["hours"][row] = 0
    columns["hours"][row, days % HORIZON_DAYS] = sum(1 << hour for hour in habit.hours)
    columns["first_day"][row], columns["front"][row] = days[0], days[-1]
    columns["last"][row] = days[-1] * DAY + max(habit.hours) * HOUR
