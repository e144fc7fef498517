"""Which sources are missing after a pause: what they were heard of, and how much their accounts are missed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from services.scorer.core.absence import WEEKS, Absence, together
from services.scorer.core.guard import Patience, Watch
from services.scorer.core.partition import Partition
from services.scorer.core.quiet import Heard, Pauses
from services.scorer.core.step import Arrival, step
from shared.contracts.context import Guard, GuardState
from tests.support.log import DAY, HOUR, MINUTE, START, Configurations, Log, batch_of

WEB = "/sources/web"
NOW = 100 * DAY
TWO_HUNDRED = Absence(accounts=200, hazard=21.0, came=[20] * WEEKS, known=[200] * WEEKS)


@dataclass(slots=True, kw_only=True)
class Customers:
    """What would be asked of a state: when sources sent last, and how much is missed until a moment or later."""

    last: int
    missed: Absence = TWO_HUNDRED
    since: int = 0
    imported: int = 0
    sources: tuple[str, ...] = (WEB,)

    def accounts(self, source: str) -> int:  # noqa: ARG002
        return 250

    def lasts(self) -> Mapping[str, int]:
        return dict.fromkeys(self.sources, self.last)

    def absence(self, source: str, *, ends: Mapping[str, int], until: int) -> Absence:
        assert source in ends
        return self.missed if until >= self.since else Absence(accounts=self.missed.accounts)


def told(
    customers: Customers, *, heard: bool = True, is_prompt: bool = True, held: frozenset[str] = frozenset()
) -> bool:
    sources = {WEB: Heard(customers.last, is_prompt)} if heard else {}
    return Pauses().missed(NOW, heard=sources, held=held, fed=customers, fewest_accounts=5) is not None


def test_a_source_whose_accounts_are_missed_is_missing_since_its_last_event() -> None:
    customers = Customers(last=NOW - 8 * HOUR)
    heard = {WEB: Heard(NOW - 7 * HOUR, is_prompt=True)}  # which told of something earlier
    missed = Pauses().missed(NOW, heard=heard, held=(), fed=customers, fewest_accounts=5)
    assert missed == (WEB, NOW - 7 * HOUR)
    assert not told(customers, held=frozenset({WEB}))


@pytest.mark.parametrize(
    ("missed", "is_missing"),
    [
        (replace(TWO_HUNDRED, hazard=20.0), False),
        (replace(TWO_HUNDRED, came=[19] * WEEKS), False),
        (replace(TWO_HUNDRED, came=[200, 200, 200, *[0] * 8]), False),
        (replace(TWO_HUNDRED, came=[0, 0, *[20] * 9]), True),
        (replace(TWO_HUNDRED, came=[20, *[0] * 10], known=[200, *[0] * 10]), False),
        (replace(TWO_HUNDRED, came=[20, 10, *[0] * 9], known=[200, 100, *[99] * 9]), True),
        (replace(TWO_HUNDRED, accounts=4), False),
    ],
    ids=[
        "by chance",
        "too few came in other weeks",
        "all came once and again",
        "nobody came in two weeks of eleven",
        "one week is known",
        "two weeks are known of half",
        "few accounts",
    ],
)
def test_so_much_must_be_missed(missed: Absence, *, is_missing: bool) -> None:
    assert told(Customers(last=NOW - 8 * HOUR, missed=missed)) is is_missing


def test_parts_of_the_accounts_are_taken_together() -> None:
    half = replace(TWO_HUNDRED, accounts=100, hazard=10.5, came=[10] * WEEKS, known=[100] * WEEKS)
    assert together([half, half]) == TWO_HUNDRED


def test_a_source_that_sends_parcels_says_nothing_by_its_silence() -> None:
    assert not told(Customers(last=NOW - 8 * HOUR), is_prompt=False)


def test_an_hour_of_silence_is_none_and_after_six_days_a_source_is_gone() -> None:
    assert not told(Customers(last=NOW - HOUR))
    assert told(Customers(last=NOW - HOUR - 1))
    assert told(Customers(last=NOW - 6 * DAY + 1))
    assert not told(Customers(last=NOW - 6 * DAY))


def test_after_a_restart_a_source_is_given_a_day_more() -> None:
    assert told(Customers(last=NOW - 3 * DAY, since=NOW - DAY), heard=False)
    assert not told(Customers(last=NOW - 3 * DAY, since=NOW - DAY + 1), heard=False)


def test_after_an_import_sources_that_never_sent_are_none() -> None:
    assert not told(Customers(last=NOW - 3 * DAY, imported=NOW - 28 * DAY), heard=False)
    assert told(Customers(last=NOW - 3 * DAY, imported=NOW - 28 * DAY - 1), heard=False)
    assert told(Customers(last=NOW - 3 * DAY, imported=NOW), heard=True)


def test_a_watch_asks_every_five_minutes_and_says_it_once() -> None:
    watch = Watch(Patience(window_ms=HOUR, after_ms=MINUTE, catch_up_ms=MINUTE, fewest_accounts=5))
    night = NOW - 8 * HOUR
    watch.note({WEB: Arrival(10, night, frozenset(), 6)})
    customers = Customers(last=night, since=NOW + MINUTE)
    asked = {
        at: watch.decide(at, partitions=[2], held={}, fed=customers) for at in range(NOW, NOW + 6 * MINUTE, MINUTE)
    }
    (guard,) = asked.pop(NOW + 5 * MINUTE)
    assert not any(asked.values())
    assert guard == Guard(
        source=WEB, partitions=[2], state=GuardState.HELD, at=NOW + 5 * MINUTE, last_event=night, accounts=250
    )
    assert watch.decide(NOW + 10 * MINUTE, partitions=[2], held={WEB: guard}, fed=customers) == []


def test_of_two_sources_one_is_asked_about_at_a_time() -> None:
    pauses, both = Pauses(), Customers(last=NOW - 8 * HOUR, sources=("/sources/app", WEB))
    heard = {name: Heard(both.last, is_prompt=True) for name in both.sources}
    looks = [
        pauses.missed(NOW + n * MINUTE, heard=heard, held=(), fed=both, fewest_accounts=5) for n in (0, 1, 2, 5, 6)
    ]
    assert [look and look.source for look in looks] == ["/sources/app", WEB, None, "/sources/app", WEB]


@pytest.mark.parametrize(
    ("arrivals", "is_missing"),
    [([(10, 5)], False), ([(10, 6)], True), ([(8191, 0), (8191, 8191)], False), ([(8192, 0), (8192, 8192)], True)],
    ids=["half", "more than half", "of many half", "what is long ago counts less"],
)
def test_a_source_is_prompt_while_more_than_half_of_its_events_come_within_ten_minutes(
    arrivals: Sequence[tuple[int, int]], *, is_missing: bool
) -> None:
    watch = Watch(Patience(window_ms=HOUR, after_ms=MINUTE, catch_up_ms=MINUTE, fewest_accounts=5))
    for events, prompt in arrivals:
        watch.note({WEB: Arrival(events, NOW - 8 * HOUR, frozenset(), prompt)})
    found = watch.decide(NOW, partitions=[2], held={}, fed=Customers(last=NOW - 8 * HOUR))
    assert bool(found) is is_missing


def test_a_batch_says_how_many_events_of_a_source_came_within_ten_minutes() -> None:
    log = Log()
    for source, late in (("web", 0), ("web", 10 * MINUTE), ("web", 10 * MINUTE + 1), ("app", HOUR)):
        log.event("acme", "login", at=START, ts=START + late, source=source)
    state = Partition.empty(partition=0, partitions=1, seed=7)
    arrived = step(state, batch_of(log.records, partition=0), known_at=Configurations({})).arrived
    assert {source: (arrival.events, arrival.prompt) for source, arrival in arrived.items()} == {
        WEB: (3, 2),
        "/sources/app": (1, 0),
    }
