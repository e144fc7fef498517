"""The event log gets another number of partitions, and no account notices: real Kafka, real processes, the oracle."""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from lab.live import read_healths
from lab.verify import compare
from services.scorer.fence import Exit
from shared import clock
from shared.contracts.risk import Transition
from shared.contracts.topics import EVENTS, RISK
from shared.contracts.topology import Topology
from shared.kafka import read_to_end
from shared.topology import current_topology
from tests.support.ingest import basic
from tests.support.ingest_process import IngestProcess, events, new_key
from tests.support.migrating import (
    Told,
    alter,
    fresh_topics,
    killed_at,
    migrate,
    uninterrupted,
    wait_told,
    write,
)
from tests.support.scoring import KEY, ScorerProcess, Written, days_of_use, last_context
from tests.support.servers import kafka_in, running
from tests.support.waiting import eventually, soon

OLD, NEW = 4, 6
FIRST, SECOND = Topology(generation=1, partitions=OLD), Topology(generation=2, partitions=NEW)
ACCOUNTS = [f"account-{number}" for number in range(25)]
TO_SIX = ("--partitions", str(NEW))
STEPS = ("moving", "topics are made", "scored to its end", "takes nothing", "partition 0", f"partition {NEW - 1}")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(kafka_in(tmp_path_factory.mktemp("migrate-kafka"))) as server:
        yield server.bootstrap


@pytest.fixture
async def scorer(broker: str, redis_url: str, tmp_path: Path) -> AsyncIterator[ScorerProcess]:
    """Return a scorer, not started, before an empty log of four partitions into which the test writes the time."""
    await fresh_topics(broker, partitions=OLD)
    settings = {"CHURNWATCH_SCORER_TICKS": "false", "CHURNWATCH_SCORER_INSTANCE": "scorer-0"}
    process = ScorerProcess(kafka=broker, redis=redis_url, folder=tmp_path, settings=settings)
    yield process
    process.stop()


async def test_accounts_do_not_notice_that_four_partitions_became_six(scorer: ScorerProcess) -> None:
    # old log  day -60 ......... -10 | T         new log    the last 200 events again | day -9 ....... 0
    scorer.start_ready()
    context, now = await last_context(scorer.kafka), clock.now_ms()
    early = list(days_of_use(range(-60, -9), end=now, context=context))
    await write(scorer.kafka, early, FIRST)
    before = await uninterrupted(scorer.kafka, ACCOUNTS, FIRST)
    await wait_told(scorer.redis, before)

    code, said = migrate(scorer.kafka, *TO_SIX)

    assert code == 0, said
    assert await scorer.exit_code() == Exit.TOPOLOGY
    scorer.stop()
    scorer.start_ready()
    retried = [one for one in early if one.key is not None][-200:]
    late = list(days_of_use(range(-9, 1), end=now, context=context))
    await write(scorer.kafka, [*retried, *late], SECOND)
    wanted = await uninterrupted(scorer.kafka, ACCOUNTS, FIRST, SECOND)
    await wait_told(scorer.redis, wanted)
    assert await published(scorer.kafka) == wanted.transitions
    assert stayed_open(before, wanted), "an episode must be open over the cut-over"
    assert scorer.metrics()['churn_scorer_records_total{fate="duplicate"}'] == len(retried) + repeated(late)
    redis = Redis.from_url(scorer.redis)
    assert {health.generation for health in (await read_healths(redis)).values()} == {2}
    verdict = await compare(scorer.kafka, redis, key=bytes.fromhex(KEY))
    assert (verdict.differences, verdict.behind, verdict.from_snapshot) == ([], 0, NEW)
    await redis.aclose()


async def test_partitions_added_in_place_are_mended_however_often_the_move_is_killed(scorer: ScorerProcess) -> None:
    scorer.start_ready()
    context, now = await last_context(scorer.kafka), clock.now_ms()
    await write(scorer.kafka, days_of_use(range(-50, -9), end=now, context=context), FIRST)
    await wait_told(scorer.redis, await uninterrupted(scorer.kafka, ACCOUNTS, FIRST))

    await alter(scorer.kafka, EVENTS, NEW)

    eventually(lambda: not scorer.server.is_running())
    stray = [one for one in days_of_use(range(-9, -4), end=now, context=context) if one.key is not None]
    await write(scorer.kafka, stray, FIRST, cut=NEW)
    for line in STEPS:
        assert killed_at(scorer.kafka, line, *TO_SIX), f"never said {line!r}"
    code, said = migrate(scorer.kafka, *TO_SIX)
    assert code == 0, said
    again, said = migrate(scorer.kafka, *TO_SIX)
    assert (again, "nothing to do" in said) == (0, True), said
    scorer.stop()
    scorer.start_ready()
    await write(scorer.kafka, days_of_use(range(-4, 1), end=now, context=context), SECOND)
    wanted = await uninterrupted(scorer.kafka, ACCOUNTS, FIRST, SECOND)
    await wait_told(scorer.redis, wanted)
    assert await published(scorer.kafka) == wanted.transitions


async def test_the_ingest_waits_for_a_move_and_goes_on_by_itself(broker: str, redis_url: str, tmp_path: Path) -> None:
    await fresh_topics(broker, partitions=OLD)
    key = await new_key(broker)
    ingest = IngestProcess(tmp_path, broker, CHURNWATCH_DEAD_LETTER_KEY=KEY, CHURNWATCH_REDIS=redis_url)
    login = {"type": "track", "event": "Signed In", "userId": "bo", "context": {"groupId": "acme"}}
    try:
        ingest.start()
        async with httpx.AsyncClient(base_url=ingest.url, headers={"Authorization": basic(key)}) as client:

            async def sent(number: int) -> httpx.Response:
                return await client.post("/v1/batch", json={"batch": [login | {"messageId": f"m-{number}"}]})

            async def answers(status: int) -> bool:
                return (await sent(1)).status_code == status

            assert (await sent(0)).status_code == 200
            end = await last_context(broker)
            code, said = migrate(broker, *TO_SIX, "--dry-run")
            assert (code, await last_context(broker)) == (0, end), said
            assert killed_at(broker, "takes nothing", *TO_SIX)
            await soon(lambda: answers(503))
            refused = await sent(1)
            assert (refused.json()["code"], refused.headers["Retry-After"]) == ("closed", "5")
            other, said = migrate(broker, "--partitions", "8")
            assert (other, "--give-up" in said) == (1, True), said
            code, said = migrate(broker, "--give-up")
            assert code == 0, said
            await soon(lambda: answers(200))
            code, said = migrate(broker, *TO_SIX)
            assert code == 0, said
            await soon(lambda: answers(200))
            topology = await current_topology(broker)
            assert (topology.generation, topology.partitions) == (3, NEW)
            assert [one.id for one in await events(broker, topology.events) if one.subject == "acme"][-1:] == ["m-1"]
    finally:
        ingest.stop()


async def published(bootstrap: str) -> dict[str, Transition]:
    """Return the transitions by id, without where they were found; each account has one partition for ever."""
    found: dict[str, Transition] = {}
    homes: dict[str, set[int]] = {}
    async for record in read_to_end(bootstrap, RISK):
        if record.key is None:
            continue  # a list of what is open
        one = msgspec.json.decode(record.value or b"", type=Transition)
        found[one.id] = msgspec.structs.replace(one, partition=0, offset=0)
        homes.setdefault(one.account, set()).add(record.partition)
    assert all(len(some) == 1 for some in homes.values())
    return found


def stayed_open(before: Told, after: Told) -> set[str]:
    """Return the episodes that were open in both."""
    first, second = (
        {episode.id for health in told.healths.values() for episode in health.episodes} for told in (before, after)
    )
    return first & second


def repeated(records: Sequence[Written]) -> int:
    """Return how many events came before among them."""
    values = [one.value for one in records if one.key is not None]
    return len(values) - len(set(values))
