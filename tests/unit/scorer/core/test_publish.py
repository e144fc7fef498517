"""What leaves the core beside the health itself."""

from services.scorer.core.partition import Partition
from services.scorer.core.publish import HealthRow
from services.scorer.core.step import step
from tests.support.histories import bundles
from tests.support.log import MINUTE, SEED, START, Configurations, Log, batch_of


def rows_of(log: Log) -> list[HealthRow]:
    log.contexts = dict(bundles())
    state = Partition.empty(partition=0, partitions=1, seed=SEED)
    return step(state, batch_of(log.records, partition=0), known_at=Configurations(log.contexts)).healths


def test_what_listings_go_by_is_what_was_told_last() -> None:
    log = Log()
    told = {"owner": "eve@example.org", "segment": "smb", "arr": 12_000, "name": "Acme", "parent": "holding"}
    log.event("acme", "account", at=START, data=told)
    log.event("acme", "account", at=START + 1, data={"parent": "group"})
    log.event("plain", "login", at=START)
    log.tick(START + MINUTE)
    acme, plain = rows_of(log)
    assert (acme.owner, acme.segment, acme.arr, acme.name, acme.parent) == (*list(told.values())[:4], "group")
    assert (plain.owner, plain.segment, plain.arr, plain.name, plain.parent) == (None,) * 5
