"""Hold alerts and notices as `churn.alerts.v1` and `churn.notices.v1` tell them: what every replica reads from."""

from collections.abc import Sequence

import msgspec
import structlog
from aiokafka.structs import ConsumerRecord

from services.alerts.core.alert import OPEN_STATES
from shared.contracts.alerts import Alert, AlertState
from shared.contracts.notices import Notice, NoticeKind


class Book:
    """The newest alert of every account, by account and by id. `apply` is fed by a Follower."""

    def __init__(self) -> None:
        self._by_account: dict[str, Alert] = {}
        self._account_of: dict[str, str] = {}

    def apply(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        """Take one record: the newest of an account holds, none lets go of it."""
        if record.key is None:
            return
        if record.value is None:
            gone = self._by_account.pop(record.key.decode("utf-8", "replace"), None)
            self._account_of.pop(gone.id if gone is not None else "", None)
            return
        try:
            alert = msgspec.json.decode(record.value, type=Alert)
        except (msgspec.DecodeError, UnicodeDecodeError):
            structlog.get_logger(__name__).error("unreadable_alert", partition=record.partition, offset=record.offset)
            return
        before = self._by_account.get(alert.account)
        if before is not None and before.id != alert.id:
            self._account_of.pop(before.id, None)
        self._by_account[alert.account] = alert
        self._account_of[alert.id] = alert.account

    def of(self, account: str) -> Alert | None:
        """Return the open alert of an account, or None."""
        alert = self._by_account.get(account)
        return alert if alert is not None and alert.state in OPEN_STATES else None

    def get(self, alert_id: str) -> Alert | None:
        """Return an alert by id: the newest one of its account, or None."""
        account = self._account_of.get(alert_id)
        return None if account is None else self._by_account[account]

    def page(self, state: AlertState | None, *, after: tuple[int, str] | None, limit: int) -> Sequence[Alert]:
        """Return alerts in a state (None: any), the last changed first, after a (changed_at, id)."""
        wanted = (a for a in self._by_account.values() if state is None or a.state is state)
        ordered = sorted(wanted, key=lambda a: (-a.changed_at, a.id))
        if after is not None:
            ordered = [a for a in ordered if (-a.changed_at, a.id) > (-after[0], after[1])]
        return ordered[:limit]


class NoticeBook:
    """Every notice by id. `apply` is fed by a Follower."""

    def __init__(self) -> None:
        self._notices: dict[str, Notice] = {}

    def apply(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        """Take one record: the newest of a notice holds, none lets go of it."""
        if record.key is None:
            return
        if record.value is None:
            self._notices.pop(record.key.decode(), None)
            return
        try:
            notice = msgspec.json.decode(record.value, type=Notice)
        except (msgspec.DecodeError, UnicodeDecodeError):
            structlog.get_logger(__name__).error("unreadable_notice", offset=record.offset)
            return
        self._notices[notice.id] = notice

    def page(self, kind: NoticeKind | None, *, after: tuple[int, str] | None, limit: int) -> Sequence[Notice]:
        """Return notices of a kind (None: any), the newest first, after a (created_at, id)."""
        wanted = (n for n in self._notices.values() if kind is None or n.kind is kind)
        ordered = sorted(wanted, key=lambda n: (-n.created_at, n.id))
        if after is not None:
            ordered = [n for n in ordered if (-n.created_at, n.id) > (-after[0], after[1])]
        return ordered[:limit]
