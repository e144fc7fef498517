"""Let accounts in America work office hours through the real core, watch and guarding, and a source stop at night.

Two hundred accounts begin between 8:00 and 10:00 by their own clock, each at its own time, and do something every four
hours; five are owls, and so the source is heard in the night too. Programs go on through a source of their own. Twenty
accounts do all they do when they begin, after 9:30; they have rested for two working days, and are silent by their own
rhythm before they come back on the third.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from tests.support.histories import calendars
from tests.support.log import DAY, HOUR, MINUTE, START
from tests.support.outage import Context, Did, World

PEOPLE: Final = 200
PROGRAMS: Final = 5
OWLS: Final = 5
RESTING: Final = 20
STOPPED: Final = "p199"
"""One of those who rest; it never comes back."""
LOCAL: Final = 4 * HOUR
"""New York is so far behind UTC from 8 March on."""
FIRST_DAY: Final = 7
BEGIN: Final = 8 * HOUR
"""When the first ones begin, by their own clock."""
STEP: Final = 5 * MINUTE

Lost = Callable[[str, int], bool]
"""Say whether what is done through a source at a moment (epoch ms) is lost."""


def local(day: int, hour: float) -> int:
    """Return the moment (epoch ms) of an hour by the accounts' clock; day 0 is a Monday."""
    return START + day * DAY + int(hour * HOUR) + LOCAL


@dataclass(slots=True, kw_only=True)
class Office:
    """A world of such accounts; `apps` are the sources of people, one each."""

    world: World
    apps: tuple[str, ...]
    late: list[Did] = field(default_factory=list)

    def copy(self) -> "Office":
        return Office(world=self.world.copy(), apps=self.apps, late=list(self.late))

    def work(self, *, until: int, step: int, rest: int, back: int, lost: Lost = lambda *_: False) -> None:
        """Live on, a tick a `step`; some rest from the day `rest` on until a moment `back`.

        What is lost comes late, together with the first event that is not lost.
        """
        while self.world.now < until:
            begin = self.world.now
            self.world.now = min(begin + step, until)
            did = list(self._did(begin, self.world.now, rest=rest, back=back))
            self.late += [one for one in did if lost(one.source, one.at)]
            came = [one for one in did if not lost(one.source, one.at)]
            ready = {one.source for one in came}
            came = [one for one in self.late if one.source in ready] + came
            self.late = [one for one in self.late if one.source not in ready]
            self.world.live(came)

    def _did(self, begin: int, end: int, *, rest: int, back: int) -> Iterator[Did]:
        """Return what is done in a span of time, in order."""
        first, last = (begin - START - LOCAL) // DAY, (end - START - LOCAL) // DAY
        done = [one for day in range(first, last + 1) for one in self._day(day)]
        for one in sorted(done, key=lambda one: one.at):
            number = int(one.account[1:]) if one.account[0] == "p" else 0
            rests = number >= PEOPLE - RESTING and one.at >= local(rest, 0)
            if begin <= one.at < end and not (rests and (one.at < back or one.account == STOPPED)):
                yield one

    def _day(self, day: int) -> Iterator[Did]:
        for hour in range(24):
            for number in range(PROGRAMS):
                yield Did(account=f"m{number}", name="Sync Run", source="api", at=local(day, hour) + number * MINUTE)
        for number in range(PEOPLE if day % 7 < 5 else 0):
            app, begins = self.apps[number % len(self.apps)], local(day, 0) + BEGIN + _minute(number) * MINUTE
            hours = (0, 1) if number >= PEOPLE - RESTING else (0, 4, 8, 15) if number < OWLS else (0, 4, 8)
            for hour in hours:
                yield Did(account=f"p{number}", name="Report Viewed", source=app, at=begins + hour * HOUR)


def _minute(number: int) -> int:
    """Return when an account begins, in minutes after the first: those who rest are the last."""
    resting = number - (PEOPLE - RESTING)
    return 90 + resting if resting >= 0 else number * 7 % 90


@cache
def after_five_weeks(apps: tuple[str, ...], *, until: int) -> Office:
    """Return an office in the night after working days up to a day; two of them had been the rest of some."""
    world = World(sources=apps, now=local(FIRST_DAY, 0), context=Context(calendars=calendars()))
    world.tell([f"p{number}" for number in range(PEOPLE)], country="US", timezone="America/New_York")
    office = Office(world=world, apps=apps)
    working = [day for day in range(FIRST_DAY, until) if day % 7 < 5]
    office.work(until=local(until, 0), step=DAY, rest=working[-2], back=local(until + 7, 0))
    return office
