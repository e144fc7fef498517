"""Build transitions, routes and playbooks for tests of alerts."""

from pathlib import Path

from services.alerts.core.message import Background
from services.alerts.core.routing import Receiver, Route, Routes
from shared.contracts.health import Attributes, Band, Contribution
from shared.contracts.playbook import Playbook
from shared.contracts.risk import Change, Evidence, Severity, Transition, episode_id, transition_id

CONFIG = Path(__file__).parents[2] / "config"
OWNER = "dana@example.com"
T0 = 1_795_000_000_000
DAY_MS = 86_400_000


def transition(
    change: Change = Change.OPENED,
    *,
    account: str = "acme",
    rule: str = "silence",
    severity: Severity = Severity.AT_RISK,
    opened_at: int = T0,
    at: int | None = None,
    **others: object,
) -> Transition:
    """Return a transition of the account `acme`, owned by Dana, with words for a silence."""
    episode = episode_id(account, rule=rule, opened_at=opened_at)
    moment = opened_at if at is None else at
    values = {
        "id": transition_id(episode, change=change, at=moment),
        "episode": episode,
        "account": account,
        "rule": rule,
        "change": change,
        "severity": severity,
        "at": moment,
        "opened_at": opened_at,
        "partition": 0,
        "offset": 0,
        "bundle": "b_0",
        "standing": False,
        "playbook": rule.replace("_", "-"),
        "band": Band.AT_RISK,
        "health": 41_200,
        "evidence": [Evidence(feature="silence", value=3 * DAY_MS + 4 * 3_600_000, normal=2 * DAY_MS)],
        "contributions": [
            Contribution(dimension="engagement", measure="recency_days", points=9_000, possible=40_000, value=9),
            Contribution(dimension="adoption", measure="seats_used", points=22_200, possible=40_000, value=400),
            Contribution(dimension="commercial", measure="payment_ok", points=10_000, possible=20_000, value=1),
        ],
        "attributes": Attributes(
            name="Acme GmbH", owner=OWNER, segment="smb", arr=48_000, currency="EUR", renewal_date="2027-01-31"
        ),
    }
    return Transition(**{**values, **others})  # type: ignore[arg-type]  # the caller's fields replace ours


def routes(**changed: object) -> Routes:
    """Return routes that tell the owner in Slack and by mail."""
    values = {
        "receivers": {"owner": Receiver(slack=["owner"], mail=["owner"]), "team": Receiver(slack=["#team"])},
        "route": Route(receivers=["owner"]),
        "default_channel": "#churn-alerts",
        "default_mail": ["lead@example.com"],
    }
    return Routes(**{**values, **changed})  # type: ignore[arg-type]  # the caller's fields replace ours


def background() -> Background:
    """Return playbooks for the rules used in tests."""
    return Background(playbooks={"silence": Playbook(steps=["Call them"])}, alpha_permille=10)
