"""`churnwatch verify`: score the whole log again with the oracle, and compare with what the live system says.

First version: it needs the whole log, from its first record.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from redis.asyncio import Redis

from lab import oracle
from lab.live import Live, read_contexts, read_healths, read_live, read_partition
from lab.trouble import Trouble
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition
from shared.kafka import wait_ready
from shared.settings import ServiceSettings, load
from shared.topology import current_topology

SHOWN = 20

Rows = Sequence[Transition] | Sequence[AccountHealth]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An account of which the live system says something else than the oracle, and the first tick where it does."""

    account: str
    at: int
    what: str


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What comparing found: fates over all partitions, and what differs."""

    fates: dict[str, int]
    accounts: int
    behind: int
    """Accounts that ticks after the last one seen in Redis judge anew: not compared beyond it."""
    differences: list[Difference]


async def verify() -> None:
    """Recompute every account's health and episodes from the log; exit 1 and name the accounts that differ."""
    settings = load(ServiceSettings)
    await wait_ready(settings.kafka, 5.0)
    redis = Redis.from_url(settings.redis)
    try:
        verdict = await compare(settings.kafka, redis)
    finally:
        await redis.aclose()
    records = sum(verdict.fates.values())
    print(f"{records} records: " + ", ".join(f"{n} {fate}" for fate, n in sorted(verdict.fates.items())))
    for difference in verdict.differences[:SHOWN]:
        print(f"{difference.account}: {difference.what} differs, first at {difference.at}")
    differing = len({difference.account for difference in verdict.differences})
    print(f"accounts compared: {verdict.accounts}, differing: {differing}")
    if verdict.behind:
        print(f"{verdict.behind} of them have later ticks in the log that redis did not show yet")
    if differing:
        sys.exit("churnwatch: redis or the published topics say something else than the log")


async def compare(kafka: str, redis: "Redis") -> Verdict:
    """Compare the live system with the oracle over the log as it is now.

    Redis is read first, so that it can't be ahead of the log; each partition is compared as of the last tick that
    Redis shows of it.
    """
    healths, live = await read_healths(redis), await read_live(kafka)
    contexts, topology = await read_contexts(kafka), await current_topology(kafka)
    if topology.generation > 1:
        raise Trouble(f"{topology.events} goes on from a state that was moved: verify needs a log from its start")
    count, events = topology.partitions, topology.events
    verdict = Verdict(fates={}, accounts=0, behind=0, differences=[])
    for number in range(count):
        records = await read_partition(kafka, events, number)
        if records and records[0].offset:
            raise Trouble(f"{events}/{number} begins at {records[0].offset}: verify needs the log from its start")
        result = oracle.run(records, partition=number, partitions=count, contexts=contexts)
        for fate, n in result.counts.items():
            verdict.fates[fate] = verdict.fates.get(fate, 0) + n
        held = {account: health for account, health in healths.items() if health.partition == number}
        upto = max((health.offset for health in held.values()), default=-1)
        verdict.accounts += len(result.healths)
        verdict.behind += sum(health.offset > upto for health in result.healths.values())
        verdict.differences += compared(result, upto=upto, healths=held, live=live, partition=number)
    verdict.differences.sort(key=lambda difference: (difference.at, difference.account))
    return verdict


def compared(
    result: oracle.Result, *, partition: int, upto: int, healths: dict[str, AccountHealth], live: Live
) -> list[Difference]:
    """Return how the live system differs in one partition as of the tick at `upto`, once an account and kind."""
    past = [evaluation for evaluation in result.evaluations if evaluation.offset <= upto]
    latest = {account: health for evaluation in past for account, health in evaluation.healths.items()}
    found = [
        Difference(account=account, at=health.at, what=_what(healths.get(account), health))
        for account, health in latest.items()
        if healths.get(account) != health
    ]
    found += [
        Difference(account=account, at=health.at, what="health (of an account the log does not have)")
        for account, health in healths.items()
        if account not in latest
    ]
    scores = [score for evaluation in past for score in evaluation.scores]
    transitions = [transition for evaluation in past for transition in evaluation.transitions]
    found += _rows(scores, live.scores, partition=partition, upto=upto, what="a score")
    return found + _rows(transitions, live.transitions, partition=partition, upto=upto, what="a transition")


def _rows(truth: Rows, seen: Rows, *, partition: int, upto: int, what: str) -> list[Difference]:
    published = [row for row in seen if row.partition == partition and row.offset <= upto]
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
