"""Score a log in one generation, cut it anew, and go on in the next."""

from dataclasses import replace

from lab import oracle
from lab.oracle_records import Record
from services.scorer.core.batch import Batch
from services.scorer.core.partition import Partition
from services.scorer.core.regroup import SEEDS, homes_in, regroup, sources_of
from services.scorer.core.step import Outputs, step
from tests.support.log import SEED, Configurations, Log, batches

Steps = list[tuple[Batch, Outputs]]
SEEDS_AT = 7
"""Where the seeds of the new log begin: not at 0 when a move was begun before."""


def generation(log: Log, *, upto: int, partitions: int) -> tuple[list[Partition], list[Steps]]:
    """Score the first records of a log, cut into partitions."""
    states = [Partition.empty(partition=n, partitions=partitions, seed=SEED) for n in range(partitions)]
    head = Log()
    head.records, head.accounts = log.records[:upto], log.accounts[:upto]
    logs = [head.partition(state.partition, partitions=partitions) for state in states]
    return states, [follow(state, mine, log.contexts) for state, mine in zip(states, logs, strict=True)]


def moved(olds: list[Partition], *, new: int) -> list[Partition]:
    """Return the states of a generation of `new` partitions."""
    homes = [homes_in(state, partitions=new) for state in olds]
    states = []
    for number in range(new):
        empty = Partition.empty(partition=number, partitions=new, seed=SEED, generation=2)
        sources = [(olds[source], homes[source]) for source in sources_of(number, old=len(olds), new=new)]
        states.append(regroup(sources, new=empty, seeds=SEEDS_AT))
    assert sum(state.accounts for state in states) == sum(state.accounts for state in olds)
    return states


def rest(log: Log, cut: int, state: Partition) -> list[Record]:
    """Return what the new partition's log holds behind its seeds."""
    tail = Log()
    tail.records, tail.accounts = log.records[cut:], log.accounts[cut:]
    mine = tail.partition(state.partition, partitions=state.partitions)
    return [replace(record, offset=SEEDS_AT + SEEDS + place) for place, record in enumerate(mine)]


def follow(state: Partition, records: list[Record], contexts: oracle.Contexts) -> Steps:
    known_at = Configurations(contexts)
    todo = batches(records, state.partition) if records else ()
    return [(batch, step(state, batch, known_at=known_at)) for batch in todo]
