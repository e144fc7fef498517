"""Who is told by the shipped routes, and that any other value in them would tell somebody else, or is refused."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
import yaml

from lab.scorecard.mutation import Mutation, changed, mutations
from services.alerts.core.alert import Position, fold
from services.alerts.core.delivery import with_fallback
from services.alerts.core.lists import incident
from services.alerts.core.routing import Note, Routes, decide, faults
from services.scorer.core.bundle import ConfigError
from services.scorer.core.compile import bundle_of
from shared.contracts.alerts import Alert, Delivery, DeliveryState
from shared.contracts.context import Guard, GuardState
from shared.contracts.health import Attributes
from shared.contracts.journey import Unmet
from shared.contracts.risk import Evidence, ReceiverClass, Severity
from tests.support.risk import CONFIG, OWNER, T0, transition

SHIPPED: Final = {
    name: yaml.safe_load((CONFIG / f"{name}.yaml").read_text("utf-8")) for name in ("routes", "playbooks")
}
CONTACT: Final = "eve@example.com"
LACKED: Final = Unmet(
    stage="onboarding", milestone="live", days=1, all_of=[], any_of=[], contact=CONTACT, channel="#onboarding"
)
OVERDUE: Final[dict[str, Any]] = {
    "rule": "milestone_overdue",
    "evidence": [Evidence(feature="milestones_overdue", value=1, unmet=[LACKED])],
}
SMB, ENTERPRISE = (Attributes(owner=OWNER, segment=segment) for segment in ("smb", "enterprise"))
ALERTS: Final[dict[str, dict[str, Any]]] = {
    "at risk": {"attributes": SMB},
    "critical": {"attributes": SMB, "severity": Severity.CRITICAL},
    "enterprise": {"attributes": ENTERPRISE},
    "critical enterprise": {"attributes": ENTERPRISE, "severity": Severity.CRITICAL},
    "nobody's": {"attributes": Attributes()},
    "standing": {"attributes": SMB, "standing": True},
    "may grow": {"attributes": SMB, "severity": Severity.OPPORTUNITY, "receiver": ReceiverClass.GROWTH},
    "overdue": OVERDUE | {"attributes": SMB},
    "overdue beside another": OVERDUE | {"attributes": SMB, "beside": {}},
    "overdue beside a critical one": OVERDUE
    | {"attributes": ENTERPRISE, "beside": {"attributes": ENTERPRISE, "severity": Severity.CRITICAL}},
}
EVE: Final = [f"slack @{CONTACT}", f"mail @{CONTACT}"]
DANA: Final = [f"slack @{OWNER}", f"mail @{OWNER}"]
TOLD: Final = {
    "at risk": DANA,
    "critical": DANA,
    "enterprise": DANA,
    "critical enterprise": [*DANA, "slack #churn-alerts"],
    "nobody's": ["slack #churn-alerts"],
    "standing": [],
    "may grow": [],
    "overdue": [*EVE, "slack #onboarding"],
    "overdue beside another": [*DANA, *EVE, "slack #onboarding"],
    "overdue beside a critical one": [*DANA, *EVE, "slack #churn-alerts", "slack #onboarding"],
    "unknown to Slack": ["slack #churn-alerts"],
    "Slack is out": [],
    "an incident": ["slack #churn-ops"],
}


def told(content: object) -> dict[str, list[str]]:
    """Return who is told of what under these routes; raises ValidationError or ValueError where they are refused."""
    routes = msgspec.convert(content, Routes)
    if faults(routes):
        raise ValueError(faults(routes))
    guard = Guard(source="/sources/web", partitions=[0], state=GuardState.HELD, at=T0)
    found = {
        name: sorted(_place(d) for d in decide(_alert(**one), routes, now=T0).destinations)
        for name, one in ALERTS.items()
    }
    found["unknown to Slack"] = _instead(f"@{OWNER}", routes)
    found["Slack is out"] = _instead(routes.default_channel, routes)
    found["an incident"] = [_place(incident(guard, since=T0, accounts=9, routes=routes, now=T0).delivery)]
    return found


def _alert(beside: dict[str, Any] | None = None, **others: Any) -> Alert:
    """Return an alert with one reason, and another one where it is said."""
    opened = fold(None, transition(**others), position=Position(topic="r", partition=0, offset=0)).alert
    if beside is not None:
        opened = fold(opened, transition(**beside), position=Position(topic="r", partition=0, offset=1)).alert
    assert opened is not None
    return opened


def _instead(target: str, routes: Routes) -> list[str]:
    """Return who is told when Slack refuses a target."""
    failed = Delivery(channel="slack", target=target, state=DeliveryState.FAILED, revision=1, delivered_revision=0)
    return [_place(d) for d in with_fallback(_alert(), failed, routes=routes, note=Note.UNREACHABLE, now=T0).deliveries]


def _place(one: Any) -> str:
    return f"{one.channel} {one.target}"


def routes_changed() -> Iterator[Mutation]:
    """Yield every change of one value of the routes, the names of channels included."""
    yield from mutations({"routes": SHIPPED["routes"]}, shapes={"routes": Routes})
    for name in ("default_channel", "incidents_channel"):
        yield Mutation(key=("routes", name), before=SHIPPED["routes"][name], after="#elsewhere")


def test_the_shipped_routes_tell_these() -> None:
    assert told(SHIPPED["routes"]) == {what: sorted(places) for what, places in TOLD.items()}


@pytest.mark.parametrize("mutation", list(routes_changed()), ids=lambda one: f"{one.key}: {one}")
def test_another_value_would_tell_somebody_else(mutation: Mutation) -> None:
    try:
        now = told(changed(SHIPPED["routes"], mutation.key[1:], after=mutation.after))
    except (msgspec.ValidationError, ValueError):
        return
    assert now != told(SHIPPED["routes"])


@pytest.mark.parametrize("name", SHIPPED["playbooks"])
def test_without_one_of_its_playbooks_the_shipped_configuration_is_refused(name: str) -> None:
    scorecard, rules = (yaml.safe_load((CONFIG / f"{name}.yaml").read_text("utf-8")) for name in ("scorecard", "rules"))
    playbooks = SHIPPED["playbooks"]
    assert bundle_of(scorecard, rules, playbooks=playbooks)
    with pytest.raises(ConfigError, match=f"no playbook '{name}'"):
        bundle_of(scorecard, rules, playbooks={other: one for other, one in playbooks.items() if other != name})
