"""Bring one account to where the log ends: from the scorer's checkpoint, and the events that came since."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np

from lab.ahead.alone import Alone, alone
from lab.lines import batch_of_lines
from lab.live import read_contexts, read_partition
from lab.oracle import Bundle, Entry
from lab.oracle_records import Record
from lab.snapshots import read_values, span_of
from lab.trouble import Trouble
from lab.verify import seed_of_deployment
from services.scorer.core.batch import Batch
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.chunks import CheckpointError
from services.scorer.core.compile import compile_bundle
from services.scorer.core.cycles import checkpoint_of
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.restore import restored
from services.scorer.core.step import step
from shared.contracts.context import Guard, Import, Quarantine, Summary
from shared.contracts.partition import partition_of
from shared.contracts.topology import Topology
from shared.topology import current_topology

BATCH: Final = 5000


async def read_account(kafka: str, account: str, *, key: bytes | None) -> Alone:
    """Return an account as it is after everything in the log. Raises Trouble where that can't be told."""
    topology = await current_topology(kafka)
    number = partition_of(account.encode(), partitions=topology.partitions)
    contexts, seed = await read_contexts(kafka), await seed_of_deployment(kafka, key)
    state = await _checkpoint(kafka, topology, number, seed=seed)
    begins, _ = await span_of(kafka, topology.events, number)
    if begins > state.position:
        raise Trouble(f"{topology.events}/{number} begins at {begins}, after the checkpoint: see `churnwatch rebuild`")
    records = await read_partition(kafka, topology.events, number, from_offset=state.position)
    context = Contexts(contexts, topic=topology.events)
    for start in range(0, len(records), BATCH):
        batch = context.batch(records[start : start + BATCH], partition=number)
        step(state, batch, known_at=context.known_at)
    return alone(state, account, known=context.known_at(max(contexts, default=-1), number))


async def _checkpoint(kafka: str, topology: Topology, number: int, *, seed: int) -> Partition:
    try:
        found = checkpoint_of(await read_values(kafka, topology.activity, number))
    except CheckpointError as fault:
        raise Trouble(f"{topology.activity}/{number} can't be used: {fault}") from fault
    if found is not None:
        return restored(found, seed=seed)
    if topology.generation > 1:
        raise Trouble(f"{topology.activity}/{number} holds no checkpoint: see `churnwatch rebuild`")
    return Partition.empty(partition=number, partitions=topology.partitions, seed=seed)


class Contexts:
    """What ticks know beside their log, by offset of the context topic."""

    def __init__(self, entries: Mapping[int, Entry], *, topic: str) -> None:
        self._entries = dict(sorted(entries.items()))
        self._topic = topic
        self.known_at = cache(self._known_at)

    def batch(self, records: Sequence[Record], *, partition: int) -> Batch:
        """Return records as the scorer takes them."""
        times = np.array([record.ts for record in records], np.int64)
        told = [e for e in self._entries.values() if isinstance(e, Quarantine) and e.topic == self._topic]
        batch = batch_of_lines([record.value for record in records], first=0, times=times)
        return replace(
            batch,
            partition=partition,
            offsets=np.array([record.offset for record in records], np.int64),
            headers={row: record.headers for row, record in enumerate(records) if record.headers},
        ).without(frozenset(e.offset for e in told if e.partition == partition))

    def _known_at(self, context: int, partition: int) -> Known:
        entries = [entry for offset, entry in self._entries.items() if offset <= context]
        bundles = [entry for entry in entries if isinstance(entry, Bundle)]
        return Known(
            bundle=_compiled(bundles[-1]) if bundles else None,
            imports={entry.job: entry for entry in entries if isinstance(entry, Import)},
            guards={e.key: e for e in entries if isinstance(e, Guard) and partition in e.partitions},
            summaries={entry.partition: entry for entry in entries if isinstance(entry, Summary)},
        )


def _compiled(bundle: Bundle) -> CompiledBundle:
    told = {"scorecard": bundle.scorecard, "rules": bundle.rules}
    others = {"journey": bundle.journey, "calendars": bundle.calendars}
    return compile_bundle(bundle.version, told | {name: one for name, one in others.items() if one is not None})
