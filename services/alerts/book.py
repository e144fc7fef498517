"""Hold the alerts of all accounts as `churn.alerts.v1` tells them: what every replica reads from."""

from collections.abc import Sequence

import msgspec
import structlog
from aiokafka.structs import ConsumerRecord

from services.alerts.core.alert import OPEN_STATES
from shared.contracts.alerts import Alert, AlertState


class Book:
    """The newest alert of every account, by account and by id. `apply` is fed by a Follower."""

    def __init__(self) -> None:
        self._by_account: dict[str, Alert] = {}
        self._account_of: dict[str, str] = {}

    def apply(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        """Take one record: the newest of an account holds."""
        if record.key is None or record.value is None:
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
