"""Enumerate schedules: which lives a scorer has, where each ends, and who else is still awake.

    first life    ----o----o----o----o---->        o  an effect; the world is copied there
                      |    '--- second life --o----o---->
                      |                       '--- last life, to the end of the log; then everything is compared

Lives share their beginnings: a schedule costs no more than its last life. A world from which a life was run already is
not run from again, so that no two schedules counted are the same.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab import oracle
from services.scorer.core.known import KnownAt
from services.scorer.cores import Core
from services.scorer.quarantine import EXITS
from tests.faults.sim.process import Pace, Process
from tests.faults.sim.truth import Truths, differences, watch
from tests.faults.sim.world import EventLogs, World

DRAIN_CYCLE_S = 100.0
"""Nobody reads what a last life would write into the checkpoint."""
UNTIL_S = 200.0
"""Virtual seconds after which a life that is not over is stuck."""

LONGEST_TOGETHER = 100
"""Effects for which two owners of a partition act by turns. It is the fence, off here, that parts them in the end: two
that fill Redis in step would spoil each other's fill for as long as both live."""

FILLING = ("redis_downs", "redis_losses")
"""Families in which Redis must be filled again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A schedule after which something is not as it must be."""

    family: str
    case: str
    lives: str
    found: Sequence[str]


@dataclass(slots=True, kw_only=True)
class Case:
    """Logs, a core and a pace."""

    name: str
    logs: EventLogs
    truths: Truths
    new_core: Callable[[], Core[Any]]
    contexts: oracle.Contexts
    known_at: KnownAt
    partitions: Sequence[int]
    pace: Pace
    poison: int | None = None
    """Number of the record on which the core raises."""


@dataclass(slots=True, kw_only=True)
class Found:
    """What exploring has come to."""

    schedules: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.schedules.values())


class Explorer:
    """Runs the schedules of one case. The core is the same in all lives: it keeps nothing but what it worked out."""

    def __init__(self, case: Case, found: Found, *, is_enough: Callable[[], bool] = lambda: False) -> None:
        self.case = case
        self.found = found
        self.is_enough = is_enough
        self._core = case.new_core()
        self._drained: set[int] = set()

    # lives

    def process(self, world: World, *, drains: bool = False, pace: Pace | None = None) -> Process:
        """Return a process that is about to start in a world."""
        case = self.case
        process = Process(
            world,
            core=self._core,
            known_at=case.known_at,
            partitions=case.partitions,
            pace=pace or case.pace,
            drains=drains,
            poison=case.poison,
        )
        watch(process, case.truths)
        process.start()
        return process

    def life(self, world: World) -> tuple[Process, list[tuple[int, World]]]:
        """Live to the end; return the worlds that a crash on the way would leave behind, by number of effects."""
        process = self.process(world)
        worlds = recorded(process)
        process.run(until=UNTIL_S)
        process.on_effect = None
        return process, distinct(worlds)

    def judge(self, family: str, lives: str, process: Process) -> None:
        """Count a schedule and compare."""
        self.found.schedules[family] = self.found.schedules.get(family, 0) + 1
        found = differences(process, self.case.truths)
        process.clock.drop()
        if found:
            self.found.violations.append(Violation(family=family, case=self.case.name, lives=lives, found=tuple(found)))

    def drain(self, family: str, lives: str, worlds: Iterable[tuple[int, World]]) -> None:
        """Run a last life from each world: as fast as it can, with batches of another size."""
        for number, world in worlds:
            if self.is_enough():
                return
            key = world.key()
            if key in self._drained:
                continue
            self._drained.add(key)
            batch = (1, 3, 100)[number % 3]
            pace = replace(self.case.pace, batch=batch, cycle_s=DRAIN_CYCLE_S)
            process = self._last_life(world.copy(), pace)
            self.judge(family, f"{lives} crash {number}", process)

    def _last_life(self, world: World, pace: Pace) -> Process:
        """Live until done, as many lives as a poisoned record takes and no more."""
        for _ in range(EXITS if self.case.poison is not None else 0):
            process = self.process(world, drains=True, pace=pace)
            process.run(until=UNTIL_S)
            if process.end is None:
                return process
            process.clock.drop()
        process = self.process(world, drains=True, pace=pace)
        process.run(until=UNTIL_S)
        return process

    def new(self) -> World:
        return World.new(self.case.logs)

    # families

    def crashes(self) -> None:
        """Crash once, and twice, after every effect."""
        first, worlds = self.life(self.new())
        self.judge("no crash", "", first)
        for number, world in worlds:
            if self.is_enough():
                return
            second, more = self.life(world.copy())
            self.judge("one crash", f"crash {number}", second)
            self.drain("two crashes", f"crash {number},", more)

    def failed_sends(self) -> None:
        """Let each send fail once: the process must end, and the next one make up for it."""
        probe = self.process(self.new())
        probe.run(until=UNTIL_S)
        for number in range(1, probe.sends + 1):
            process = self.process(self.new())
            process.fail_at = number
            process.run(until=UNTIL_S)
            lives = f"send {number} fails,"
            if process.end is None:
                self.judge("failed send", lives, process)
            else:
                second, worlds = self.life(process.world.copy())
                self.judge("failed send", lives, second)
                self.drain("failed send", lives, worlds)

    def zombies(self, *, strides: Sequence[int] = (0, 1, 4, 9, 16, 25)) -> None:
        """Stop a process at every effect, let another take over, and wake the first; then both crash anywhere."""
        effects = self._effects()
        for stopped in range(effects + 1):
            for ahead in strides:
                if self.is_enough():
                    return
                for alternating in (False, True):
                    self._zombie(stopped, ahead, alternating=alternating)

    def _zombie(self, stopped: int, ahead: int, *, alternating: bool) -> None:
        world = self.new()
        old = self.process(world)
        run_effects(old, stopped)
        new = self.process(world)
        run_effects(new, ahead)
        lives = f"stopped {stopped}, other {ahead}{' alternating' if alternating else ''},"
        worlds: list[World] = []
        for _ in range(LONGEST_TOGETHER if alternating else 0):
            if old.end or new.end or not run_effects(old, 1, worlds):
                break
            run_effects(new, 1, worlds)
        run_effects(old, 1000, worlds)
        run_effects(new, 1000, worlds)
        self.judge("zombie", lives, new)
        self.drain("zombie", lives, distinct(worlds))

    def handovers(self, *, strides: Sequence[int] = (2, 6, 12, 20, 1000)) -> None:
        """Give the partitions up anywhere, let another process go on from there, and take them back."""
        effects = self._effects()
        for given_up in range(effects + 1):
            for ahead in strides:
                if self.is_enough():
                    return
                self._handover(given_up, ahead)

    def _handover(self, given_up: int, ahead: int) -> None:
        world = self.new()
        old = self.process(world)
        run_effects(old, given_up)
        old.give_up()
        other = self.process(world)
        run_effects(other, ahead)
        lives = f"given up {given_up}, other {ahead},"
        worlds: list[World] = []
        if ahead % 4:
            other.give_up()
        else:
            other.clock.drop()
        old.take_again()
        run_effects(old, 1000, worlds)
        self.judge("handover", lives, old)
        self.drain("handover", lives, distinct(worlds))

    def redis_losses(self) -> None:
        """Empty Redis at every effect; then crash anywhere."""
        assert self.case.pace.refill, "nobody would write it again"
        for number in range(1, self._effects() + 1):
            if self.is_enough():
                return
            process = self.process(self.new())
            run_effects(process, number)
            process.world.lose_redis()
            worlds = [process.world.copy()]
            run_effects(process, 1000, worlds)
            self.judge("redis lost", f"lost {number}", process)
            self.drain("redis lost", f"lost {number},", distinct(worlds))

    def redis_downs(self) -> None:
        """Let Redis fail from every effect on, for longer than anybody waits; crash anywhere, and then it is back."""
        for number in range(1, self._effects() + 1):
            if self.is_enough():
                return
            process = self.process(self.new(), pace=replace(self.case.pace, after_s=8.0))
            run_effects(process, number)
            process.redis_is_down = True
            worlds = [process.world.copy()]
            run_effects(process, 1000, worlds)
            self.drain("redis down", f"down {number},", distinct(worlds))

    def poisons(self) -> None:
        """Let the core raise on a record: two lives end there, the third sets it aside. Crash anywhere in all three."""
        assert self.case.poison is not None, "nothing would raise"
        first, worlds = self.life(self.new())
        first.clock.drop()
        for number, world in worlds:
            if self.is_enough():
                return
            second, more = self.life(world.copy())
            second.clock.drop()
            self.drain("poison", f"crash {number},", more)

    def chains(self, seed: int, *, number: int = 12) -> None:
        """Crash up to four times at random, and then everywhere."""
        rng = random.Random(seed)
        _, first = self.life(self.new())
        for _ in range(number):
            lives, worlds = "", first
            for _ in range(rng.randrange(1, 4)):
                if self.is_enough():
                    return
                crash, world = rng.choice(worlds)
                lives += f"crash {crash}, "
                process, worlds = self.life(world.copy())
                process.clock.drop()
            self.drain("more crashes", lives, worlds)

    def _effects(self) -> int:
        probe = self.process(self.new())
        probe.run(until=UNTIL_S)
        return probe.effects


def recorded(process: Process) -> list[World]:
    """Have the world copied now and at every effect."""
    worlds = [process.world.copy()]
    process.on_effect = lambda _name: worlds.append(process.world.copy())
    return worlds


def run_effects(process: Process, number: int, worlds: list[World] | None = None) -> bool:
    """Run until so many effects later; False when the process had less to do. Worlds are copied at each."""
    until = process.effects + number

    def on_effect(_name: str) -> None:
        if worlds is not None:
            worlds.append(process.world.copy())
        if process.effects >= until:
            process.stop()

    process.on_effect = on_effect
    if number and process.end is None:
        process.run(until=UNTIL_S)
    process.on_effect = None
    return process.effects >= until


def distinct(worlds: Iterable[World]) -> list[tuple[int, World]]:
    """Return worlds by number, each only once."""
    seen: dict[int, tuple[int, World]] = {}
    for number, world in enumerate(worlds):
        seen.setdefault(world.key(), (number, world))
    return list(seen.values())
