"""Define the event on `churn.events.v1`: CloudEvents 1.0, structured JSON, one event a Kafka record.

Times on the wire are RFC 3339; ours are always UTC with milliseconds (`2026-11-22T07:00:00.000Z`).
"""

import hashlib
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec

TICK_TYPE: Final = "churn.tick.v1"
MOST_CLOSURES: Final = 32
MOVED_HEADER: Final = "moved"

Whole = Annotated[int, msgspec.Meta(ge=-(2**53 - 1), le=2**53 - 1)]
"""A whole number every JSON reader keeps exactly."""


class Kind(StrEnum):
    """What an event tells; a kind not listed here is kept as usage under its own name."""

    LOGIN = "login"
    USAGE = "usage"
    USER = "user"
    ACCOUNT = "account"
    OUTCOME = "outcome"
    GOAL = "goal"
    MILESTONE = "milestone"
    SURVEY = "survey"
    TICKET = "ticket"
    BILLING = "billing"
    SUBSCRIPTION = "subscription"
    SENTIMENT = "sentiment"
    OVERRIDE = "override"
    ERASURE = "erasure"


class Activity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of login, usage, outcome and ticket; `user` is a keyed hash, `quantity` in thousandths."""

    user: str | None = None
    name: str | None = None
    quantity: Whole | None = None


class Closure(msgspec.Struct, frozen=True, kw_only=True):
    """Days on which an account does not work, by its local time; both are meant (none if `to` is before `from`)."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind account: what is known of a customer; absent means unchanged."""

    name: str | None = None
    owner: str | None = None
    segment: str | None = None
    stage: str | None = None
    arr: Whole | None = None
    """Annual recurring revenue in whole units of `currency`."""
    currency: str | None = None
    seats: Whole | None = None
    renewal_date: str | None = None
    """YYYY-MM-DD."""
    timezone: str | None = None
    """IANA, such as Asia/Tokyo."""
    country: str | None = None
    """ISO 3166, two letters: whose holidays it keeps."""
    closures: Annotated[list[Closure], msgspec.Meta(max_length=MOST_CLOSURES)] | None = None
    """Its closures beside those holidays, all of them: the last list told counts."""
    parent: str | None = None
    trial: bool | None = None
    deleted: bool | None = None


class BillingStatus(StrEnum):
    """What happened to a payment."""

    PAYMENT_FAILED = "payment_failed"
    INVOICE_PAID = "invoice_paid"


class Billing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind billing."""

    status: BillingStatus


class SurveyKind(StrEnum):
    """Which question was asked: NPS 0-10, CSAT 1-5, CES 1-7."""

    NPS = "nps"
    CSAT = "csat"
    CES = "ces"


class Survey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind survey."""

    kind: SurveyKind
    score: Whole
    user: str | None = None


class SubscriptionStatus(StrEnum):
    """Where a contract stands."""

    STARTED = "started"
    RENEWED = "renewed"
    CHANGED = "changed"
    NOTICE_GIVEN = "notice_given"
    CANCELLED = "cancelled"


class Subscription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind subscription; `mrr` in whole units of the account's currency."""

    status: SubscriptionStatus
    mrr: Whole | None = None


class Membership(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind user: a user belongs to the account, with a role, or was removed."""

    user: str
    role: str | None = None
    removed: bool | None = None


Points = Annotated[int, msgspec.Meta(ge=0, le=100)]
Author = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Sentiment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind sentiment: how well the relationship stands in somebody's judgement, 0-100, good through `until`.

    `until` is YYYY-MM-DD; without one, or with one that is no date, it is good for 90 days.
    """

    score: Points
    by: Author
    until: str | None = None


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind override: the health somebody sets by hand, good through `until` like a sentiment.

    Without a health it lifts the one set before.
    """

    health: Points | None = None
    by: Author
    reason: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    until: str | None = None


class GoalKind(StrEnum):
    """What a goal is worth to the customer."""

    COST_SAVED = "cost_saved"
    REVENUE_GAINED = "revenue_gained"
    OTHER = "other"


class Goal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind goal: what the customer wants to reach, `target` (thousandths) events `metric` through `due`.

    The latest told is the one in force; without target, due (YYYY-MM-DD) or metric nothing is counted for it.
    """

    name: str | None = None
    kind: GoalKind | None = None
    target: Whole | None = None
    due: str | None = None
    metric: str | None = None


class Milestone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind milestone: a step of the journey that was reached, perhaps by somebody's word, `text` in theirs.

    Not checked: whatever says `milestone` without a name that the journey has reaches nothing.
    """

    name: str | None = None
    user: str | None = None
    by: str | None = None
    text: str | None = None


class Erasure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`data` of kind erasure: forget this user (a keyed hash) of the account, or all of the account."""

    user: Annotated[str, msgspec.Meta(min_length=1)] | None = None


DATA_OF: Final[dict[Kind, type[msgspec.Struct]]] = {
    Kind.LOGIN: Activity,
    Kind.USAGE: Activity,
    Kind.OUTCOME: Activity,
    Kind.TICKET: Activity,
    Kind.USER: Membership,
    Kind.ERASURE: Erasure,
    Kind.ACCOUNT: AccountFacts,
    Kind.BILLING: Billing,
    Kind.SURVEY: Survey,
    Kind.SUBSCRIPTION: Subscription,
    Kind.SENTIMENT: Sentiment,
    Kind.OVERRIDE: Override,
    Kind.GOAL: Goal,
}
"""Typed `data` by kind; kinds not listed carry any JSON object and change no health yet."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it lies in Kafka: `subject` is the account id, `data` the JSON object of its kind."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: str
    receivedat: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Imported(Event, frozen=True, kw_only=True):
    """One row of a history: (`importjob`, `importrow`) takes the place of the id, whenever the row comes again."""

    importjob: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    importrow: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A record that says "it is now `time`"; `context` is the last offset of `churn.context.v1` it knows."""

    context: int


def type_of(kind: str) -> str:
    """Return the CloudEvents type of a kind: `churn.<kind>.v1`."""
    return f"churn.{kind}.v1"


def source_of(name: str) -> str:
    """Return the CloudEvents source of an app: `/sources/<name>`."""
    return f"/sources/{name}"


def wire_time(at_ms: int) -> str:
    """Write epoch milliseconds as RFC 3339 UTC with milliseconds and `Z` (24 characters)."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{ms:03d}Z"


def parse_time(text: str) -> int | None:
    """Read RFC 3339 with an offset into epoch milliseconds (finer digits cut), or None if it is not one."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None or len(text) < len("2026-11-22T07:00:00Z") or text[10] not in "Tt ":
        return None
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def derived_id(source: str, canonical: bytes) -> str:
    """Return the id of an event that came without one but with its own timestamp: `h_` + SHA-256 in hex."""
    return "h_" + hashlib.sha256(source.encode() + b"\0" + canonical).hexdigest()


def tick_record(at_ms: int, *, context: int) -> bytes:
    """Encode a tick as it is appended, without key, to one partition of `churn.events.v1`."""
    time = wire_time(at_ms)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"tick-{at_ms}",
            "source": "/scorer",
            "type": TICK_TYPE,
            "time": time,
            "data": Tick(context=context),
        }
    )
