"""Define an account's health as it lies in Redis and on `churn.scores.v1`."""

from enum import StrEnum

import msgspec

from shared.contracts.journey import Goal, Journey


class Band(StrEnum):
    """The range a health lies in; `unknown` means not enough evidence and is never shown as good."""

    UNKNOWN = "unknown"
    CRITICAL = "critical"
    AT_RISK = "at_risk"
    WATCH = "watch"
    HEALTHY = "healthy"


class Contribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one measure adds to the health; `points` and `possible` in milli-points, exact sums.

    Over all contributions of an account `points` sum to its health and `possible` to 100,000.
    `value` is the feature's value in its own unit.
    """

    dimension: str
    measure: str
    points: int
    possible: int
    value: int
    missing: bool = False
    """Nobody knows the value: it counts as the scorecard says of such a measure, and `value` is 0."""


class OpenEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """An episode that is open now."""

    id: str
    rule: str
    severity: str
    opened_at: int


class Attributes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What account events told of the customer, as far as readers and messages need it."""

    name: str | None = None
    owner: str | None = None
    segment: str | None = None
    stage: str | None = None
    arr: int | None = None
    currency: str | None = None
    seats: int | None = None
    renewal_date: str | None = None
    timezone: str | None = None
    country: str | None = None
    parent: str | None = None
    trial: bool | None = None
    deleted: bool | None = None
    subscription: str | None = None


class OverrideNote(msgspec.Struct, frozen=True, kw_only=True):
    """A health set by hand that is in force: 0-100, by whom, why, and through which day (since 1970-01-01)."""

    health: int
    by: str
    reason: str | None
    until: int


class AccountHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The health of one account at the tick `at` (epoch ms), a pure function of the log before `offset`.

    `health` is in milli-points 0-100,000, or None while the band is `unknown`. `silence_deadline` is the moment at
    which absence becomes abnormal if nothing happens (epoch ms), None while there is too little evidence.
    """

    account: str
    at: int
    partition: int
    offset: int
    generation: int
    bundle: str
    health: int | None
    band: Band
    evidence_days: int
    evidence_needed: int
    active_days: int
    active_days_needed: int
    last_activity: int | None
    silence_deadline: int | None
    contributions: list[Contribution]
    episodes: list[OpenEpisode]
    attributes: Attributes
    scorecard: str = "default"
    """Which scorecard it was scored by."""
    stage: str = ""
    """The lifecycle stage, told or derived; empty in what older versions wrote."""
    override: OverrideNote | None = None
    """Set while the health is one that somebody set: then it is its only contribution."""
    journey: Journey | None = None
    """Where it stands in its journey; None where `journey.yaml` has nothing for its stage."""
    goal: Goal | None = None
    """How far it is on the way to the goal set last; None without one for which something can be counted."""


class Reconstructed(msgspec.Struct, frozen=True, kw_only=True):
    """One past day of an account as an imported history tells it, on `churn.scores.v1` beside what was known then.

    `at` is the end of the day (epoch ms); `reconstructed` tells it from `AccountHealth`, which has no such field.
    """

    account: str
    at: int
    health: int | None
    band: Band
    bundle: str
    job: str
    reconstructed: bool = True
