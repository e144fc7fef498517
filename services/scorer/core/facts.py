"""Keep what is known of an account beside its activity: each field the value with the greatest (time, id)."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from services.scorer.core.activity import Activity
from services.scorer.core.table import NONE
from shared.contracts.events import AccountFacts, Billing, BillingStatus, Subscription, SubscriptionStatus, Survey
from shared.contracts.health import Attributes

Field = tuple[Any, int, str]
"""Value, occurred_at (ms), id of the event that set it."""

SUBSCRIPTIONS: Final = ("", *(status.value for status in SubscriptionStatus))
"""Subscription statuses by the code in the column `subscription`; 0 is none."""
_ATTRIBUTES: Final = frozenset(Attributes.__struct_fields__)


class Facts:
    """Fields by account row; numbers that features read are mirrored into the activity's columns."""

    def __init__(self) -> None:
        self.fields: dict[int, dict[str, Field]] = {}
        self.attributes: dict[int, bytes] = {}
        """JSON of `Attributes` by account row."""
        self.listed: dict[int, tuple[str | None, str | None, int | None, str | None]] = {}
        """Owner, segment, ARR and name by account row: what listings of accounts are sorted and filtered by."""

    def apply(self, events: Iterable[tuple[int, int, str, msgspec.Struct]], *, activity: Activity) -> None:
        """Apply facts (account row, occurred_at, id, data) in any order. They are rare: one by one is meant."""
        changed = set()
        for account, at, event_id, data in events:
            fields = self.fields.setdefault(account, {})
            for name, value in _fields_of(data, at=at):
                held = fields.get(name)
                if held is None or (held[1], held[2]) < (at, event_id):
                    fields[name] = (value, at, event_id)
                    changed.add(account)
        for account in changed:
            self.mirror(account, activity=activity)

    def mirror(self, account: int, *, activity: Activity) -> None:
        """Write an account's fields to the columns and texts that evaluation and publishing read."""
        fields, columns = self.fields[account], activity.accounts
        known = {name: field[0] for name, field in fields.items() if name in _ATTRIBUTES}
        self.attributes[account] = msgspec.json.encode(Attributes(**known))
        self.listed[account] = (known.get("owner"), known.get("segment"), known.get("arr"), known.get("name"))
        columns["seats"][account] = known.get("seats", NONE)
        columns["deleted"][account] = known.get("deleted", False)
        columns["subscription"][account] = SUBSCRIPTIONS.index(known.get("subscription", ""))
        for name in ("payment_failed_at", "invoice_paid_at"):
            columns[name][account] = fields[name][1] if name in fields else NONE
        for name in ("nps", "csat"):
            columns[name][account], columns[f"{name}_at"][account] = fields.get(name, (NONE, NONE))[:2]


def _fields_of(data: msgspec.Struct, *, at: int) -> Iterable[tuple[str, Any]]:
    match data:
        case AccountFacts():
            return [(name, value) for name, value in msgspec.structs.asdict(data).items() if value is not None]
        case Billing(status=BillingStatus.PAYMENT_FAILED):
            return [("payment_failed_at", at)]
        case Billing():
            return [("invoice_paid_at", at)]
        case Survey():
            return [(data.kind.value, data.score)]
        case Subscription():
            return [("subscription", data.status.value)]
        case _:
            return []
