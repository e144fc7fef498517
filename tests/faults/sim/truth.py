"""What one uninterrupted run over a log says, by the oracle itself, and what a world says otherwise."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import msgspec

from lab import oracle
from shared.contracts.topics import FACTS, RISK, SCORES
from tests.faults.sim.process import Process
from tests.faults.sim.world import EventLogs, World

FATES = {"applied": "applied", "duplicate": "duplicate", "moved": "moved", "tick": "ticks"}
Published = frozenset[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What must come of one partition; `published[n]` is what its first n records lead to."""

    counts: Mapping[str, int]
    published: Sequence[Published]
    dead: frozenset[tuple[int, int, str]]
    moved: frozenset[tuple[int, bytes | None]]
    """Where events must be forwarded to."""
    healths: Mapping[str, tuple[int, int, bytes]]


class Truths:
    """The truth of every log met in one case."""

    def __init__(self, logs: EventLogs, contexts: oracle.Contexts) -> None:
        self._logs = logs
        self._contexts = contexts
        self._known: dict[tuple[int, tuple[int, ...]], Truth] = {}

    def of(self, world: World, partition: int) -> Truth:
        """Return the truth of a partition's log as it is now."""
        uids = world.events[partition]
        truth = self._known.get((partition, uids))
        if truth is None:
            truth = self._known[partition, uids] = self._work_out(uids, partition)
        return truth

    def _work_out(self, uids: tuple[int, ...], partition: int) -> Truth:
        records = [self._logs.records[uid] for uid in uids]
        result = oracle.run(records, partition=partition, partitions=2, contexts=self._contexts)
        at: list[set[tuple[str, bytes]]] = [set() for _ in range(len(records) + 1)]
        for evaluation in result.evaluations:
            at[evaluation.offset + 1] |= {(SCORES, msgspec.json.encode(row)) for row in evaluation.scores}
            at[evaluation.offset + 1] |= {(RISK, msgspec.json.encode(row)) for row in evaluation.transitions}
        for offset, _ in result.facts:
            at[offset + 1].add((FACTS, records[offset].value or b""))
        published: list[Published] = []
        for new in at:
            published.append(frozenset(published[-1] | new if published else new))
        return Truth(
            counts=Counter(FATES.get(fate, "dead") for fate in result.fates),
            published=published,
            dead=frozenset((partition, n, fate) for n, fate in enumerate(result.fates) if fate not in FATES),
            moved=frozenset(
                (1 - partition, record.value)
                for record, fate in zip(records, result.fates, strict=True)
                if fate == "moved"
            ),
            healths={
                account: (health.generation, health.offset, msgspec.json.encode(health))
                for account, health in result.healths.items()
            },
        )


def watch(process: Process, truths: Truths) -> None:
    """Check at every acknowledgement and commit that all before it is durable."""

    def check(partition: int, position: int, what: str) -> None:
        if not truths.of(process.world, partition).published[position] <= process.world.published:
            process.world.faults.append(f"{what} {position} of partition {partition} before its outputs were durable")

    process.check_durable = check  # type: ignore[method-assign]


def differences(process: Process, truths: Truths) -> list[str]:
    """Return what a world and the process that finished in it say otherwise than one uninterrupted run."""
    world = process.world
    if process.end is not None:
        return [f"ended itself: {' '.join(process.end)}"]
    found = list(world.faults)
    if not process.is_done():
        found.append("stuck: not everything is acknowledged and in redis")
    records = world.logs.records
    published: set[tuple[str, bytes]] = set()
    dead: set[tuple[int, int, str]] = set()
    healths: dict[str, tuple[int, int, bytes]] = {}
    for partition in process.partitions:
        truth = truths.of(world, partition)
        published |= truth.published[-1]
        dead |= truth.dead
        healths |= truth.healths
        found += _of_state(process, truth, partition)
        for to, value in truth.moved:
            if not any(records[uid].value == value for uid in world.events[to]):
                found.append(f"moved: an event of partition {partition} never came to {to}")
    found += _missing_or_extra("output", world.published, published)
    found += _missing_or_extra("dead letter", world.dead, dead)
    held = {account: row for account, row in world.redis.items() if row[2]}  # what was erased is an empty row
    if held != healths:
        accounts = sorted(account for account in healths.keys() | held.keys())
        wrong = [account for account in accounts if held.get(account) != healths.get(account)]
        found.append(f"redis: {', '.join(wrong)} differ")
    return found


def _of_state(process: Process, truth: Truth, partition: int) -> list[str]:
    states = process.loop.states()
    if partition not in states:
        return [f"partition {partition} is not served"]
    state, found = states[partition], []
    if {fate: n for fate, n in state.counts.items() if n} != truth.counts:
        found.append(f"accounting of partition {partition}: {dict(state.counts)} is not {dict(truth.counts)}")
    if sum(state.counts.values()) != state.position or state.position != len(process.world.events[partition]):
        found.append(f"accounting of partition {partition}: fates do not sum up to the log end")
    held = {row.account: row.payload for rows in process.core.last_healths(state) for row in rows if row.payload}
    if held != {account: payload for account, (_, _, payload) in truth.healths.items()}:
        found.append(f"state of partition {partition}: health differs")
    return found


def _missing_or_extra(what: str, held: AbstractSet[object], meant: AbstractSet[object]) -> list[str]:
    if held == meant:
        return []
    found = []
    if meant - held:
        found.append(f"{what}: {len(meant - held)} missing")
    if held - meant:
        found.append(f"{what}: {len(held - meant)} extra")
    return found
