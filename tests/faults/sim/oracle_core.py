"""The per-event oracle as a core of the effect loop: `lab/oracle.py` decides, this file only remembers and fences.

Values are immutable and interned, so that the same step from the same state is worked out once, however many schedules
take it. A checkpoint's records name interned values by number: what they hold is compared, never how it is written.
"""

import copy
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from lab import oracle
from lab.oracle_features import HOUR
from lab.oracle_records import Dead as DeadReason
from lab.oracle_records import Event, Record, Tick, read
from services.scorer.core.batch import Batch
from services.scorer.core.chunks import CheckpointError
from services.scorer.core.decode import Reason
from services.scorer.core.fates import Dead, Moved
from services.scorer.core.known import KnownAt
from services.scorer.core.lasting import Fact
from services.scorer.core.publish import HealthRow, removal
from services.scorer.core.step import Outputs
from shared.contracts.partition import partition_of
from tests.faults.sim.oracle_cycle import (
    Chunks,
    OracleChunk,
    OracleCycle,
    OracleMarker,
    base_of,
    complete,
    read_marker,
    sorted_out,
)
from tests.faults.sim.oracle_state import (
    Account,
    Identity,
    Ids,
    Judged,
    Node,
    OracleState,
    SimBatch,
    Step,
    Value,
    Whole,
    published,
    replaced,
    row_of,
    settled,
    whole_of,
)

_FATES = {"applied": "applied", "duplicate": "duplicate", "moved": "moved", "tick": "ticks"}


class OracleCore:
    """The oracle over the logs of one case. Each decision is a method of its own, so that a test can plant a bug."""

    def __init__(self, contexts: oracle.Contexts, *, partitions: int) -> None:
        self.contexts = contexts
        self.partitions = partitions
        self._bundles = {entry.version: entry for entry in contexts.values() if isinstance(entry, oracle.Bundle)}
        self._nodes: dict[tuple[object, ...], Node] = {}
        self._values: list[Value] = []
        self._events: dict[tuple[object, ...], int] = {}
        self._judgements: dict[tuple[object, ...], Judged] = {}
        self._kept: list[Any] = []
        self._numbers: dict[object, int] = {}

    def empty(self, partition: int) -> OracleState:
        whole = Whole(None, 0, None, (), (), frozenset(), pending=False)
        counts = Counter(dict.fromkeys(("applied", "duplicate", "dead", "moved", "ticks"), 0))
        return OracleState(partition, self._node(whole, {}, ()), position=0, counts=counts)

    def step(self, state: OracleState, batch: Batch, *, known_at: KnownAt) -> Outputs:  # noqa: ARG002
        assert isinstance(batch, SimBatch)
        outputs, node = Outputs(), state.node
        for row, (record, uid) in enumerate(zip(batch.records, batch.uids, strict=True)):
            if record.offset < state.position:
                continue
            key = ~uid if row in batch.quarantined else uid
            step = node.steps.get(key)
            if step is None:
                step = node.steps[key] = self._step(node, record, key, state.partition)
            node = step.after
            state.counts[step.fate] += 1
            outputs.healths += step.healths
            outputs.scores += step.scores
            outputs.transitions += step.transitions
            if step.reason is not None:
                outputs.dead.append(Dead(record.offset, Reason(step.reason), "as the oracle says", row))
            if step.fact is not None:
                outputs.facts.append(Fact(record.offset, step.fact.split(b"/")[0], step.fact, row))
            if step.moved_to is not None:
                outputs.moved.append(Moved(step.moved_to, row))
        state.node = node
        state.position = max(state.position, batch.records[-1].offset + 1)
        return outputs

    def step_in_slices(self, state: OracleState, batch: Batch, *, known_at: KnownAt) -> Generator[None, None, Outputs]:
        outputs = self.step(state, batch, known_at=known_at)
        yield
        return outputs

    def last_healths(self, state: OracleState) -> Iterator[list[HealthRow]]:
        values = [self._values[account.value] for account in state.node.accounts if account.upto < state.position]
        rows = [value.row for value in values if value.row is not None and not value.account.touched]
        if rows:
            yield rows

    def begin(self, state: OracleState, *, writer: str) -> OracleCycle:
        return OracleCycle(self, state, writer=writer)

    def marker_of(self, record: bytes) -> OracleMarker | None:
        return read_marker(record) if record[:1] == b"M" else None

    def base_of(self, record: bytes) -> int | None:
        return base_of(record)

    def restore(self, records: Iterable[bytes], *, partition: int) -> OracleState | None:
        chunks, markers = sorted_out(records)
        if not markers:
            return None
        whole = list(complete(chunks, markers))
        if not whole:
            raise CheckpointError("no cycle is complete")
        best = self.best_of(whole)
        return self._restored(best, self.chunks_of(best, chunks), partition=partition)

    def keep(self, value: object) -> int:
        """Return the number under which a value is kept."""
        key = value if isinstance(value, tuple) else id(value)  # what is kept stays, so its id stays its own
        number = self._numbers.get(key)
        if number is None:
            self._kept.append(value)
            number = self._numbers[key] = len(self._kept) - 1
        return number

    # what a test can replace

    def best_of(self, markers: Sequence[OracleMarker]) -> OracleMarker:
        return max(markers, key=lambda marker: marker.base)

    def chunks_of(self, marker: OracleMarker, chunks: Chunks) -> Mapping[int, OracleChunk]:
        return chunks[marker.cycle]

    def is_fenced(self, account: Account | None, offset: int) -> bool:
        """Say whether an account already contains what lies at an offset."""
        return account is not None and account.upto >= offset

    def is_replay(self, known: tuple[int, int], offset: int) -> bool:
        """Say whether an id known came from this very record."""
        return known[0] == offset

    def remember(self, seen: Ids, identity: Identity, at: tuple[int, int], *, fate: str, fenced: bool) -> Ids:  # noqa: ARG002
        """Return the ids after a record; a fenced one enters its id again."""
        return {**seen, identity: at} if fate == "applied" and seen.get(identity) != at else seen

    # one record

    def _step(self, node: Node, record: Record, uid: int, partition: int) -> Step:
        if uid < 0:
            return self._dead(node, record, "bug")
        try:
            event = read(record)
            if isinstance(event, Tick):
                return self._tick(node, record, uid, event, partition)
            return self._event(node, record, uid, event, partition)
        except DeadReason as reason:
            return self._dead(node, record, str(reason))

    def _dead(self, node: Node, record: Record, reason: str) -> Step:
        whole = node.whole._replace(arrival=max(node.whole.arrival, record.ts))
        whole = whole._replace(pending=whole.pending or reason != "tick_ahead")
        after = self._node(whole, node.seen, settled(node.accounts, record.offset))
        return Step(after=after, fate="dead", reason=reason)

    def _event(self, node: Node, record: Record, uid: int, event: Event, partition: int) -> Step:
        before = next((account for account in node.accounts if account.name == event.account), None)
        fenced = self.is_fenced(before, record.offset)
        identity, known = (event.source, event.id), node.seen.get((event.source, event.id))
        log = self._log(node, partition, record)
        if known is not None and not self.is_replay(known, record.offset):
            log.seen.remember(identity, hour=known[1])
        if before is not None:
            log.accounts[event.account] = copy.deepcopy(self._values[before.value].account)
        fate = oracle._fate(log, record)
        seen, accounts, home = node.seen, node.accounts, None
        if event.job is None:
            at = (record.offset, log.arrival // HOUR)
            seen = self.remember(seen, identity, at, fate=fate, fenced=fenced)
        if fate == "applied" and not fenced:
            key = (uid, before.value if before else None, node.whole.version, node.whole.clock)
            account = log.accounts[event.account]
            row = self._values[before.value].row if before and account.to_end is None else None
            number = self._event_value(key, Value(account=account, row=row))
            accounts = replaced(accounts, Account(event.account, number))
        if fate == "applied":
            oracle._last(log, record)
        if fate == "moved":
            home = partition_of(event.account.encode(), partitions=self.partitions)
        whole = whole_of(log, pending=True)
        after = self._node(whole, seen, settled(accounts, record.offset))
        fact = log.result.facts[0][1].encode() if log.result.facts else None
        return Step(after=after, fate=_FATES[fate], fact=fact, moved_to=home)

    def _event_value(self, key: tuple[object, ...], value: Value) -> int:
        number = self._events.get(key)
        if number is None:
            self._values.append(value)
            number = self._events[key] = len(self._values) - 1
        return number

    def _tick(self, node: Node, record: Record, uid: int, tick: Tick, partition: int) -> Step:
        if tick.at > record.ts + 5000:
            raise DeadReason("tick_ahead")
        log = self._log(node, partition, record)
        oracle._tick(log, tick, offset=record.offset)
        accounts: list[Account] = []
        judged: list[Judged] = []
        for account in node.accounts:
            if self.is_fenced(account, record.offset):
                accounts.append(account)
                continue
            one = self._judged(node, record, (uid, tick), account, partition)
            judged.append(one)
            accounts.append(Account(account.name, one.value))
        after = self._node(whole_of(log, pending=False), node.seen, settled(tuple(accounts), record.offset))
        return Step(
            after=after,
            fate="ticks",
            healths=tuple(one.row for one in judged if one.row is not None),
            scores=tuple(score for one in judged for score in one.scores),
            transitions=tuple(transition for one in judged for transition in one.transitions),
        )

    def _judged(self, node: Node, record: Record, said: tuple[int, Tick], account: Account, partition: int) -> Judged:
        uid, tick = said
        key = (uid, account.value, node.whole)
        if (judged := self._judgements.get(key)) is not None:
            return judged
        log = self._log(node, partition, record)
        log.accounts[account.name] = copy.deepcopy(self._values[account.value].account)
        oracle._tick(log, tick, offset=record.offset)
        evaluation = log.result.evaluations[-1] if log.result.evaluations else None
        if evaluation is None or not (evaluation.healths or evaluation.erased):
            judged = Judged(value=account.value, row=None, scores=(), transitions=())
        else:
            health = evaluation.healths.get(account.name)
            row = row_of(health) if health else removal(account.name, at=tick.at, offset=record.offset)
            self._values.append(Value(account=log.accounts[account.name], row=row))
            judged = Judged(
                value=len(self._values) - 1,
                row=row,
                scores=tuple(published(score) for score in evaluation.scores),
                transitions=tuple(published(transition) for transition in evaluation.transitions),
            )
        self._judgements[key] = judged
        return judged

    def _log(self, node: Node, partition: int, record: Record) -> oracle.Log:
        whole = node.whole
        return oracle.Log(
            partition=partition,
            partitions=self.partitions,
            generation=1,
            contexts=self.contexts,
            clock=whole.clock,
            arrival=max(whole.arrival, record.ts),
            bundle=self._bundles[whole.version] if whole.version is not None else None,
            rows=dict(whole.rows),
            heard=dict(whole.heard),
            guarded=set(whole.guarded),
        )

    def _node(self, whole: Whole, seen: Ids, accounts: tuple[Account, ...]) -> Node:
        key = (whole, frozenset(seen.items()), accounts)
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(whole=whole, seen=seen, accounts=accounts, steps={})
        return node

    def _restored(self, marker: OracleMarker, chunks: Mapping[int, OracleChunk], *, partition: int) -> OracleState:
        whole, counts = self._kept[marker.kept]
        seen = self._kept[chunks[0].kept]
        accounts = []
        for number in range(1, marker.chunks):
            name, value, upto = self._kept[chunks[number].kept]
            accounts.append(Account(name, value, max(upto, chunks[number].upto)))
        node = self._node(whole, seen, settled(tuple(accounts), marker.base - 1))
        return OracleState(partition, node, position=marker.base, counts=Counter(dict(counts)))
