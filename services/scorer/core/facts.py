"""Keep what is known of an account beside its activity: each field the value of the latest event that told it."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec

from services.scorer.core.activity import Activity
from services.scorer.core.calendar import NOWHERE, country_key, zone_key
from services.scorer.core.days import DAY, NO_DAY
from services.scorer.core.goals import goal_of
from services.scorer.core.table import NONE
from shared.contracts.events import (
    AccountFacts,
    Billing,
    Closure,
    Goal,
    Override,
    Sentiment,
    Subscription,
    SubscriptionStatus,
    Survey,
)
from shared.contracts.health import Attributes, OverrideNote

Field = tuple[Any, int, str, str]
"""Value, and occurred_at (ms), id and source of the event that set it."""


class Told(NamedTuple):
    """One applied event that tells facts."""

    account: int
    at: int
    id: str
    source: str
    data: msgspec.Struct


class Listed(NamedTuple):
    """Facts by which accounts are found."""

    owner: str | None
    segment: str | None
    arr: int | None
    name: str | None
    parent: str | None


SUBSCRIPTIONS: Final = ("", *(status.value for status in SubscriptionStatus))
"""Subscription statuses by the code in the column `subscription`; 0 is none."""
SINCE: Final = "since:"
"""Names the field that keeps when facts began to be known; followed by a stage, when that was first told."""
GOOD_FOR_DAYS: Final = 90
"""How long a sentiment or an override without an end is good."""
_EPOCH: Final = date(1970, 1, 1)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ATTRIBUTES: Final = frozenset(Attributes.__struct_fields__)


class Facts:
    """Fields by account row; numbers that features read are mirrored into the activity's columns."""

    def __init__(self) -> None:
        self.fields: dict[int, dict[str, Field]] = {}
        self.attributes: dict[int, bytes] = {}
        """JSON of `Attributes` by account row."""
        self.listed: dict[int, Listed] = {}
        """What listings of accounts are sorted and filtered by, by account row."""
        self.overrides: dict[int, bytes] = {}
        """JSON of `OverrideNote` by account row."""

    def apply(self, events: Iterable[Told], *, activity: Activity) -> None:
        """Apply facts in any order. They are rare: one by one is meant."""
        changed = set()
        for event in events:
            fields = self.fields.setdefault(event.account, {})
            stamp = (event.at, event.id, event.source)
            for name in _begun(event.data):
                if name not in fields or stamp < fields[name][1:]:
                    fields[name] = (None, *stamp)
                    changed.add(event.account)
            for name, value in _fields_of(event.data, at=event.at):
                held = fields.get(name)
                if held is None or held[1:] < stamp:
                    fields[name] = (value, *stamp)
                    changed.add(event.account)
        for account in changed:
            self.mirror(account, activity=activity)

    def mirror(self, account: int, *, activity: Activity) -> None:
        """Write an account's fields to the columns and texts that evaluation and publishing read."""
        fields, columns = self.fields[account], activity.accounts
        known = {name: field[0] for name, field in fields.items() if name in _ATTRIBUTES}
        self.attributes[account] = msgspec.json.encode(Attributes(**known))
        self.listed[account] = Listed(**{name: known.get(name) for name in Listed._fields})
        columns["segment"][account] = activity.segments.number(known.get("segment"))
        columns["stage"][account] = activity.stages.number(known.get("stage"))
        roll = int(columns["roll"][account])
        stage_at, fact_at = _begins(fields, stage=known.get("stage"))
        columns["stage_day"][account] = NO_DAY if stage_at is None else (stage_at - roll) // DAY
        columns["fact_day"][account] = (fact_at - roll) // DAY
        columns["trial"][account] = known.get("trial", False)
        columns["patience_of"][account] = NO_DAY
        columns["zone"][account] = zone_key(known["timezone"]) if "timezone" in known else NOWHERE
        columns["country"][account] = country_key(known.get("country", ""))
        activity.closures.pop(account, None)
        if "closures" in fields:
            activity.closures[account] = [(first, last) for first, last in fields["closures"][0]]
        columns["seats"][account] = known.get("seats", NONE)
        columns["deleted"][account] = known.get("deleted", False)
        columns["subscription"][account] = SUBSCRIPTIONS.index(known.get("subscription", ""))
        for name in ("payment_failed_at", "invoice_paid_at"):
            columns[name][account] = fields[name][1] if name in fields else NONE
        columns["renewal_day"][account] = _day_of(known.get("renewal_date"))
        for name in ("sentiment", "override"):
            (points, until, *_), at, *_ = fields.get(name, ((None, None), 0))
            columns[name][account] = -1 if points is None else points
            last = _day_of(until)
            columns[f"{name}_until"][account] = last if last != NO_DAY else (at - roll) // DAY + GOOD_FOR_DAYS
        self.overrides.pop(account, None)
        if columns["override"][account] >= 0:
            health, _, by, reason = fields["override"][0]
            note = OverrideNote(health=health, by=by, reason=reason, until=int(columns["override_until"][account]))
            self.overrides[account] = msgspec.json.encode(note)
        activity.goals.pop(account, None)
        if "goal" in fields:
            data, at, *_ = fields["goal"]
            told = msgspec.convert(data, Goal)
            goal = goal_of(told, begin=(at - roll) // DAY, end=_day_of(told.due))
            if goal is not None:
                activity.goals[account] = goal
        for name in ("nps", "csat", "ces"):
            columns[name][account], columns[f"{name}_at"][account] = fields.get(name, (NONE, NONE))[:2]


def _spans(closures: Iterable[Closure]) -> list[tuple[int, int]]:
    """Return the first and last day (days since 1970-01-01) of each closure."""
    return [((closure.first - _EPOCH).days, (closure.last - _EPOCH).days) for closure in closures]


def _fields_of(data: msgspec.Struct, *, at: int) -> Iterable[tuple[str, Any]]:
    told: Iterable[tuple[str, Any]] = ()
    match data:
        case AccountFacts():
            told = [(name, value) for name, value in msgspec.structs.asdict(data).items() if value is not None]
            told = [(name, _spans(value) if name == "closures" else value) for name, value in told]
        case Billing():
            told = [(f"{data.status.value}_at", at)]
        case Survey():
            told = [(data.kind.value, data.score)]
        case Subscription():
            told = [("subscription", data.status.value)]
        case Sentiment():
            told = [("sentiment", [data.score, data.until])]
        case Override():
            told = [("override", [data.health, data.until, data.by, data.reason])]
        case Goal():
            told = [("goal", msgspec.to_builtins(data))]
    return told


def _begun(data: msgspec.Struct) -> Iterable[str]:
    """Yield the fields that keep when something began: the first event that told of it counts, not the latest."""
    yield SINCE
    if isinstance(data, AccountFacts) and data.stage:
        yield SINCE + data.stage


def _begins(fields: Mapping[str, Field], *, stage: str | None) -> tuple[int | None, int]:
    """Return when the stage told, if any, was told first, and since when facts are known.

    Older versions kept neither: what is kept of the fields stands for it.
    """
    first = min(at for _, at, *_ in fields.values())
    if not stage:
        return None, first
    return (fields[SINCE + stage] if SINCE + stage in fields else fields["stage"])[1], first


def _day_of(text: str | None) -> int:
    """Return the day (since 1970-01-01) that a date YYYY-MM-DD names, NO_DAY where it names none."""
    if text is None or not _DATE.fullmatch(text):
        return NO_DAY
    try:
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        return NO_DAY
