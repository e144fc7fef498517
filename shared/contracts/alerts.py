"""Define an alert as it lies on `churn.alerts.v1` and a command as it lies on `churn.commands.v1`."""

from enum import StrEnum
from typing import Final

import msgspec

from shared.contracts.health import Attributes, Band, Contribution
from shared.contracts.risk import Change, Evidence, ReceiverClass, Severity

READERS: Final = "churn-alerts"
"""The consumer group of the alert service: its offsets say how far transitions and commands are obeyed."""


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One episode within an alert."""

    episode: str
    rule: str
    severity: Severity
    opened_at: int
    last_change: Change
    changed_at: int
    standing: bool
    playbook: str | None
    evidence: list[Evidence]
    receiver: ReceiverClass = ReceiverClass.CS
    precision_percent: int | None = None
    """How often the rule is right, as its author states it."""


class AlertState(StrEnum):
    """Where an alert stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class DeliveryState(StrEnum):
    """How far a delivery got: `intended` is durable before the call, the rest after it."""

    INTENDED = "intended"
    DELIVERED = "delivered"
    UNKNOWN = "unknown"
    FAILED = "failed"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one receiver over one channel, for its whole life.

    `revision` is the alert revision last intended, `delivered_revision` the one last known to have arrived.
    `target` is where it goes (Slack channel or user id, mail address), `handle` how the provider names the message
    (Slack: `channel/ts`; mail: its Message-ID).
    """

    channel: str
    target: str
    state: DeliveryState
    revision: int
    delivered_revision: int
    handle: str | None = None
    attempts: int = 0
    """Calls since the last one that succeeded."""
    error: str | None = None
    note: str | None = None
    """Why this delivery exists though no route asked for it: `no_owner`, `unknown_owner`, `unreachable`."""
    intended_at: int = 0
    """Wall time (epoch ms) at which `revision` was intended."""
    reply_revision: int = 0
    """The revision that calls for a thread reply which mentions the person; 0 is none."""
    replied_revision: int = 0


class Verdict(StrEnum):
    """What a person said of an alert's reason."""

    RIGHT = "right"
    NOT_A_RISK = "not_a_risk"


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """Who said at `at` (epoch ms) of which milestone that it is reached: whether it is follows from the event alone."""

    milestone: str
    by: str
    at: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The one open conversation about an account; its id is the id of the episode that opened it."""

    id: str
    account: str
    state: AlertState
    revision: int
    severity: Severity
    opened_at: int
    changed_at: int
    ended_at: int | None
    reasons: list[Reason]
    """Open episodes, strongest first."""
    ended: list[Reason]
    """Episodes of this alert that ended."""
    band: Band
    health: int | None
    contributions: list[Contribution]
    attributes: Attributes
    bundle: str
    deliveries: list[Delivery]
    acknowledged_by: str | None = None
    acknowledged_at: int | None = None
    verdict: Verdict | None = None
    """What a person said of it last."""
    verdict_by: str | None = None
    verdict_at: int | None = None
    words: list[Word] = []
    """What people said is reached, the first word of each milestone."""
    positions: dict[str, int] = {}
    """Highest offset of `churn.risk.v1` and `churn.commands.v1` contained, by `topic/partition`."""
    forgotten: list[str] = []
    """Episodes of the account's earlier alerts, the newest last: a replay does not open them again."""
    earlier: list["Alert"] = []
    """Ended alerts of the account that still have something to be told."""
    erased: bool = False
    """Its account was erased: it goes for good once it has ended and nothing of it is owed to anybody."""


class CommandKind(StrEnum):
    """What a person may ask of an alert."""

    ACK = "ack"
    SNOOZE = "snooze"
    ASSIGN = "assign"
    VERDICT = "verdict"
    NOTE = "note"
    MILESTONE = "milestone"
    """An event says that a milestone is reached: the alert tells whose word it was."""
    ERASE = "erase"
    """Let go of what the account's alert knows: from `churnwatch erase`, not from a person."""


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person said of an alert, by button or API; `id` makes a repetition harmless.

    With kind erase `alert` is empty: whichever the account has that was opened until `at`.
    """

    id: str
    kind: CommandKind
    alert: str
    account: str
    by: str
    at: int
    text: str | None = None
    until: int | None = None
    verdict: Verdict | None = None
    """With kind verdict."""
    milestone: str | None = None
    """With kind milestone: its name."""
