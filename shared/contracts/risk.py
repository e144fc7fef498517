"""Define what lies on `churn.risk.v1`: transitions of episodes, and lists of those that are open."""

import base64
import hashlib
from enum import StrEnum

import msgspec

from shared.contracts.health import Attributes, Band, Contribution
from shared.contracts.journey import Unmet


class Change(StrEnum):
    """What happened to an episode."""

    OPENED = "opened"
    WORSENED = "worsened"
    EASED = "eased"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


INCOMPLETE = "incomplete_data"
"""What evidence is called that a rule was judged though a source is missed: its value is for how long, ms."""


class Severity(StrEnum):
    """How bad an episode is."""

    OPPORTUNITY = "opportunity"
    """No risk at all: the account may grow."""
    AT_RISK = "at_risk"
    CRITICAL = "critical"


class ReceiverClass(StrEnum):
    """Whose business an episode is: routes match by it."""

    CS = "cs"
    SUPPORT = "support"
    GROWTH = "growth"


ENDS = frozenset({Change.RESOLVED, Change.WITHDRAWN, Change.EXPIRED})


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One number a rule stood on, beside what is normal for this account; times are epoch ms, ratios thousandths.

    `unmet` are the milestones it counts, absent for numbers that count none.
    """

    feature: str
    value: int
    normal: int | None = None
    unmet: list[Unmet] | msgspec.UnsetType = msgspec.UNSET


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
    receiver: ReceiverClass = ReceiverClass.CS
    precision_percent: int | None = None
    """How often the rule is right, as its author states it."""


class OpenEpisodes(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="open_episodes"):
    """One part of the list of all episodes open in a partition after its tick at `offset`, whose T is `at` (epoch ms).

    Whoever takes a partition writes one, after the transitions of that tick. What is open elsewhere, was opened at or
    before `at`, and is in none of the `parts` parts (numbered from 0) does not exist. Accounts belong to `partition` by
    Kafka's murmur2 over `partitions`. It has no key, which a transition always has.
    """

    partition: int
    partitions: int
    offset: int
    at: int
    part: int
    parts: int
    episodes: list[str]


MOST_EPISODES = 5_000
"""In one part: keeps it to a fifth of what a record may hold."""


def read_risk(key: bytes | None, value: bytes) -> Transition | OpenEpisodes:
    """Return what a record holds; raises msgspec.DecodeError or ValidationError."""
    if key is None:
        return msgspec.json.decode(value, type=OpenEpisodes)
    return msgspec.json.decode(value, type=Transition)


def episode_id(account: str, *, rule: str, opened_at: int) -> str:
    """Return the id of the episode that a rule opened for an account at the tick `opened_at` (epoch ms).

    `ep_` and the first 26 base32 characters (lower case) of SHA-256 over the three, NUL-separated.
    """
    digest = hashlib.sha256(f"{account}\0{rule}\0{opened_at}".encode()).digest()
    return "ep_" + base64.b32encode(digest)[:26].decode().lower()


def transition_id(episode: str, *, change: Change, at: int) -> str:
    """Return the id of a transition: the same for the same step in every run."""
    return f"{episode}.{change.value}.{at}"
