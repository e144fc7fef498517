"""The cases: logs × batch size × cadence × pace."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab.oracle_records import Record
from services.scorer.cores import Columnar
from shared.contracts.context import Quarantine
from shared.contracts.topics import EVENTS
from tests.faults.sim import logs
from tests.faults.sim.explore import Case
from tests.faults.sim.oracle_core import OracleCore
from tests.faults.sim.process import Pace
from tests.faults.sim.truth import Truths
from tests.faults.sim.world import EventLogs
from tests.support.log import SEED, Configurations, Log

PACES: dict[str, Pace] = {
    "even": Pace(batch=2),
    "slow checkpoint": Pace(batch=2, write_s=0.25, cycle_s=0.5),
    "slow outputs": Pace(batch=2, poll_s=0.1, output_s=0.15, told_s=0.1),
    "slow redis": Pace(batch=2, redis_s=0.7),
    "many cycles": Pace(batch=2, poll_s=0.6, cycle_s=0.3),
    "overlapping": Pace(batch=2, poll_s=0.1, write_s=0.12, cycle_s=0.3),
}

LAST = 1_000
"""Offset of an entry that no tick names."""


def case_of(name: str, log: Log, pace: Pace, *, partitions: Sequence[int] = (0,)) -> Case:
    """Return the case of a log over two partitions, of which the ones given are scored."""
    return _case(name, log, [log.partition(number, partitions=2) for number in (0, 1)], pace, partitions)


def _case(name: str, log: Log, records: Sequence[Sequence[Record]], pace: Pace, partitions: Sequence[int]) -> Case:
    events = EventLogs(records)
    return Case(
        name=name,
        logs=events,
        truths=Truths(events, log.contexts),
        new_core=lambda: OracleCore(log.contexts, partitions=2),
        contexts=log.contexts,
        known_at=Configurations(log.contexts),
        partitions=partitions,
        pace=pace,
    )


def by_columns(case: Case) -> Case:
    """Have a case scored by the columnar core."""
    case.new_core = lambda: Columnar(partitions=2, seed=SEED)
    return case


def poisoned(case: Case, number: int) -> Case:
    """Have the core raise on one of the records; the truth knows that it is set aside."""
    partition = case.partitions[number % len(case.partitions)]
    uids = case.logs.first[partition]
    offset = (7 * number + 6) % len(uids)  # far on, for the most part
    case.poison = uids[offset]
    entry = Quarantine(topic=EVENTS, partition=partition, offset=offset, fault="ArithmeticError", at=0)
    case.truths = Truths(case.logs, {**case.contexts, LAST: entry})
    return case


def pairs() -> Iterator[Case]:
    """Yield cases of one process with two partitions."""
    elsewhere = logs.elsewhere()
    for batch in (2, 1, 3):
        for pace_name, plain in PACES.items():
            pace = replace(plain, batch=batch)
            name = f"batches of {batch}, {pace_name}"
            yield case_of(f"two partitions, {name}", logs.both(), pace, partitions=(0, 1))
            records = [log.records for log in elsewhere]
            yield _case(f"wrong partition, {name}", elsewhere[0], records, pace, (0, 1))


def small() -> Iterator[Case]:
    """Yield the exhaustive cases, the different ones first."""
    for batch in (2, 3, 1, 5):
        for pace_name, pace in PACES.items():
            for log_name, log in logs.named():
                yield case_of(f"{log_name}, batches of {batch}, {pace_name}", log, replace(pace, batch=batch))


def mixed() -> Iterator[Case]:
    """Yield twelve cases in which every pace meets two logs and every log three paces."""
    paces, named = list(PACES.items()), list(logs.named())
    for number in range(12):
        (pace_name, pace), (log_name, log) = paces[number % len(paces)], named[number % len(named)]
        yield case_of(f"{log_name}, {pace_name}", log, pace)


def overlapping() -> Iterator[Case]:
    """Yield the case of two partitions whose cycles and batches overlap."""
    yield case_of("two partitions, overlapping", logs.both(), PACES["overlapping"], partitions=(0, 1))


def many_cycles() -> Iterator[Case]:
    """Yield the case in which a stale process closes cycle after cycle."""
    log = dict(logs.named())["failed and paid"]
    yield case_of("failed and paid, many cycles", log, PACES["many cycles"])


def drawn(seed: int) -> Case:
    """Return a random case."""
    rng = random.Random(seed)
    log = logs.one_of(seed, length=rng.randrange(8, 15))
    pace = replace(rng.choice(list(PACES.values())), batch=rng.choice((1, 2, 3, 4)), refill=rng.random() < 0.3)
    return case_of(f"drawn {seed}", log, pace)
