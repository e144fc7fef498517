"""What is erased is gone at the next tick and stays so, whatever is sent again; what comes later builds up anew."""

import msgspec
import pytest

from services.scorer.core import pack
from services.scorer.core.partition import Partition
from services.scorer.core.restore import restore
from services.scorer.core.step import last_healths, step
from shared.contracts.context import Guard, GuardState, Import, ImportState
from shared.contracts.events import source_of
from shared.contracts.health import AccountHealth, Attributes, Band
from shared.contracts.risk import Change
from tests.support.histories import bundles
from tests.support.log import (
    DAY,
    HOUR,
    MINUTE,
    SEED,
    START,
    Configurations,
    Log,
    Outcome,
    batches,
    by_columns,
    by_oracle,
)

NOW = START + 60 * DAY
ERASED = NOW + HOUR


def scored(log: Log) -> Outcome:
    """Return what both programs make of a log."""
    columns, oracle = (run(log.records, log.contexts) for run in (by_columns, by_oracle))
    assert columns == oracle
    return columns


def life(*, kind: str = "login", source: str = "app", **contexts: Guard) -> Log:
    """Return forty days of work every day, with a name and an unpaid bill: judged, and an episode is open."""
    log = Log()
    log.contexts = {0: bundles()[0], **{int(name[1:]): entry for name, entry in contexts.items()}}
    log.event("acme", "account", at=NOW - 40 * DAY, data={"name": "Acme", "owner": "eve@example.org"}, id="a")
    for day in range(40):
        log.event("acme", kind, at=NOW - (40 - day) * DAY, data={"user": "u1"}, source=source, id=f"d{day}")
    log.event("acme", "billing", at=NOW, data={"status": "payment_failed"}, id="b")
    log.tick(NOW + MINUTE)
    return log


def work(log: Log, *, since: int, days: int, user: str = "u2", source: str = "app") -> None:
    for day in range(days):
        log.event("acme", "login", at=since + day * DAY, data={"user": user}, source=source)


def test_an_erased_account_ends_its_episodes_says_nothing_more_and_is_removed() -> None:
    log = life()
    log.event("acme", "erasure", at=ERASED)
    log.tick(ERASED + MINUTE)
    log.tick(ERASED + 2 * DAY, context=0)
    outcome = scored(log)
    assert len(outcome.healths) == 1
    (opened, ended) = outcome.transitions
    assert (opened.rule, opened.attributes.name) == ("failed_payment", "Acme")
    assert (ended.episode, ended.change, ended.severity) == (opened.episode, Change.EXPIRED, opened.severity)
    assert (ended.attributes, ended.contributions, ended.evidence, ended.playbook) == (Attributes(), [], [], None)
    assert (ended.band, ended.health) == (Band.UNKNOWN, None)
    assert [account for _, account in outcome.removed] == ["acme"]


def test_what_is_sent_again_changes_nothing_and_is_no_fact_any_more() -> None:
    log = life()
    log.event("acme", "erasure", at=ERASED)
    log.tick(ERASED + MINUTE)
    before = scored(log)
    for late, kind, data in ((0, "login", {"user": "u1"}), (0, "billing", {"status": "payment_failed"})):
        log.event("acme", kind, at=ERASED - late, ts=ERASED + 2 * DAY, data=data)
        log.event("acme", kind, at=NOW - DAY, ts=ERASED + 2 * DAY, data=data, imported=("i_1", len(log.records)))
    log.event("acme", "erasure", at=ERASED - MINUTE, ts=ERASED + 2 * DAY)
    log.tick(ERASED + 2 * DAY)
    after = scored(log)
    assert (after.healths, after.transitions, after.facts) == (before.healths, before.transitions, before.facts)
    assert after.removed == before.removed
    assert after.counts["applied"] == before.counts["applied"] + 5


def test_the_account_is_built_up_anew_by_what_comes_later() -> None:
    log = life(kind="outcome")
    log.event("acme", "erasure", at=ERASED)
    work(log, since=ERASED + 1, days=21)
    log.tick(ERASED + 21 * DAY)
    outcome = scored(log)
    built = outcome.healths[-1]
    assert outcome.removed == []
    assert (built.attributes, built.last_activity) == (Attributes(), ERASED + 1 + 20 * DAY)
    assert "outcomes_28" not in {contribution.measure for contribution in built.contributions}
    assert built.contributions
    assert [t.change for t in outcome.transitions] == [Change.OPENED, Change.EXPIRED]
    fresh = Log()
    fresh.contexts = log.contexts
    work(fresh, since=ERASED + 1, days=21)
    fresh.tick(ERASED + 21 * DAY)
    assert scored(fresh).without_offsets()[0] == outcome.without_offsets()[0][-1:]


def test_a_source_that_fed_it_before_holds_no_rule_of_it() -> None:
    later = ERASED + 22 * DAY
    held = Guard(source=source_of("old"), partitions=[0], state=GuardState.HELD, at=later - HOUR)
    log = life(source="old", _1=held)
    log.event("acme", "erasure", at=ERASED)
    work(log, since=ERASED + 1, days=15)
    log.tick(later, context=1)
    assert [t.rule for t in scored(log).transitions if t.change is Change.OPENED] == ["failed_payment", "silence"]


def seats_used(log: Log) -> list[int | None]:
    found = scored(log).healths
    return [next((c.value for c in health.contributions if c.measure == "seats_used"), None) for health in found]


def user_log() -> Log:
    log = life()
    log.event("acme", "account", at=NOW, data={"seats": 10}, id="s")
    log.event("acme", "login", at=NOW, data={"user": "u2"}, id="l")
    log.tick(NOW + 2 * MINUTE)
    log.event("acme", "erasure", at=ERASED, data={"user": "u1"})
    log.tick(ERASED + MINUTE)
    return log


def test_an_erased_user_is_no_user_any_more_and_what_names_nobody_stays() -> None:
    log = user_log()
    whole = scored(log)
    assert seats_used(log)[-2:] == [200, 100]
    assert (whole.healths[-1].active_days, whole.healths[-1].last_activity) == (whole.healths[-2].active_days, NOW)
    assert whole.healths[-1].attributes.name == "Acme"


@pytest.mark.parametrize("restart", [False, True])
def test_an_erased_user_stays_so_when_old_events_come_again_and_comes_back_with_new_ones(*, restart: bool) -> None:
    log = user_log()
    cut = len(log.records)
    for at in (NOW - DAY, ERASED):
        log.event("acme", "login", at=at, ts=ERASED + MINUTE, data={"user": "u1"})
        log.event("acme", "survey", at=at, ts=ERASED + MINUTE, data={"user": "u1", "kind": "nps", "score": 9})
    log.tick(ERASED + HOUR)
    assert seats_used(log)[-1] == 100
    log.event("acme", "login", at=ERASED + 1, ts=ERASED + HOUR, data={"user": "u1"})
    log.tick(ERASED + 2 * HOUR)
    assert seats_used(log)[-1] == 200
    assert not [key for _, key, _ in scored(log).facts if b"/survey/" in key]

    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    healths = []
    for number, batch in enumerate(batches(log.records, 0, cuts=[cut])):
        state = restored(state) if restart and number else state
        healths += step(state, batch, known_at=Configurations(log.contexts)).healths
    assert [msgspec.json.decode(row.payload, type=AccountHealth) for row in healths] == scored(log).healths


def restored(state: Partition) -> Partition:
    """Return the state as a checkpoint brings it back."""
    cycle, records = pack.begin(state), list[bytes]()
    while (some := cycle.next(state)) is not None:
        records += some
    again = restore([*records, cycle.marker(first_record=0)], partition=0, partitions=1, seed=SEED)
    assert again is not None
    return again


def test_a_checkpoint_after_an_erasure_holds_nothing_of_before() -> None:
    log = life()
    log.event("acme", "erasure", at=ERASED)
    log.tick(ERASED + MINUTE)
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    for batch in batches(log.records, 0):
        step(state, batch, known_at=Configurations(log.contexts))
    again = restored(state)
    activity = again.activity
    assert (activity.signals.count, activity.users.count, activity.sources.count) == (0, 0, 0)
    assert (again.facts.fields, again.facts.attributes) == ({}, {})
    assert not activity.accounts["hours"][0].any()
    (row,) = [row for rows in last_healths(again) for row in rows]
    assert (row.account, row.payload, row.erased) == ("acme", b"", ERASED + MINUTE)


def test_a_stranger_erased_is_nobody_and_nothing_is_published_of_it() -> None:
    log = life()
    log.event("stranger", "erasure", at=ERASED, data={"user": "u1"})
    log.event("other", "erasure", at=ERASED)
    log.tick(ERASED + MINUTE)
    outcome = scored(log)
    assert {health.account for health in outcome.healths} == {"acme"}
    assert [account for _, account in outcome.removed] == ["other"]


@pytest.mark.parametrize("data", [{"user": ""}, {"user": 5}])
def test_an_erasure_that_names_nobody_properly_erases_nobody(data: dict[str, object]) -> None:
    log = life()
    log.event("acme", "erasure", at=ERASED, data=data)
    log.tick(ERASED + MINUTE)
    outcome = scored(log)
    assert [reason for _, reason in outcome.dead] == ["schema"]
    assert outcome.removed == []


def test_an_account_erased_while_its_import_runs_is_removed_though_more_of_it_came() -> None:
    log = life()
    log.contexts = {**log.contexts, 1: Import(job="i_1", state=ImportState.RUNNING, at=ERASED)}
    log.event("acme", "login", at=NOW, ts=ERASED, imported=("i_1", 0))
    log.event("acme", "erasure", at=ERASED)
    log.event("acme", "login", at=ERASED + 1, ts=ERASED + MINUTE, imported=("i_1", 1))
    log.tick(ERASED + 2 * MINUTE, context=1)
    assert [account for _, account in scored(log).removed] == ["acme"]
