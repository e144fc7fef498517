"""Each story shows in the events as docs/simulating.md says: pooled over the accounts it happens to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from lab.simulate.conduct import conduct_of, target_of
from lab.simulate.facts import Fact, Milestone
from lab.simulate.places import date_of, offset_ms
from lab.simulate.population import Population, population_of
from lab.simulate.run import simulate
from lab.simulate.stories import FALLS, NEVER, UNPAID_FOR_GOOD, Lives, Story
from lab.simulate.usage import ACTIONS, EXPORT_ALL, LOGIN, NOBODY, OPENED, OUTCOME, SYNC
from lab.simulate.vendor import DAY, HOUR, Vendor
from shared.contracts.events import AccountFacts, Billing, BillingStatus, Kind, Membership, Survey

VENDOR = Vendor(accounts=500, days=240, seed=4, user_events_a_day=0.4)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a vendor: counts (days, N) by what was done, facts with their day, and every story."""

    population: Population
    done: dict[str, Counts]
    facts: list[tuple[int, Fact]] = field(default_factory=list)
    stories: list[tuple[Story, int, int, int, float]] = field(default_factory=list)
    """Story, account, first day, day from which on it is over, strength."""

    def of(self, story: Story, *, days: int, before: int = 28) -> list[tuple[int, int]]:
        """Return account and first day of each time a story went on for some days, with some days before it."""
        return [
            (row, since)
            for one, row, since, until, _ in self.stories
            if one is story and since >= before + 30 and until >= since + days and self.whole(row, since + days)
        ]

    def whole(self, row: int, until: int) -> bool:
        """Say whether an account was a customer from the start, and still is on a day."""
        return self.population.joined[row] < 0 and until < VENDOR.days and bool(self.done["here"][until, row])

    def sum(self, what: str, spans: Sequence[tuple[int, int]], *, first: int, last: int) -> float:
        """Return the events a day of all spans together, from `first` to before `last` days after their begin."""
        counts = self.done[what]
        return sum(int(counts[since + first : since + last, row].sum()) for row, since in spans) / (last - first)

    def told(self, row: int, kind: type, *, first: int, last: int) -> list[tuple[int, object]]:
        """Return the facts of a kind about an account from one day to before another."""
        return [
            (day, fact.data)
            for day, fact in self.facts
            if fact.account == row and isinstance(fact.data, kind) and first <= day < last
        ]


@pytest.fixture(scope="module")
def seen() -> Seen:
    population = population_of(VENDOR)
    shape = (VENDOR.days, len(population))
    classes = ("people", "programs", "champion", "exports", "logins", "tickets", "outcomes", "here")
    seen = Seen(population=population, done={name: np.zeros(shape, np.int64) for name in classes})
    for day in simulate(VENDOR, population):
        scene, events = day.scene, day.events
        lives = scene.lives
        seen.done["here"][scene.day] = scene.here
        for story, row in np.argwhere(lives.began & scene.here).tolist():
            until, strength = int(lives.until[story, row]), float(lives.strength[story, row])
            seen.stories.append((Story(story), row, scene.day, until, strength))
        # by their own date; an hour more, as clocks may have changed the day before
        date = date_of(VENDOR.midnight(scene.day))
        ahead = np.array([offset_ms(country, date) for country in VENDOR.countries])[population.country]
        number = np.clip((events.at + ahead[events.account] + HOUR - VENDOR.start) // DAY, 0, VENDOR.days - 1)
        champion = (events.user != NOBODY) & (population.place[events.user] == 0)
        for name, which in (
            ("people", events.user != NOBODY),
            ("programs", events.what == SYNC),
            ("champion", champion),
            ("exports", events.what == EXPORT_ALL),
            ("logins", champion & (events.what == LOGIN)),
            ("tickets", events.what == OPENED),
            ("outcomes", events.what == OUTCOME),
        ):
            np.add.at(seen.done[name], (number[which], events.account[which]), 1)
        told = events.what >= len(ACTIONS)
        for what, at in zip(events.what[told].tolist(), number[told].tolist(), strict=True):
            seen.facts.append((at, day.facts[what]))
    return seen


def test_a_decline_is_gradual_and_goes_far(seen: Seen) -> None:
    spans = seen.of(Story.GRADUAL_DECLINE, days=56)
    before = seen.sum("people", spans, first=-28, last=0)
    weeks = [seen.sum("people", spans, first=day, last=day + 14) / before for day in (0, 14, 28, 42)]
    assert len(spans) >= 10
    assert 0.6 < weeks[0] < 0.9
    assert weeks[0] > weeks[1] > weeks[2] > weeks[3]
    assert weeks[3] < 0.25


def test_a_sudden_stop_is_total(seen: Seen) -> None:
    spans = seen.of(Story.SUDDEN_STOP, days=28)
    assert len(spans) >= 5
    for what in ("people", "programs", "tickets"):
        assert seen.sum(what, spans, first=-28, last=0) > 0
        assert seen.sum(what, spans, first=1, last=28) == 0


def champions(seen: Seen, *, falls: bool) -> list[tuple[int, int]]:
    strong = {(row, since) for story, row, since, _, strength in seen.stories if (strength < FALLS) is falls}
    return [span for span in seen.of(Story.CHAMPION_LEAVES, days=56) if span in strong]


def test_where_a_champion_leaves_the_total_may_be_what_it_was(seen: Seen) -> None:
    spans = champions(seen, falls=False)
    before, after = (seen.sum("people", spans, first=first, last=first + 56) for first in (-56, 1))
    assert len(spans) >= 5
    assert after / before == pytest.approx(1, abs=0.25)
    assert seen.sum("champion", spans, first=-56, last=0) > 0.1 * before
    assert seen.sum("champion", spans, first=1, last=56) == 0


def test_the_others_are_expected_to_do_exactly_what_the_champion_did(seen: Seen) -> None:
    lives, population, checked = Lives(VENDOR, seen.population), seen.population, 0
    for _ in range(VENDOR.days):
        lives.live()
        conduct = conduct_of(population, lives)
        champion = population.rate[population.first[:-1]]
        expected = conduct.hand * (population.volume - champion + champion * conduct.champion)
        alike = lives.running()[Story.CHAMPION_LEAVES] & (lives.strength[Story.CHAMPION_LEAVES] >= FALLS)
        assert expected[alike] == pytest.approx(population.volume[alike])
        checked += int(alike.sum())
    assert checked > 100


def test_or_fall_from_day_to_day(seen: Seen) -> None:
    spans = champions(seen, falls=True)
    before, after = (seen.sum("people", spans, first=first, last=first + 28) for first in (-28, 28))
    assert len(spans) >= 5
    assert 0.15 < after / before < 0.5
    assert seen.sum("champion", spans, first=1, last=56) == 0


def test_a_champion_is_removed_and_followed_by_another(seen: Seen) -> None:
    for story, row, since, until, _ in seen.stories:
        if (
            story is Story.CHAMPION_LEAVES
            and seen.whole(row, min(until + 1, VENDOR.days - 1))
            and until < VENDOR.days - 1
        ):
            told = seen.told(row, Membership, first=since, last=until + 2)
            (_, lost), *_, (_, next_) = told
            assert isinstance(lost, Membership)
            assert isinstance(next_, Membership)
            assert lost.removed
            assert next_.role == "admin"
            assert lost.user != next_.user


def test_who_prepares_to_leave_exports_and_removes_users_at_high_volume(seen: Seen) -> None:
    spans = seen.of(Story.EXIT_INTENT, days=10)
    before, during = (seen.sum("people", spans, first=first, last=first + 14) for first in (-14, 0))
    assert len(spans) >= 3
    assert seen.sum("exports", spans, first=-14, last=0) == 0
    assert seen.sum("exports", spans, first=0, last=10) > 0.15 * before
    assert seen.sum("logins", spans, first=0, last=10) > 2 * seen.sum("logins", spans, first=-28, last=0)
    assert during > 0.9 * before
    for row, since in spans:
        removed = [data for _, data in seen.told(row, Membership, first=since, last=since + 10)]
        assert 1 <= len(removed) <= seen.population.users[row] // 2
        assert all(isinstance(data, Membership) and data.removed for data in removed)


def test_who_stays_nevertheless_takes_its_users_back(seen: Seen) -> None:
    back = 0
    for story, row, since, until, _ in seen.stories:
        if story is Story.EXIT_INTENT and until + 1 < VENDOR.days and seen.done["here"][until, row]:
            told = [data for _, data in seen.told(row, Membership, first=since, last=until + 1)]
            gone = {data.user for data in told if isinstance(data, Membership) and data.removed}
            assert {data.user for data in told if isinstance(data, Membership) and data.role == "member"} == gone
            back += len(gone)
    assert back > 10


def test_automation_takes_over_what_people_did(seen: Seen) -> None:
    spans = seen.of(Story.AUTOMATION_ROLLOUT, days=60)
    people, programs = (
        [seen.sum(what, spans, first=a, last=a + 28) for a in (-28, 30)] for what in ("people", "programs")
    )
    assert len(spans) >= 5
    assert people[1] < 0.35 * people[0]
    assert programs[1] - programs[0] > 0.9 * people[0]


def test_support_trouble_is_many_tickets(seen: Seen) -> None:
    spans = seen.of(Story.SUPPORT_TROUBLE, days=10)
    assert len(spans) >= 10
    assert seen.sum("tickets", spans, first=0, last=10) > 5 * seen.sum("tickets", spans, first=-28, last=0)


def test_a_failed_payment_is_paid_at_its_end_or_never(seen: Seen) -> None:
    for_good = 0
    failures = [one for one in seen.stories if one[0] is Story.PAYMENT_FAILURE]
    for _, row, since, until, strength in failures:
        last = min(until, VENDOR.days - 1)
        if since == last or not seen.whole(row, last):
            continue
        bills = [
            data.status for _, data in seen.told(row, Billing, first=since, last=last) if isinstance(data, Billing)
        ]
        assert bills == [BillingStatus.PAYMENT_FAILED]
        if until == NEVER:
            for_good += 1
            assert strength < UNPAID_FOR_GOOD
        elif until < VENDOR.days - 1:
            after = [data for _, data in seen.told(row, Billing, first=until, last=until + 2)]
            assert Billing(status=BillingStatus.INVOICE_PAID) in after
    assert 0.1 < for_good / len(failures) < 0.4


def test_a_detractor_says_so(seen: Seen) -> None:
    unhappy = {
        (row, day)
        for story, row, since, until, _ in seen.stories
        if story is Story.DETRACTOR
        for day in range(since + 1, min(until - 1, VENDOR.days))
    }
    answers = [
        (fact.data.score, (fact.account, day) in unhappy) for day, fact in seen.facts if isinstance(fact.data, Survey)
    ]
    low = [[score <= 6 for score, is_unhappy in answers if is_unhappy is group] for group in (True, False)]
    assert np.mean(low[0]) > 0.9
    assert np.mean(low[1]) < 0.1


def test_a_goal_is_met_by_outcomes_or_missed_for_want_of_them(seen: Seen) -> None:
    targets = target_of(seen.population)
    busy = {
        (row, day)
        for story, row, since, until, _ in seen.stories
        if story not in {Story.GOAL_MET, Story.GOAL_MISSED, Story.PAYMENT_FAILURE, Story.DETRACTOR}
        for day in range(since, min(until, VENDOR.days))
    }
    right = [
        bool(seen.done["outcomes"][since - 91 : since, row].sum() >= targets[row]) is (story is Story.GOAL_MET)
        for story, row, since, _, _ in seen.stories
        if story in {Story.GOAL_MET, Story.GOAL_MISSED}
        if seen.whole(row, since) and not any((row, day) in busy for day in range(since - 91, since))
    ]
    assert len(right) > 100
    assert np.mean(right) > 0.9


def test_who_signs_up_is_onboarded_or_stalls(seen: Seen) -> None:
    for story, steps in ((Story.ONBOARDING, 4), (Story.STALLED_ONBOARDING, 2)):
        reached, live = [], []
        for one, row, since, until, _ in seen.stories:
            if one is story and until < VENDOR.days - 1 and seen.done["here"][until, row]:
                reached.append(len(seen.told(row, Milestone, first=since, last=until)))
                stages = [
                    data.stage
                    for _, data in seen.told(row, AccountFacts, first=until, last=until + 2)
                    if isinstance(data, AccountFacts)
                ]
                live.append("live" in stages)
        assert len(reached) >= 5
        assert set(reached) == {steps}
        assert all(live)


def test_lives_are_the_same_however_often_they_are_lived(seen: Seen) -> None:
    lives = Lives(VENDOR, seen.population)
    for _ in range(VENDOR.days):
        lives.live()
    last = {(story, row): since for story, row, since, _, _ in seen.stories}
    assert all(lives.since[story, row] >= since for (story, row), since in last.items())
    assert sum(lives.since[story, row] == since for (story, row), since in last.items()) > 0.9 * len(last)
    assert Kind.GOAL in {fact.kind for _, fact in seen.facts}
