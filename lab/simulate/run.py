"""Let a vendor's customers live day after day, and write what happens to a file and the truth to another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lab.simulate.facts import Fact, cancelled, facts_of
from lab.simulate.hazard import risks
from lab.simulate.lines import ROWS_A_BLOCK, Writer
from lab.simulate.order import Waiting
from lab.simulate.places import date_of, offset_ms
from lab.simulate.population import Population, population_of
from lab.simulate.scene import Scene, scene_of
from lab.simulate.stories import Lives
from lab.simulate.truth import truth_lines
from lab.simulate.usage import ACTIONS, NOBODY, Columns, apps_of, joined, usage_of
from lab.simulate.vendor import DAY, HOUR, Dice, Ints, Vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day: the events whose time has come, in order, `at` in epoch ms, `facts` by their `what`; and its truth.

    The stories in `scene` and the writer go on with the next day: use them before asking for it.
    """

    scene: Scene
    events: Columns
    facts: Mapping[int, Fact]
    writer: Writer

    def blocks(self, *, rows: int = ROWS_A_BLOCK) -> Iterator[bytes]:
        """Yield the events as lines of `churn.events.v1` JSON, so many at a time; once only, as ids count on."""
        return self.writer.blocks(self.events, self.facts, rows=rows)


def simulate(vendor: Vendor, population: Population) -> Iterator[Day]:
    """Yield day after day; memory holds the events of two days, and grows with the accounts alone.

    A day is a date, and it begins in Tokyo before it does in Chicago: events wait until none earlier can come. With the
    last day comes all that is left.
    """
    lives, writer, waiting = Lives(vendor, population), Writer(vendor, population), Waiting()
    gone, told = np.zeros(len(population), bool), 0
    for number in range(vendor.days):
        lives.live()
        writer.follow(lives)
        scene = scene_of(vendor, population, lives, day=number, gone=gone)
        gone |= scene.leaves
        events, facts = _happens(scene, told)
        told += len(facts)
        waiting.add(events, facts)
        last = number == vendor.days - 1
        until = None if last else vendor.midnight(number + 1) - int(_offsets(vendor, number + 1).max())
        ready, facts = waiting.before(until)
        yield Day(scene=scene, events=ready, facts=facts, writer=writer)


def write(vendor: Vendor, *, out: Path, truth: Path) -> int:
    """Write events to `out` and what is true of the accounts to `truth`; return how many events there are."""
    events, population = 0, population_of(vendor)
    with out.open("wb") as file, truth.open("wb") as told:
        for day, risk in zip(simulate(vendor, population), risks(vendor, population), strict=True):
            file.writelines(day.blocks())
            told.write(truth_lines(day.scene, risk))
            events += len(day.events)
    return events


def _happens(scene: Scene, told: int) -> tuple[Columns, dict[int, Fact]]:
    """Return the events of a day, `at` in epoch ms, and its facts by their `what`; `told` were told before."""
    vendor, population = scene.vendor, scene.population
    dice = vendor.dice(Dice.FACTS, scene.day)
    ends = np.where(scene.leaves, dice.integers(14 * HOUR, 18 * HOUR, len(population)), DAY)
    facts = [fact for fact in facts_of(scene, dice) if fact.at < ends[fact.account]]
    facts += [cancelled(scene, row, at=int(ends[row])) for row in np.flatnonzero(scene.leaves).tolist()]
    numbered = dict(enumerate(facts, len(ACTIONS) + told))
    usage = usage_of(scene, vendor.dice(Dice.USE, scene.day))
    kept = usage.take(usage.at < ends[usage.account])
    events = joined([_columns(numbered, books=len(apps_of(vendor)) - 1), kept])
    ahead = _offsets(vendor, scene.day)[population.country]
    return replace(events, at=events.at + vendor.midnight(scene.day) - ahead[events.account]), numbered


def _columns(facts: Mapping[int, Fact], *, books: int) -> Columns:
    return Columns(
        account=np.array([fact.account for fact in facts.values()], np.int64),
        user=np.full(len(facts), NOBODY),
        what=np.array(list(facts), np.int64),
        app=np.full(len(facts), books),
        at=np.array([fact.at for fact in facts.values()], np.int64),
    )


def _offsets(vendor: Vendor, number: int) -> Ints:
    """Return how far the local time of each country is ahead of UTC on a day (ms)."""
    date = date_of(vendor.midnight(number))
    return np.array([offset_ms(country, date) for country in vendor.countries], np.int64)
