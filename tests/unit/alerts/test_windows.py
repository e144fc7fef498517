"""An event that changes a feature lies in one of its windows: told by the scorer's own formulas."""

from collections.abc import Mapping

import numpy as np
import pytest

from services.alerts.core.signals import Names, Signals, Told, counts_as
from services.alerts.core.windows import WINDOWS, days_of, windows_of
from services.scorer.core.feature_table import FEATURES
from services.scorer.core.features import Features
from services.scorer.core.medians import COMPARED, Medians
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from shared.contracts.events import source_of
from tests.support.histories import bundles
from tests.support.log import DAY, HOUR, SEED, START, Configurations, Log, batch_of

TODAY = START + 200 * DAY
NOON = TODAY + 12 * HOUR
BACK = (0, 1, 5, 6, 7, 8, 9, 13, 14, 15, 26, 27, 28, 29, 30, 33, 34, 35, 36, 55, 56, 57, 89, 90, 91)
SIGNALS = Signals(
    key_features=frozenset({"Export"}),
    signals=Names(
        automation=frozenset({"Sync"}),
        automation_sources=frozenset({"web"}),
        exports=frozenset({"Report"}),
        admin=frozenset({"Configure"}),
        errors=frozenset({"Oops"}),
    ),
)
EVENTS: Mapping[str, tuple[str, str, dict[str, object]]] = {
    "log-in": ("login", "app", {"user": "new"}),
    "robot's log-in": ("login", "web", {"user": "new"}),
    "use": ("usage", "app", {"user": "new", "name": "Elsewhere"}),
    "key feature": ("usage", "app", {"user": "u1", "name": "Export"}),
    "key feature by nobody": ("usage", "app", {"name": "Export"}),
    "automation": ("usage", "app", {"user": "new", "name": "Sync"}),
    "export": ("usage", "app", {"user": "u1", "name": "Report"}),
    "admin": ("usage", "app", {"name": "Configure"}),
    "error": ("usage", "app", {"user": "u2", "name": "Oops"}),
    "unknown kind": ("page", "app", {"user": "u1"}),
    "outcome": ("outcome", "app", {"user": "u2"}),
    "ticket": ("ticket", "app", {}),
    "removal": ("user", "app", {"user": "u2", "removed": True}),
    "membership": ("user", "app", {"user": "u2"}),
    "seats": ("account", "app", {"seats": 3, "renewal_date": "2026-12-01"}),
    "nps": ("survey", "app", {"kind": "nps", "score": 1}),
    "csat": ("survey", "app", {"kind": "csat", "score": 1}),
    "ces": ("survey", "app", {"kind": "ces", "score": 1}),
    "payment failed": ("billing", "app", {"status": "payment_failed"}),
    "notice": ("subscription", "app", {"status": "notice_given"}),
    "goal": ("goal", "app", {"target": 99_000, "due": "2026-10-20", "metric": "Export"}),
    "milestone": ("milestone", "app", {"name": "exported"}),
    "sentiment": ("sentiment", "app", {"score": 10, "by": "eve", "until": "2027-12-31"}),
    "override": ("override", "app", {"health": 10, "by": "eve", "until": "2027-12-31"}),
}
CASES = [(name, back) for name in EVENTS for back in BACK]
COUNTED = ("events", "logins", "hand_use", "automation", "exports", "admin_actions", "errors", "tickets", "outcomes")
NAMES = [*FEATURES, "adoption:Export", "use_28:Export"]


@pytest.fixture(scope="module")
def values() -> Mapping[str, list[int]]:
    """Return each feature of accounts with the same plain life, with one event more: the first with none."""
    log = Log()
    log.contexts = {0: bundles()[10]}
    accounts = ["plain", *(f"{name}, {back} days ago" for name, back in CASES)]
    log.tick(START, context=0)
    for account, case in zip(accounts, [None, *CASES], strict=True):
        begins = days_of(account).begins(days_of(account).of(NOON))
        for back in (1, 12, 31, 40, 70, 80):
            log.event(account, "login", at=begins - back * DAY + HOUR, data={"user": "u1"}, ts=NOON)
        for kind, user, back in (("usage", "u2", 40), ("login", "u2", 20), ("login", "u3", 9), ("login", "u4", 9)):
            at = begins - back * DAY + 3 * HOUR
            log.event(account, kind, at=at, data={"user": user, "name": "Export"}, ts=NOON)
        log.event(account, "outcome", at=begins - 78 * DAY, ts=NOON)
        log.event(account, "account", at=begins - 99 * DAY, data={"seats": 9}, ts=NOON)
        log.event(account, "billing", at=begins - 99 * DAY, data={"status": "invoice_paid"}, ts=NOON)
        if case is not None:
            kind, source, data = EVENTS[case[0]]
            log.event(account, kind, at=begins - case[1] * DAY + 2 * HOUR, data=data, source=source, ts=NOON)
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    step(state, batch_of(log.records, partition=0), known_at=Configurations(log.contexts))
    assert state.bundle is not None
    medians = Medians({NOON // DAY: {"": dict.fromkeys(COMPARED, 7)}})
    rows = np.array([state.activity.names.texts(np.arange(state.accounts)).index(name.encode()) for name in accounts])
    moments = np.full(len(rows), NOON)
    features = Features(moments, rows=rows, activity=state.activity, bundle=state.bundle, medians=medians)
    return {name: features.values[name].tolist() for name in NAMES}


def held(feature: str, case: tuple[str, int]) -> bool:
    kind, source, data = EVENTS[case[0]]
    told = Told(
        kind=kind,
        source=source_of(source),
        name=str(data["name"]) if "name" in data else None,
        user=str(data["user"]) if "user" in data else None,
        said=str(data["kind"]) if "kind" in data else None,
        removed="removed" in data,
    )
    counted = counts_as(told, SIGNALS)
    return any(window.of in counted and window.holds(-case[1], today=0) for window in windows_of(feature))


@pytest.mark.parametrize("feature", NAMES)
def test_an_event_that_changes_a_feature_lies_in_one_of_its_windows(
    values: Mapping[str, list[int]], feature: str
) -> None:
    plain, *others = values[feature]
    changed = [case for case, value in zip(CASES, others, strict=True) if value != plain]
    assert changed or feature in {"silence", "champion_silence"}  # nothing is due at noon, and nobody came often
    assert [case for case in changed if not held(feature, case)] == []


@pytest.mark.parametrize("feature", [f"{of}_{days}" for of in COUNTED for days in (1, 7, 14, 28, 91)])
def test_every_event_in_its_window_changes_a_feature_that_counts_them(
    values: Mapping[str, list[int]], feature: str
) -> None:
    plain, *others = values[feature]
    changed = [case for case, value in zip(CASES, others, strict=True) if value != plain]
    assert changed == [case for case in CASES if held(feature, case)]


def test_every_feature_has_its_windows_and_nothing_else_has() -> None:
    assert set(WINDOWS) == set(FEATURES)
    assert windows_of("unheard_of") == ()
