"""Define a transition of an episode as it lies on `churn.risk.v1`."""

import base64
import hashlib
from enum import StrEnum

import msgspec

from shared.contracts.health import Attributes, Band, Contribution


class Change(StrEnum):
    """What happened to an episode."""

    OPENED = "opened"
    WORSENED = "worsened"
    EASED = "eased"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Severity(StrEnum):
    """How bad an episode is."""

    AT_RISK = "at_risk"
    CRITICAL = "critical"


ENDS = frozenset({Change.RESOLVED, Change.WITHDRAWN, Change.EXPIRED})


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One number a rule stood on, beside what is normal for this account; times are epoch ms, ratios thousandths."""

    feature: str
    value: int
    normal: int | None = None


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one episode at the tick `at` (epoch ms).

    `id` is the same in every run over the same log. `health` is in milli-points. `contributions` sum to it.
    """

    id: str
    episode: str
    account: str
    rule: str
    change: Change
    severity: Severity
    at: int
    opened_at: int
    partition: int
    offset: int
    bundle: str
    standing: bool
    playbook: str | None
    band: Band
    health: int | None
    evidence: list[Evidence]
    contributions: list[Contribution]
    attributes: Attributes


def episode_id(account: str, *, rule: str, opened_at: int) -> str:
    """Return the id of the episode that a rule opened for an account at the tick `opened_at` (epoch ms).

    `ep_` and the first 26 base32 characters (lower case) of SHA-256 over the three, NUL-separated.
    """
    digest = hashlib.sha256(f"{account}\0{rule}\0{opened_at}".encode()).digest()
    return "ep_" + base64.b32encode(digest)[:26].decode().lower()


def transition_id(episode: str, *, change: Change, at: int) -> str:
    """Return the id of a transition: the same for the same step in every run."""
    return f"{episode}.{change.value}.{at}"
