"""Define a notice as it lies on `churn.notices.v1`: a message that is not one account's alert."""

import base64
import hashlib
from enum import StrEnum

import msgspec

from shared.contracts.alerts import Delivery


class NoticeKind(StrEnum):
    """What a notice is."""

    STANDING_LIST = "standing_list"
    """What was so before anybody judged: one list an owner, no interruption an account."""
    DAILY_LIST = "daily_list"
    """What was found while only observed: one list an owner and day."""
    GROWTH_LIST = "growth_list"
    """Accounts that may grow: one list an owner and day."""
    INCIDENT = "incident"
    """A source fell silent, or lost an event name; for the engineers."""
    HOLD_ENDED = "hold_ended"
    """It is still silent, but its accounts are judged again; for the engineers."""


class ListedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One account in a list; `over` once its alert ended."""

    alert: str
    account: str
    name: str | None
    rules: list[str]
    severity: str
    arr: int | None
    currency: str | None
    over: bool = False


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message in one place for its whole life; times are epoch ms.

    Lists hold `items` of `owner` (None: accounts without one); an incident names its `source`, and the
    `event` if only events of that name are missing.
    """

    id: str
    kind: NoticeKind
    revision: int
    created_at: int
    changed_at: int
    delivery: Delivery
    owner: str | None = None
    items: list[ListedAlert] = []
    source: str | None = None
    event: str | None = None
    accounts: int = 0
    ended_at: int | None = None


def notice_id(kind: NoticeKind, *parts: object) -> str:
    """Return the id of a notice: `no_` and 26 base32 characters of SHA-256 over what makes it this one."""
    digest = hashlib.sha256("\0".join([kind.value, *map(str, parts)]).encode()).digest()
    return "no_" + base64.b32encode(digest)[:26].decode().lower()
