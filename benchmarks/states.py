"""Make big states at once: accounts with three signals and ten users each, as 28 days of events would leave them."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from services.scorer.config import load_bundle
from services.scorer.core.activity import Applied
from services.scorer.core.batch import Batch
from services.scorer.core.compile import compile_bundle
from services.scorer.core.decode import Code, hashes_of
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.signals import LOGIN, OUTCOME, USAGE
from services.scorer.core.step import Outputs, step
from shared.contracts.events import tick_record
from shared.contracts.partition import partition_of
from shared.contracts.topics import EVENTS, PARTITIONS

DAY = 86_400_000
USERS = 10
SIGNALS = ((LOGIN, Code.LOGIN), (USAGE, Code.USAGE), (OUTCOME, Code.OUTCOME))
SOURCE = "/sources/customer-web-app"
AT_ONCE = 50_000


def names_by_partition(accounts: int) -> Sequence[Sequence[str]]:
    """Return the names of so many accounts, each in its partition."""
    found: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for number in range(accounts):
        name = f"account-{number:07d}"
        found[partition_of(name.encode(), partitions=PARTITIONS)].append(name)
    return found


def filled(partition: int, names: Sequence[str], *, seed: int, now: int, rounds: int = 1) -> Partition:
    """Return a partition's state in which every account has used three signals through ten users before `now`.

    Each of the `rounds` adds ten events an account, of the same users.
    """
    state = Partition.empty(partition=partition, partitions=PARTITIONS, seed=seed)
    rng = np.random.default_rng(partition)
    source = state.activity.source(SOURCE)
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        hashes = hashes_of(some, seed=seed)
        rows = state.activity.add_accounts(some, hashes=hashes)
        state.episodes.add(len(rows))
        for turn in range(rounds * USERS):
            signal, code = SIGNALS[turn % len(SIGNALS)]
            full = np.full(len(rows), 1)
            user = np.uint64((turn % USERS + 1) * 0x9E3779B97F4A7C15 % 2**64)
            state.activity.fold(
                Applied(
                    account=rows,
                    at=now - rng.integers(0, 28 * DAY, len(rows)),
                    code=full.astype(np.int8) * np.int8(code),
                    signal=full * signal,
                    source=full * source,
                    user=hashes ^ user,
                )
            )
    return state


def ticked(state: Partition, *, at: int) -> Outputs:
    """Judge at `at` what is due, every account at a first tick. The state's position moves on by one."""
    known = shipped()
    return step(state, tick_batch(state, at=at), known_at=lambda _offset, _partition: known)


def tick_batch(state: Partition, *, at: int) -> Batch:
    """Return a batch of nothing but a tick, the next of a state's partition."""
    value = tick_record(at, context=0)
    column = np.zeros(1, np.int64)
    return Batch(
        topic=EVENTS,
        partition=state.partition,
        generation=0,
        data=value,
        offsets=column + state.position,
        timestamps=column + at,
        key_start=column,
        key_length=column - 1,
        value_start=column,
        value_length=column + len(value),
    )


@cache
def shipped() -> Known:
    """Return what a tick knows under the shipped configuration."""
    bundle = load_bundle(Path("config"))
    return Known(bundle=compile_bundle(bundle.version, msgspec.json.decode(bundle.config)))


def arrays_of(state: Partition) -> Iterator[np.ndarray]:
    """Yield every array the state consists of, as large as it is."""
    activity = state.activity
    chains = (activity.signals, activity.users, activity.uses, activity.sources, activity.marks)
    for columns in (activity.accounts, *chains, *state.episodes.tables):
        yield from (columns[name] for name in columns.spec)
    indexes = (activity.account_rows, activity.signal_rows, activity.user_rows, activity.use_rows, activity.source_rows)
    yield from (index.slots for index in (*indexes, activity.mark_rows))
    yield from (state.seen.table.keys, state.seen.table.values)
    yield from (activity.names.data, activity.names.bounds)
