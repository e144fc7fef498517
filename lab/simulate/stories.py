"""What happens to accounts: every story with its rate, how long it lasts, and what it adds to the hazard."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from lab.simulate.population import Population
from lab.simulate.vendor import Dice, Flags, Floats, Ints, Vendor

NEVER: Final = 2**31
QUARTER_DAYS: Final = 91
STALLS: Final = 0.25
"""Share of those who sign up whose onboarding stalls."""
GOAL_MET: Final = 0.7
UNPAID_FOR_GOOD: Final = 0.25
FALLS: Final = 0.5
"""Share of lost champions after whom the others do less from day to day; else they do all of what the champion did."""


class Story(IntEnum):
    """The row of a story in every table of them."""

    ONBOARDING = 0
    STALLED_ONBOARDING = 1
    GRADUAL_DECLINE = 2
    SUDDEN_STOP = 3
    CHAMPION_LEAVES = 4
    EXIT_INTENT = 5
    AUTOMATION_ROLLOUT = 6
    SUPPORT_TROUBLE = 7
    PAYMENT_FAILURE = 8
    DETRACTOR = 9
    GOAL_MET = 10
    GOAL_MISSED = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a story goes: its chance to begin on a day, the days it lasts (least, most), its log hazard ratio."""

    rate: float = 0.0
    lasts: tuple[int, int]
    effect: float


COURSES: Final = {
    Story.ONBOARDING: Course(lasts=(30, 45), effect=0.0),
    Story.STALLED_ONBOARDING: Course(lasts=(60, 120), effect=1.5),
    Story.GRADUAL_DECLINE: Course(rate=0.0012, lasts=(60, 240), effect=2.0),
    Story.SUDDEN_STOP: Course(rate=0.0004, lasts=(30, 120), effect=2.5),
    Story.CHAMPION_LEAVES: Course(rate=0.0006, lasts=(90, 180), effect=1.0),
    Story.EXIT_INTENT: Course(rate=0.0003, lasts=(14, 35), effect=4.0),
    Story.AUTOMATION_ROLLOUT: Course(rate=0.0006, lasts=(180, 365), effect=0.0),
    Story.SUPPORT_TROUBLE: Course(rate=0.0010, lasts=(10, 30), effect=0.8),
    Story.PAYMENT_FAILURE: Course(rate=0.0012, lasts=(2, 20), effect=1.5),
    Story.DETRACTOR: Course(rate=0.0008, lasts=(60, 120), effect=1.0),
    Story.GOAL_MET: Course(lasts=(QUARTER_DAYS, QUARTER_DAYS), effect=-0.3),
    Story.GOAL_MISSED: Course(lasts=(QUARTER_DAYS, QUARTER_DAYS), effect=0.7),
}
"""An account is in one of the first seven at most, and in any of the others besides."""
ALONE: Final = slice(Story.ONBOARDING, Story.AUTOMATION_ROLLOUT + 1)
BESIDES: Final = slice(Story.SUPPORT_TROUBLE, Story.DETRACTOR + 1)
_RATES: Final = np.array([course.rate for course in COURSES.values()])
_LASTS: Final = np.array([course.lasts for course in COURSES.values()])


class Lives:
    """The story of every account, day after day: a function of seed and population that knows no one who left.

    `since` and `until` (stories, N) are the days on which each last began and ends (it is over on `until`), `strength`
    (stories, N) a number of 0-1 drawn when it began, `aims` (N) whether the running quarter's goal will be met,
    `successors` (N) how often a lost champion was followed by another.
    """

    def __init__(self, vendor: Vendor, population: Population) -> None:
        self._vendor = vendor
        self._population = population
        shape = (len(Story), len(population))
        self.since = np.full(shape, -NEVER, np.int64)
        self.until = np.full(shape, -NEVER, np.int64)
        self.strength = np.zeros(shape)
        self.aims = np.zeros(len(population), bool)
        self.successors = np.zeros(len(population), np.int64)
        self._day = -1
        self.began: Flags = np.zeros(shape, bool)

    def live(self) -> None:
        """Let the next day begin: `began` (stories, N) says what begins on it."""
        self._day += 1
        dice, count = self._vendor.dice(Dice.STORIES, self._day), len(self._population)
        self.began = np.zeros(self.since.shape, bool)
        self._one_alone(dice.random(count))
        idle = (self.until[BESIDES] <= self._day) & (self._population.joined <= self._day)
        self.began[BESIDES] = idle & (dice.random(idle.shape) < _RATES[BESIDES, None])
        self._sign_up(dice.random(count))
        self._judge_goals(dice.random(count))
        self._begin(dice)
        self.successors += self.ends(Story.CHAMPION_LEAVES)

    def severity(self) -> Floats:
        """Return how much of each story there is today (stories, N), 0-1."""
        severity = self.running().astype(np.float64)
        age = np.maximum(self._day - self.since, 0)
        severity[Story.GRADUAL_DECLINE] *= 1 - fade(self.strength[Story.GRADUAL_DECLINE]) ** (
            1 + age[Story.GRADUAL_DECLINE]
        )
        severity[Story.AUTOMATION_ROLLOUT] *= np.minimum(1, (1 + age[Story.AUTOMATION_ROLLOUT]) / 30)
        return severity

    def running(self) -> Flags:
        """Say which stories are under way today (stories, N)."""
        running: Flags = self.until > self._day
        return running

    def age(self, story: Story) -> Ints:
        """Return for how many days a story has been under way, 0 on its first and where it isn't (N)."""
        return np.where(self.until[story] > self._day, self._day - self.since[story], 0)

    def ends(self, story: Story) -> Flags:
        """Say for whom a story is over since today (N)."""
        over: Flags = self.until[story] == self._day
        return over

    def sets_goal(self) -> Flags:
        """Say for whom a quarter begins: every 91 days after the signature (N)."""
        age = self._day - self._population.joined
        sets: Flags = (age >= 0) & (age % QUARTER_DAYS == 0)
        return sets

    def _one_alone(self, chance: Floats) -> None:
        """Begin at most one of the stories that exclude each other, in who has none."""
        idle = (self.until[ALONE] <= self._day).all(axis=0) & (self._population.joined < self._day)
        which = np.searchsorted(np.cumsum(_RATES[ALONE]), chance, side="right")
        rows = np.flatnonzero(idle & (which < ALONE.stop))
        self.began[which[rows], rows] = True

    def _sign_up(self, chance: Floats) -> None:
        joins = self._population.joined == self._day
        self.began[Story.STALLED_ONBOARDING] = joins & (chance < STALLS)
        self.began[Story.ONBOARDING] = joins & (chance >= STALLS)

    def _judge_goals(self, chance: Floats) -> None:
        """End a quarter with its goal met or missed, and decide how the next one will end."""
        sets = self.sets_goal()
        judged = sets & (self._day > self._population.joined) & (self._day >= QUARTER_DAYS)
        self.began[Story.GOAL_MET] = judged & self.aims
        self.began[Story.GOAL_MISSED] = judged & ~self.aims
        self.aims = np.where(sets | (self._day == 0), chance < GOAL_MET, self.aims)

    def _begin(self, dice: np.random.Generator) -> None:
        story, rows = np.nonzero(self.began)
        least, most = _LASTS[story].T
        strength = dice.random(len(rows))
        until = self._day + dice.integers(least, most, endpoint=True)
        unpaid = (story == Story.PAYMENT_FAILURE) & (strength < UNPAID_FOR_GOOD)
        self.since[story, rows] = self._day
        self.until[story, rows] = np.where(unpaid, NEVER, until)
        self.strength[story, rows] = strength


def fade(strength: Floats) -> Floats:
    """Return what of its use a declining account keeps from one day to the next: 0.93 to 0.98."""
    return 0.93 + 0.05 * strength
