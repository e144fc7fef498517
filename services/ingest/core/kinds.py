"""Say which kind an SDK call is and make its `data`: the one table of names, and one function a kind."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

import msgspec

from services.ingest.core.fields import Field, Reader
from services.ingest.core.identity import is_account
from services.ingest.core.item import MAX_NAME_CHARS, Call, Item, Reason, Rejection
from services.ingest.core.sources import SourceRules
from shared.contracts.events import (
    MOST_CLOSURES,
    AccountFacts,
    Activity,
    Billing,
    BillingStatus,
    Closure,
    Goal,
    GoalKind,
    Kind,
    Membership,
    Milestone,
    Override,
    Sentiment,
    Subscription,
    SubscriptionStatus,
    Survey,
    SurveyKind,
)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an item tells: its kind, the `data` of that kind, and the fields that couldn't be read."""

    kind: Kind
    data: msgspec.Struct | Mapping[str, object]
    dropped: tuple[Field, ...] = ()


Data = msgspec.Struct | Reason
Make = Callable[[Reader, str | None], Data]
"""Make the data of an item from its fields and its user's hash, or say why not."""

MOST_POINTS: Final = 100
_SCORES: Final = {SurveyKind.NPS: (0, 10), SurveyKind.CSAT: (1, 5), SurveyKind.CES: (1, 7)}


def tell(item: Item, *, rules: SourceRules, user: str | None) -> Told | Rejection:
    """Return what an item tells of its account; a track that no table names is usage under its name."""
    match item.call:
        case Call.GROUP:
            return _made(Kind.ACCOUNT, _account, item, fields=Reader(item.traits, rules.traits), user=user)
        case Call.IDENTIFY | Call.ALIAS:
            return _made(Kind.USER, _member, item, fields=Reader(item.traits, rules.traits), user=user)
    name = _name(item)
    if isinstance(name, Rejection):
        return name
    name = rules.events.get(name, name)
    kind, make = BY_NAME.get(name) or (Kind.USAGE, _usage(name))
    return _made(kind, make, item, fields=Reader(item.properties, rules.traits), user=user)


def _made(kind: Kind, make: Make, item: Item, *, fields: Reader, user: str | None) -> Told | Rejection:
    data = make(fields, user)
    if isinstance(data, Reason):
        return Rejection(reason=data, detail=kind, raw=item.raw)
    return Told(kind=kind, data=data, dropped=tuple(fields.dropped))


def _name(item: Item) -> str | Rejection:
    match item.call:
        case Call.TRACK:
            name = item.name or ""
        case Call.PAGE:  # Segment's convention for what its destinations call a page
            name = " ".join(filter(None, ("Viewed", item.category, item.name, "Page")))
        case _:
            name = " ".join(filter(None, ("Viewed", item.category, item.name, "Screen")))
    if not name.strip():
        return Rejection(reason=Reason.MISSING_NAME, raw=item.raw)
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        return Rejection(reason=Reason.INVALID_NAME, detail=f"{len(name)} characters", raw=item.raw)
    return name


def _account(fields: Reader, _user: str | None) -> Data:
    parent = fields.text(Field.PARENT)
    if parent is not None and not is_account(parent):
        fields.drop(Field.PARENT)
        parent = None
    currency = fields.text(Field.CURRENCY)
    if currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        fields.drop(Field.CURRENCY)
        currency = None
    return AccountFacts(
        name=fields.text(Field.NAME),
        owner=fields.address(Field.OWNER),
        segment=fields.text(Field.SEGMENT),
        stage=fields.text(Field.STAGE),
        arr=fields.money(Field.ARR),
        currency=currency and currency.upper(),
        seats=fields.count(Field.SEATS),
        renewal_date=fields.date(Field.RENEWAL_DATE),
        timezone=fields.text(Field.TIMEZONE),
        country=fields.text(Field.COUNTRY),
        closures=_closures(fields),
        parent=parent,
        trial=fields.flag(Field.TRIAL),
    )


def _closures(fields: Reader) -> list[Closure] | None:
    spans = fields.spans(Field.CLOSURES, most=MOST_CLOSURES)
    days = [tuple(map(date.fromisoformat, span)) for span in spans or ()]
    return None if spans is None else [Closure(first=first, last=last) for first, last in days]


def _deleted(_fields: Reader, _user: str | None) -> Data:
    return AccountFacts(deleted=True)


def _member(fields: Reader, user: str | None) -> Data:
    return Reason.MISSING_USER if user is None else Membership(user=user, role=fields.text(Field.ROLE))


def _removed(_fields: Reader, user: str | None) -> Data:
    return Reason.MISSING_USER if user is None else Membership(user=user, removed=True)


def _login(_fields: Reader, user: str | None) -> Data:
    return Activity(user=user)


def _usage(name: str) -> Make:
    def make(fields: Reader, user: str | None) -> Data:
        return Activity(user=user, name=name, quantity=fields.thousandths(Field.QUANTITY))

    return make


def _outcome(fields: Reader, user: str | None) -> Data:
    by = Field.VALUE if fields.raw(Field.VALUE) is not None else Field.QUANTITY
    return Activity(user=user, name=fields.text(Field.NAME), quantity=fields.thousandths(by))


def _ticket(name: str) -> Make:
    def make(_fields: Reader, user: str | None) -> Data:
        return Activity(user=user, name=name)

    return make


def _billing(status: BillingStatus) -> Make:
    def make(_fields: Reader, _user: str | None) -> Data:
        return Billing(status=status)

    return make


def _subscription(status: SubscriptionStatus) -> Make:
    def make(fields: Reader, _user: str | None) -> Data:
        return Subscription(status=status, mrr=fields.money(Field.MRR))

    return make


def _survey(fields: Reader, user: str | None) -> Data:
    word = (fields.text(Field.KIND) or "").lower()
    score = fields.count(Field.SCORE)
    if word not in SurveyKind.__members__.values() or score is None:
        return Reason.INVALID_VALUE
    kind = SurveyKind(word)
    least, most = _SCORES[kind]
    return Survey(kind=kind, score=score, user=user) if least <= score <= most else Reason.INVALID_VALUE


def _sentiment(fields: Reader, _user: str | None) -> Data:
    score, by = fields.count(Field.SCORE), fields.text(Field.BY)
    if score is None or score > MOST_POINTS or by is None:
        return Reason.INVALID_VALUE
    return Sentiment(score=score, by=by, until=fields.date(Field.UNTIL))


def _override(fields: Reader, _user: str | None) -> Data:
    health, by = fields.count(Field.HEALTH), fields.text(Field.BY)
    reason, until = fields.text(Field.REASON), fields.date(Field.UNTIL)
    if health is None or health > MOST_POINTS or by is None or reason is None or until is None:
        return Reason.INVALID_VALUE
    return Override(health=health, by=by, reason=reason, until=until)


def _lifted(fields: Reader, _user: str | None) -> Data:
    by = fields.text(Field.BY)
    return Reason.INVALID_VALUE if by is None else Override(by=by, reason=fields.text(Field.REASON))


def _goal(fields: Reader, _user: str | None) -> Data:
    word = (fields.text(Field.KIND) or "").lower().replace(" ", "_")
    kind = GoalKind.__members__.get(word.upper())
    if word and kind is None:
        fields.drop(Field.KIND)
    return Goal(
        name=fields.text(Field.NAME),
        kind=kind,
        target=fields.thousandths(Field.TARGET),
        due=fields.date(Field.DUE),
        metric=fields.text(Field.METRIC),
    )


def _milestone(fields: Reader, user: str | None) -> Data:
    return Milestone(name=fields.text(Field.NAME), user=user, by=fields.text(Field.BY))


BY_NAME: Final[Mapping[str, tuple[Kind, Make]]] = {
    "Signed In": (Kind.LOGIN, _login),
    "Account Deleted": (Kind.ACCOUNT, _deleted),
    "Account Added User": (Kind.USER, _member),
    "Account Removed User": (Kind.USER, _removed),
    "Payment Failed": (Kind.BILLING, _billing(BillingStatus.PAYMENT_FAILED)),
    "Invoice Paid": (Kind.BILLING, _billing(BillingStatus.INVOICE_PAID)),
    "Survey Answered": (Kind.SURVEY, _survey),
    "Subscription Started": (Kind.SUBSCRIPTION, _subscription(SubscriptionStatus.STARTED)),
    "Subscription Renewed": (Kind.SUBSCRIPTION, _subscription(SubscriptionStatus.RENEWED)),
    "Subscription Changed": (Kind.SUBSCRIPTION, _subscription(SubscriptionStatus.CHANGED)),
    "Subscription Cancelled": (Kind.SUBSCRIPTION, _subscription(SubscriptionStatus.CANCELLED)),
    "Subscription Canceled": (Kind.SUBSCRIPTION, _subscription(SubscriptionStatus.CANCELLED)),
    "Notice Given": (Kind.SUBSCRIPTION, _subscription(SubscriptionStatus.NOTICE_GIVEN)),
    "Outcome Achieved": (Kind.OUTCOME, _outcome),
    "Goal Set": (Kind.GOAL, _goal),
    "Milestone Reached": (Kind.MILESTONE, _milestone),
    "Sentiment Set": (Kind.SENTIMENT, _sentiment),
    "Health Overridden": (Kind.OVERRIDE, _override),
    "Override Lifted": (Kind.OVERRIDE, _lifted),
    "Ticket Opened": (Kind.TICKET, _ticket("opened")),
    "Ticket Closed": (Kind.TICKET, _ticket("closed")),
}
"""The events with a meaning of their own; sources.yaml gives other names for them."""
