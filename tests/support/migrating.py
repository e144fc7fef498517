"""Run `churnwatch migrate`, write to a log of any cut, and say what one uninterrupted run would have made of it all."""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.new_partitions import NewPartitions
from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from lab import oracle
from lab.live import read_contexts, read_healths
from lab.oracle_records import Record
from services.scorer.core.regroup import SEEDS
from shared.contracts.health import AccountHealth
from shared.contracts.risk import Transition
from shared.contracts.topics import EVENTS, SCORER_GROUP
from shared.contracts.topology import Standing, Topology, agreed_topics
from shared.kafka import create_topics, producer, read_to_end
from tests.support.scoring import KEY, Written
from tests.support.waiting import soon

ROOT = Path(__file__).parents[2]
MOST_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is said of an account, whatever cut of the log said it."""

    healths: dict[str, AccountHealth]
    transitions: dict[str, Transition]


async def fresh_topics(bootstrap: str, *, partitions: int) -> Topology:
    """Create every topic anew, empty, with so many partitions of the log; nothing of another generation stays.

    Returns once the scorers of a test before have left their group: its assignment is of topics that are gone.
    """
    first = Topology(generation=1, partitions=partitions)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()

    async def ours() -> list[str]:
        return [name for name in await admin.list_topics() if name.startswith("churn.")]

    async def gone() -> bool:
        return not await ours()

    async def nobody_scores() -> bool:
        try:
            answers = await admin.describe_consumer_groups([SCORER_GROUP])
        except KafkaError:  # the broker has just started
            return False
        return not any(members for answer in answers for *_, members, _authorized in answer.groups)

    try:
        await soon(nobody_scores)
        await admin.delete_topics(await ours())
        await soon(gone)
    finally:
        await admin.close()
    await create_topics(bootstrap, agreed_topics(Standing(current=first)))
    return first


async def alter(bootstrap: str, topic: str, partitions: int) -> None:
    """Do what `kafka-topics.sh --alter --partitions` does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(total_count=partitions)})
    finally:
        await admin.close()


async def write(bootstrap: str, records: Iterable[Written], topology: Topology, *, cut: int | None = None) -> None:
    """Append events where their accounts lie and ticks everywhere; `cut` is what a producer of its own believes."""
    async with producer(bootstrap, linger_ms=5) as client:
        for one in records:
            if one.key is not None:
                home = (replace_cut(topology, cut)).home(EVENTS, one.key)
                await client.send(topology.events, value=one.value, key=one.key, partition=home)
            elif one.partition == 0:
                for number in range(topology.partitions):
                    await client.send(topology.events, value=one.value, partition=number)
        await client.flush()


def replace_cut(topology: Topology, cut: int | None) -> Topology:
    """Return the topology with another number of partitions."""
    return topology if cut is None else msgspec.structs.replace(topology, partitions=cut)


def migrating(bootstrap: str, *words: str) -> "subprocess.Popen[str]":
    """Start the command."""
    environment = {
        **os.environ,
        "CHURNWATCH_KAFKA": bootstrap,
        "CHURNWATCH_DEAD_LETTER_KEY": KEY,
        "CHURNWATCH_SCORER_TICKS": "false",
    }
    command = [sys.executable, "-m", "services.scorer.migration", *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def migrate(bootstrap: str, *words: str) -> tuple[int, str]:
    """Run the command to its end; return exit code and what it said."""
    with migrating(bootstrap, *words) as process:
        said, _ = process.communicate(timeout=MOST_S)
        return process.returncode, said


def killed_at(bootstrap: str, line: str, *words: str) -> bool:
    """Run the command and kill it with signal 9 as soon as it says a line; return whether it got so far."""
    with migrating(bootstrap, *words) as process:
        assert process.stdout is not None
        reached = any(line in said for said in process.stdout)
        process.kill()
        process.stdout.read()
    return reached


async def uninterrupted(bootstrap: str, accounts: Iterable[str], *generations: Topology) -> Told:
    """Score the log of each account, over all generations, in one run of the oracle."""
    contexts, logs = await read_contexts(bootstrap), [await _log(bootstrap, topology) for topology in generations]
    healths: dict[str, AccountHealth] = {}
    transitions: dict[str, Transition] = {}
    for account in accounts:
        records = [
            record for log, topology in zip(logs, generations, strict=True) for record in _of(log, topology, account)
        ]
        renumbered = [replace(record, offset=number) for number, record in enumerate(records)]
        result = oracle.run(renumbered, partition=0, partitions=1, contexts=contexts)
        healths |= result.healths
        transitions |= {one.id: one for one in result.transitions}
    return Told(
        healths={name: anywhere(one) for name, one in healths.items()},
        transitions={name: msgspec.structs.replace(one, partition=0, offset=0) for name, one in transitions.items()},
    )


async def wait_told(redis_url: str, wanted: Told) -> None:
    """Return once Redis says of every account what was wanted."""
    client: Redis = Redis.from_url(redis_url)

    async def told() -> dict[str, AccountHealth]:
        return {name: anywhere(health) for name, health in (await read_healths(client)).items()}

    async def same() -> bool:
        return await told() == wanted.healths

    try:
        await soon(same, within_s=60)
    except AssertionError:
        found = await told()
        assert found.keys() == wanted.healths.keys()
        for name, health in wanted.healths.items():
            assert found[name] == health
    finally:
        await client.aclose()


def anywhere(health: AccountHealth) -> AccountHealth:
    """Return a health without where in which log it was found."""
    return msgspec.structs.replace(health, partition=0, offset=0, generation=1)


async def _log(bootstrap: str, topology: Topology) -> dict[int, list[Record]]:
    log: dict[int, list[Record]] = {}
    async for found in read_to_end(bootstrap, topology.events):
        record = Record(
            offset=found.offset,
            ts=found.timestamp,
            key=found.key,
            value=found.value,
            headers=(),
        )
        log.setdefault(found.partition, []).append(record)
    return {number: some[SEEDS if topology.generation > 1 else 0 :] for number, some in log.items()}


def _of(log: dict[int, list[Record]], topology: Topology, account: str) -> Sequence[Record]:
    """Return the ticks of an account's partition and the account's events, from wherever they lie."""
    home = topology.home(EVENTS, account.encode())
    elsewhere = [one for number, some in log.items() if number != home for one in some if one.key == account.encode()]
    mine = [one for one in log.get(home, []) if one.key in {None, account.encode()}]
    return [*mine, *elsewhere]
