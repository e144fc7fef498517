"""Tell what is known of an account beside its use: contract, bills, surveys, goals, milestones, who belongs to it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from lab.simulate.conduct import removed, target_of
from lab.simulate.places import PLACES
from lab.simulate.population import PRICE_A_SEAT, SEGMENTS, YEAR_DAYS, Population
from lab.simulate.scene import Scene
from lab.simulate.stories import QUARTER_DAYS, Story
from lab.simulate.vendor import HOUR, Flags
from shared.contracts.events import (
    AccountFacts,
    Billing,
    BillingStatus,
    Kind,
    Membership,
    Subscription,
    SubscriptionStatus,
    Survey,
    SurveyKind,
)

MILESTONES: Final = ((1, "Team Invited"), (5, "Data Connected"), (14, "First Report Shared"), (26, "Went Live"))
"""Days after the signature on which a step of the onboarding is reached."""
REACHED_IF_STALLED: Final = 2
SURVEYED_EVERY_DAYS: Final = 60
BILLED_EVERY_DAYS: Final = 30
OWNERS: Final = 7


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """`data` of kind goal: `target` in thousandths, `due` YYYY-MM-DD."""

    name: str
    target: int
    due: str


class Milestone(msgspec.Struct, frozen=True, kw_only=True):
    """`data` of kind milestone."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something about the account in row `account`, `at` ms into its local day."""

    account: int
    at: int
    kind: Kind
    data: msgspec.Struct


def facts_of(scene: Scene, dice: np.random.Generator) -> Iterator[Fact]:
    """Yield the facts of a day, those of a customer's first day at its midnight; in no other order."""
    yield from _introductions(scene)
    for told in (_onboarding, _contracts, _bills, _goals, _members):
        yield from told(scene, dice)
    yield from _surveys(scene, dice)


def user_name(population: Population, user: int, *, nth: int = 0) -> str:
    """Return the hash by which events name a user; `nth` counts those who were champion of the account before."""
    account = int(population.account[user])
    text = f"{population.names[account]}/{population.place[user]}/{nth}"
    return f"u1_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _introductions(scene: Scene) -> Iterator[Fact]:
    new = scene.population.joined == scene.day
    known = scene.population.joined < 0 if scene.day == 0 else np.zeros_like(new)
    for row in np.flatnonzero(new | known).tolist():
        yield Fact(
            account=row,
            at=0,
            kind=Kind.ACCOUNT,
            data=_described(scene, row, stage="onboarding" if new[row] else "live"),
        )
        yield Fact(
            account=row, at=0, kind=Kind.SUBSCRIPTION, data=_subscription(scene, row, SubscriptionStatus.STARTED)
        )
        yield Fact(account=row, at=0, kind=Kind.USER, data=_member(scene, row, 0, role="admin"))


def _onboarding(scene: Scene, dice: np.random.Generator) -> Iterator[Fact]:
    population, lives = scene.population, scene.lives
    age = scene.day - population.joined
    stalled = lives.running()[Story.STALLED_ONBOARDING]
    for number, (days, name) in enumerate(MILESTONES):
        reaches = (age == days + np.arange(len(population)) % 3) & (population.joined >= 0)
        if number >= REACHED_IF_STALLED:
            reaches = (reaches & ~stalled) | lives.ends(Story.STALLED_ONBOARDING)
        for row in _rows(scene, reaches):
            yield Fact(account=row, at=_at_work(dice), kind=Kind.MILESTONE, data=Milestone(name=name))
    over = lives.ends(Story.ONBOARDING) | lives.ends(Story.STALLED_ONBOARDING)
    for row in _rows(scene, over):
        yield Fact(account=row, at=_at_work(dice), kind=Kind.ACCOUNT, data=AccountFacts(stage="live"))


def _contracts(scene: Scene, dice: np.random.Generator) -> Iterator[Fact]:
    for row in _rows(scene, scene.population.renews(scene.day) & ~scene.leaves):
        at = _at_work(dice)
        data = _subscription(scene, row, SubscriptionStatus.RENEWED)
        yield Fact(account=row, at=at, kind=Kind.SUBSCRIPTION, data=data)
        renewal = AccountFacts(renewal_date=scene.vendor.date(scene.day + YEAR_DAYS))
        yield Fact(account=row, at=at, kind=Kind.ACCOUNT, data=renewal)


def _bills(scene: Scene, dice: np.random.Generator) -> Iterator[Fact]:
    lives, story = scene.lives, Story.PAYMENT_FAILURE
    fails, unpaid = lives.began[story], lives.running()[story]
    due = (scene.day - scene.population.joined) % BILLED_EVERY_DAYS == 0
    for row in _rows(scene, fails):
        yield Fact(account=row, at=_at_work(dice), kind=Kind.BILLING, data=Billing(status=BillingStatus.PAYMENT_FAILED))
    for row in _rows(scene, (due & ~unpaid) | (lives.ends(story) & ~fails)):
        yield Fact(account=row, at=_at_work(dice), kind=Kind.BILLING, data=Billing(status=BillingStatus.INVOICE_PAID))


def _goals(scene: Scene, dice: np.random.Generator) -> Iterator[Fact]:
    targets = target_of(scene.population)
    for row in _rows(scene, scene.lives.sets_goal()):
        due = scene.vendor.date(scene.day + QUARTER_DAYS)
        goal = Goal(name="Orders closed", target=int(targets[row]) * 1000, due=due)
        yield Fact(account=row, at=_at_work(dice), kind=Kind.GOAL, data=goal)


def _members(scene: Scene, dice: np.random.Generator) -> Iterator[Fact]:
    """Tell who is removed, who comes back, and who follows a champion."""
    lives = scene.lives
    for row in _rows(scene, lives.began[Story.CHAMPION_LEAVES]):
        yield Fact(account=row, at=0, kind=Kind.USER, data=_member(scene, row, 0, removed=True))
    for row in _rows(scene, lives.ends(Story.CHAMPION_LEAVES)):
        yield Fact(account=row, at=0, kind=Kind.USER, data=_member(scene, row, 0, role="admin"))
    staying, removing = scene.conduct.staying, scene.conduct.removing
    for row in _rows(scene, removing > 0):
        for place in range(int(staying[row]), int(staying[row] + removing[row])):
            yield Fact(account=row, at=_at_work(dice), kind=Kind.USER, data=_member(scene, row, place, removed=True))
    story, users = Story.EXIT_INTENT, scene.population.users
    gone = removed(scene.population, lives.until[story] - lives.since[story])
    for row in _rows(scene, lives.ends(story)):
        for place in range(int(users[row] - gone[row]), int(users[row])):
            yield Fact(account=row, at=0, kind=Kind.USER, data=_member(scene, row, place, role="member"))


def _surveys(scene: Scene, dice: np.random.Generator) -> Iterator[Fact]:
    count = len(scene.population)
    unhappy = scene.lives.running()[Story.DETRACTOR]
    asked = scene.works & (dice.random(count) < 1 / SURVEYED_EVERY_DAYS)
    scores = np.clip(np.round(np.where(unhappy, dice.normal(4, 1.2, count), dice.normal(8.8, 1.0, count))), 0, 10)
    for row in _rows(scene, asked):
        answer = Survey(kind=SurveyKind.NPS, score=int(scores[row]), user=_member(scene, row, 1).user)
        yield Fact(account=row, at=_at_work(dice), kind=Kind.SURVEY, data=answer)


def _rows(scene: Scene, which: Flags) -> list[int]:
    return np.flatnonzero(which & scene.here).tolist()


def _at_work(dice: np.random.Generator) -> int:
    return int(dice.integers(9 * HOUR, 14 * HOUR))


def _member(scene: Scene, row: int, place: int, *, role: str | None = None, removed: bool | None = None) -> Membership:
    nth = int(scene.lives.successors[row]) if place == 0 else 0
    name = user_name(scene.population, int(scene.population.first[row]) + place, nth=nth)
    return Membership(user=name, role=role, removed=removed)


def _subscription(scene: Scene, row: int, status: SubscriptionStatus) -> Subscription:
    return Subscription(status=status, mrr=_arr(scene, row) // 12)


def cancelled(scene: Scene, row: int, *, at: int) -> Fact:
    """Return what is told of an account that leaves, `at` ms into its last day."""
    return Fact(
        account=row, at=at, kind=Kind.SUBSCRIPTION, data=_subscription(scene, row, SubscriptionStatus.CANCELLED)
    )


def _arr(scene: Scene, row: int) -> int:
    population = scene.population
    price = PLACES[scene.vendor.countries[int(population.country[row])]].price
    return int(population.seats[row]) * int(PRICE_A_SEAT[population.segment[row]]) * price


def _described(scene: Scene, row: int, *, stage: str) -> AccountFacts:
    population, country = scene.population, scene.vendor.countries[int(scene.population.country[row])]
    age = scene.day - int(population.joined[row])
    return AccountFacts(
        name=f"Customer {row}",
        owner=f"csm{row % OWNERS}@vendor.example",
        segment=SEGMENTS[int(population.segment[row])],
        stage=stage,
        arr=_arr(scene, row),
        currency=PLACES[country].currency,
        seats=int(population.seats[row]),
        renewal_date=scene.vendor.date(scene.day + YEAR_DAYS - age % YEAR_DAYS),
        timezone=PLACES[country].timezone,
        country=country,
    )
