"""What the scorer tells of the last events: their fate, why, and what to do."""

from collections.abc import Sequence

from services.scorer.core.decode import Reason
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from services.scorer.recent import REMEDY, Recents, fates_of
from shared.contracts.recent import Fated
from tests.support.histories import bundles
from tests.support.log import DAY, SEED, START, Configurations, Log, batch_of


def told(log: Log, *, at_ms: int = 7) -> dict[str, Sequence[Fated]]:
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    batch = batch_of(log.records, partition=0)
    return dict(fates_of(batch, step(state, batch, known_at=Configurations(bundles())), at_ms=at_ms))


def test_each_event_has_its_fate_and_remedy() -> None:
    log = Log()
    log.tick(START + 100 * DAY)
    log.event("acme", "login", at=START + 100 * DAY, id="once", source="web")
    log.event("acme", "login", at=START + 100 * DAY, id="once", source="web")
    log.event("acme", "login", at=START, ts=START + 100 * DAY, id="old", source="web")
    log.event("b", "usage", at=START + 100 * DAY, id="other", source="app", data={"name": "Export"})
    log.append(b"{", ts=START + 100 * DAY)
    log.event("past", "login", at=START, ts=START + 100 * DAY, source="web", imported=("i_1", 1))
    log.tick(START + 100 * DAY + 1)
    found = told(log)
    assert [(one.id, one.fate, one.reason) for one in found["web"]] == [
        ("once", "applied", None),
        ("once", "duplicate", None),
        ("old", "dead", "too_late"),
    ]
    assert found["web"][2].remedy == "send older events with `churnwatch import`"
    assert [(one.account, one.kind, one.at) for one in found["app"]] == [("b", "usage", 7)]
    assert set(found) == {"web", "app"}


def test_every_reason_has_a_remedy() -> None:
    assert set(REMEDY) == set(Reason)


def test_only_the_last_hundred_of_a_batch_are_told() -> None:
    log = Log()
    for n in range(250):
        log.event("acme", "login", at=START, id=f"e{n}", source="web")
    assert [one.id for one in told(log)["web"]] == [f"e{n}" for n in range(150, 250)]


def test_full_batches_are_looked_at_four_times_a_second() -> None:
    log, noted, now = Log(), [], [0]
    for n in range(60):
        log.event("acme", "login", at=START, id=f"e{n}", source="web")
    batch = batch_of(log.records, partition=0)
    recents = Recents(lambda _source, fates: noted.append(len(fates)), now_ms=lambda: now[0])
    for at in (0, 100, 249, 250, 300):
        now[0] = at
        state = Partition.empty(partition=0, partitions=1, seed=SEED)
        recents.look(batch, step(state, batch, known_at=Configurations(bundles())))
    assert noted == [60, 60]
