"""`churnwatch verify`: score the log again with the oracle, and compare with what the live system says.

A partition whose log was cut is scored from its oldest snapshot, and compared in what comes after it.
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from pydantic import Field
from redis.asyncio import Redis

from lab import oracle
from lab.live import Live, read_contexts, read_healths, read_live, read_partition
from lab.oracle_snapshot import begin_at, seed_of, standing_of
from lab.snapshots import oldest_snapshot, span_of
from lab.trouble import Trouble
from services.scorer.core.cycles import Snapshot
from shared.contracts.context import ContextKind, Fingerprint
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition
from shared.contracts.topics import CONTEXT
from shared.contracts.topology import Topology
from shared.kafka import read_to_end, wait_ready
from shared.settings import HexKey, ServiceSettings, load, variable_name
from shared.topology import current_topology

SHOWN = 20
KEY = "dead_letter_key"
_FINGERPRINT = ContextKind.FINGERPRINT.encode()

Rows = Sequence[Transition] | Sequence[AccountHealth]


class VerifySettings(ServiceSettings):
    """Settings of `churnwatch verify`."""

    dead_letter_key: HexKey | None = Field(
        None,
        description="Key that seeds the hashes in a snapshot; needed where verifying starts from one",
        json_schema_extra={"secret": True},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An account of which the live system says something else than the oracle, and the first tick where it does."""

    account: str
    at: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """From where on a run is compared: `base`, and for accounts of a snapshot what follows the offset they stand at.

    What was published until the snapshot's `clock` (epoch ms) may be of an earlier generation, with offsets of its own.
    """

    base: int = 0
    standing: Mapping[str, int] = field(default_factory=dict)
    clock: int = -1

    def covers(self, account: str, *, offset: int) -> bool:
        """Say whether what was published of an account at an offset is compared."""
        return offset > self.standing.get(account, self.base - 1)


WHOLE = Since()


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What comparing found: fates over all partitions, and what differs."""

    fates: dict[str, int]
    accounts: int
    behind: int
    """Accounts that ticks after the last one seen in Redis judge anew: not compared beyond it."""
    differences: list[Difference]
    from_snapshot: int = 0
    """How many partitions were scored from a snapshot on."""


async def verify(*, from_snapshot: bool = False) -> None:
    """Recompute every account's health and episodes from the log; exit 1 and name the accounts that differ.

    A partition whose log no longer reaches back to its start is recomputed from its oldest snapshot.

    Parameters
    ----------
    from_snapshot
        Start every partition from its oldest snapshot: cheaper, and what lies before is taken as right.
    """
    settings = load(VerifySettings)
    await wait_ready(settings.kafka, 5.0)
    key = settings.dead_letter_key.get_secret_value() if settings.dead_letter_key else None
    redis = Redis.from_url(settings.redis)
    try:
        verdict = await compare(settings.kafka, redis, key=key, from_snapshot=from_snapshot)
    finally:
        await redis.aclose()
    records = sum(verdict.fates.values())
    print(f"{records} records: " + ", ".join(f"{n} {fate}" for fate, n in sorted(verdict.fates.items())))
    if verdict.from_snapshot:
        print(f"{verdict.from_snapshot} partitions from their oldest snapshot on, the others from their first record")
    for difference in verdict.differences[:SHOWN]:
        print(f"{difference.account}: {difference.what} differs, first at {difference.at}")
    differing = len({difference.account for difference in verdict.differences})
    print(f"accounts compared: {verdict.accounts}, differing: {differing}")
    if verdict.behind:
        print(f"{verdict.behind} of them have later ticks in the log that redis did not show yet")
    if differing:
        sys.exit("churnwatch: redis or the published topics say something else than the log")


async def compare(kafka: str, redis: "Redis", *, key: bytes | None = None, from_snapshot: bool = False) -> Verdict:
    """Compare the live system with the oracle over the log as it is now.

    Redis is read first, so that it can't be ahead of the log; each partition is compared as of the last tick that
    Redis shows of it.
    """
    healths, live = await read_healths(redis), await read_live(kafka)
    contexts, topology = await read_contexts(kafka), await current_topology(kafka)
    verdict = Verdict(fates={}, accounts=0, behind=0, differences=[])
    for number in range(topology.partitions):
        snapshot = await _snapshot(kafka, number, topology=topology, wanted=from_snapshot)
        begin = begin_at(snapshot.contents, seed=await seed_of_deployment(kafka, key)) if snapshot else None
        since = _since(snapshot) if snapshot else WHOLE
        records = await read_partition(kafka, topology.events, number, from_offset=since.base)
        result = oracle.run(
            records,
            partition=number,
            partitions=topology.partitions,
            contexts=contexts,
            generation=topology.generation,
            begin=begin,
        )
        for fate, n in result.counts.items():
            verdict.fates[fate] = verdict.fates.get(fate, 0) + n
        held = {
            account: health
            for account, health in healths.items()
            if (health.generation, health.partition) == (topology.generation, number)
        }
        upto = max((health.offset for health in held.values()), default=-1)
        verdict.accounts += len(result.healths)
        verdict.from_snapshot += snapshot is not None
        verdict.behind += sum(health.offset > upto for health in result.healths.values())
        verdict.differences += compared(result, upto=upto, healths=held, live=live, partition=number, since=since)
    verdict.differences.sort(key=lambda difference: (difference.at, difference.account))
    return verdict


async def _snapshot(kafka: str, number: int, *, topology: Topology, wanted: bool) -> Snapshot | None:
    """Return the snapshot a partition is verified from, None where it is verified from its first record.

    A generation that was moved to begins with a snapshot: its log goes on from what lies in the one before.
    """
    span = await span_of(kafka, topology.events, number)
    if span[0] == 0 and topology.generation == 1 and not wanted:
        return None
    snapshot = await oldest_snapshot(kafka, number, topology=topology, span=span)
    if snapshot is None:
        raise Trouble(
            f"{topology.events}/{number} begins at {span[0]}, and {topology.snapshots}/{number} holds no whole snapshot"
            " from which on it holds every event"
        )
    return snapshot


def _since(snapshot: Snapshot) -> Since:
    marker = snapshot.contents.marker
    clock = -1 if marker.clock is None else marker.clock
    return Since(base=marker.base, standing=standing_of(snapshot.contents), clock=clock)


async def seed_of_deployment(kafka: str, key: bytes | None) -> int:
    """Return the seed of a snapshot's hashes; raise Trouble when the key is missing or not this deployment's."""
    name = variable_name(KEY)
    if key is None:
        raise Trouble(f"{name} is missing: a snapshot keeps ids under hashes of it; set it as for the scorer")
    ours = hashlib.sha256(key).hexdigest()[:16]
    told = [record.value async for record in read_to_end(kafka, CONTEXT) if record.key == _FINGERPRINT]
    known = [msgspec.json.decode(value, type=Fingerprint) for value in told if value is not None]
    first = next((one.fingerprint for one in known if one.name == KEY), ours)
    if first != ours:
        raise Trouble(f"{name} has the fingerprint {ours}, the scorer's {first}: set the same key")
    return seed_of(key)


def compared(
    result: oracle.Result,
    *,
    partition: int,
    upto: int,
    healths: dict[str, AccountHealth],
    live: Live,
    since: Since = WHOLE,
) -> list[Difference]:
    """Return how the live system differs in one partition as of the tick at `upto`, once an account and kind."""

    def is_compared(row: Transition | AccountHealth) -> bool:
        is_ours = row.partition == partition and row.offset <= upto and row.at > since.clock
        return is_ours and since.covers(row.account, offset=row.offset)

    past = [evaluation for evaluation in result.evaluations if evaluation.offset <= upto]
    latest = _latest(past)
    found = [
        Difference(account=account, at=health.at, what=_what(healths.get(account), health))
        for account, health in latest.items()
        if healths.get(account) != health
    ]
    found += [
        Difference(account=account, at=health.at, what="health (of an account the log does not have)")
        for account, health in healths.items()
        if account not in latest and since.covers(account, offset=health.offset)
    ]
    scores = [score for evaluation in past for score in evaluation.scores]
    transitions = [transition for evaluation in past for transition in evaluation.transitions]
    published = Live(
        scores=[row for row in live.scores if is_compared(row)],
        transitions=[row for row in live.transitions if is_compared(row)],
    )
    found += _rows(scores, published.scores, what="a score")
    return found + _rows(transitions, published.transitions, what="a transition")


def _latest(evaluations: Sequence[oracle.Evaluation]) -> dict[str, AccountHealth]:
    latest: dict[str, AccountHealth] = {}
    for evaluation in evaluations:
        for account in evaluation.erased:
            latest.pop(account, None)
        latest |= evaluation.healths
    return latest


def _rows(truth: Rows, published: Rows, *, what: str) -> list[Difference]:
    said, meant = ({(row.account, row.at, msgspec.json.encode(row)) for row in rows} for rows in (published, truth))
    first: dict[str, int] = {}
    for account, at, _ in said ^ meant:
        first[account] = min(at, first.get(account, at))
    return [Difference(account=account, at=at, what=what) for account, at in first.items()]


def _what(held: AccountHealth | None, latest: AccountHealth) -> str:
    if held is None:
        return "health (redis has none)"
    if held.offset != latest.offset:
        return f"health (redis has that of offset {held.offset}, the log goes to {latest.offset})"
    names = [name for name in held.__struct_fields__ if getattr(held, name) != getattr(latest, name)]
    return f"health ({', '.join(names)})"
