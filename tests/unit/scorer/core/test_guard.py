"""A source that fell silent is told from a quiet night, a nightly job and a slow one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.scorer.core.absence import Absence
from services.scorer.core.guard import Patience, Watch
from services.scorer.core.step import Arrival
from shared.contracts.context import Guard, GuardState

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
PATIENCE = Patience(window_ms=HOUR, after_ms=MINUTE, catch_up_ms=MINUTE, fewest_accounts=5)
WEB = "/sources/web"


@dataclass(frozen=True, slots=True, kw_only=True)
class Few:
    """So many accounts of every source, none of which is missed."""

    number: int
    imported: int = 0

    def accounts(self, source: str) -> int:  # noqa: ARG002
        return self.number

    def lasts(self) -> Mapping[str, int]:
        return {}

    def absence(self, source: str, *, ends: Mapping[str, int], until: int) -> Absence:  # noqa: ARG002
        return Absence(accounts=self.number)


def said(watch: Watch, now: int, held: Mapping[str, Guard] | None = None, *, fed: int = 40) -> list[Guard]:
    return watch.decide(now, partitions=[3, 1], held=held or {}, fed=Few(number=fed))


def watched(moments: Iterable[int], *, events: int = 1) -> Watch:
    watch = Watch(PATIENCE)
    for at in moments:
        watch.note({WEB: Arrival(events, at)})
    return watch


def test_a_source_that_came_every_second_is_held_after_a_minute_and_once() -> None:
    watch = watched(range(0, HOUR, SECOND))
    assert said(watch, HOUR + 59 * SECOND - SECOND) == []
    (guard,) = said(watch, HOUR + MINUTE)
    assert (guard.source, guard.state, guard.partitions) == (WEB, GuardState.HELD, [1, 3])
    assert (guard.at, guard.last_event, guard.accounts) == (HOUR + MINUTE, HOUR - SECOND, 40)
    assert said(watch, HOUR + 2 * MINUTE, {WEB: guard}) == []


def test_a_source_that_feeds_few_accounts_is_not_held() -> None:
    assert said(watched(range(0, HOUR, SECOND)), HOUR + 10 * MINUTE, fed=4) == []


def test_a_slow_source_is_given_time() -> None:
    # one event a minute: 20.7 of them must be missing
    watch = watched(range(0, HOUR + 1, MINUTE))
    assert said(watch, HOUR + 20 * MINUTE) == []
    assert len(said(watch, HOUR + 22 * MINUTE)) == 1


def test_a_nightly_job_is_no_source_that_falls_silent() -> None:
    burst = [day * 24 * HOUR + n * SECOND for day in range(3) for n in range(600)]
    assert said(watched(burst, events=100), 2 * 24 * HOUR + 5 * HOUR) == []


def test_a_day_that_draws_to_its_end_is_no_outage() -> None:
    # ten a second by day, then every pause twice as long as the one before: 1 s, 2 s, 4 s ... 34 min
    at, moments = HOUR, list(range(0, HOUR, 100))
    for n in range(11):
        at += SECOND * 2**n
        moments.append(at)
    watch = Watch(PATIENCE)
    for moment, following in zip(moments, [*moments[1:], moments[-1]], strict=True):
        watch.note({WEB: Arrival(1, moment)})
        if moment > 2 * HOUR:
            assert said(watch, following) == []


def test_a_source_is_back_when_its_events_come_without_a_gap() -> None:
    watch = watched(range(0, HOUR, SECOND))
    (held,) = said(watch, HOUR + MINUTE)
    back = HOUR + 10 * MINUTE
    watch.note({WEB: Arrival(1, back)})
    assert said(watch, back + SECOND, {WEB: held}) == []
    for at in range(back + 40 * SECOND, back + 100 * SECOND, SECOND):  # after a gap it begins anew
        watch.note({WEB: Arrival(1, at)})
        assert said(watch, at, {WEB: held}) == []
    watch.note({WEB: Arrival(1, back + 100 * SECOND)})
    (over,) = said(watch, back + 100 * SECOND, {WEB: held})
    assert (over.state, over.partitions) == (GuardState.OVER, [1, 3])


def test_a_guard_found_after_a_restart_is_ended_by_whoever_sees_the_source() -> None:
    held = Guard(source=WEB, partitions=[1], state=GuardState.HELD, at=HOUR)
    watch = watched(range(HOUR + MINUTE, HOUR + 2 * MINUTE + SECOND, SECOND))
    (over,) = said(watch, HOUR + 2 * MINUTE + SECOND, {WEB: held})
    assert over.state is GuardState.OVER


def test_a_source_that_is_gone_stays_held() -> None:
    watch = watched(range(0, HOUR, SECOND))
    (held,) = said(watch, HOUR + MINUTE)
    assert said(watch, HOUR + 3 * HOUR, {WEB: held}) == []
