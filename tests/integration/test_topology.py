"""A number of partitions changed in place is seen by the scorer and the ingest, and refused with the remedy."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.new_partitions import NewPartitions

from deploy.local.kafka import LocalKafka
from services.scorer.fence import Exit
from shared import clock
from shared.contracts.topics import EVENTS, PARTITIONS
from tests.support.ingest import DEAD_LETTER_KEY, basic
from tests.support.ingest_process import IngestProcess, make_topics, new_key
from tests.support.scoring import ScorerProcess, event, expected, last_context, ticks, wait_scored, write
from tests.support.servers import kafka_in, running
from tests.support.waiting import soon

MORE = PARTITIONS + 6
REMEDY = f"churnwatch migrate --partitions {MORE}"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with running(kafka_in(tmp_path_factory.mktemp("topology-kafka"))) as server:
        yield server


async def alter(bootstrap: str, topic: str, partitions: int) -> None:
    """Do what `kafka-topics.sh --alter --partitions` does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(total_count=partitions)})
    finally:
        await admin.close()


async def test_partitions_added_in_place_stop_scorer_and_ingest_with_the_remedy(
    broker: LocalKafka, redis_url: str, tmp_path: Path
) -> None:
    await make_topics(broker.bootstrap)
    key = await new_key(broker.bootstrap)
    scorer = ScorerProcess(
        kafka=broker.bootstrap,
        redis=redis_url,
        folder=tmp_path,
        settings={"CHURNWATCH_SCORER_TICKS": "false", "CHURNWATCH_DEAD_LETTER_KEY": DEAD_LETTER_KEY.hex()},
    )
    ingest = IngestProcess(tmp_path, broker.bootstrap)
    headers = {"Authorization": basic(key)}
    login: dict[str, object] = {"type": "track", "event": "Signed In", "userId": "bo", "context": {"groupId": "acme"}}
    try:
        ingest.start()
        scorer.start_ready()
        context = await last_context(broker.bootstrap)
        now = clock.now_ms()
        await write(broker.bootstrap, [event("acme", "login", at=now - 1000, number=1), *ticks(now, context=context)])
        wanted = await expected(broker.bootstrap)
        await wait_scored(redis_url, wanted.healths)
        async with httpx.AsyncClient(base_url=ingest.url, headers=headers) as client:
            assert (await client.post("/v1/batch", json={"batch": [login | {"messageId": "1"}]})).status_code == 200

            await alter(broker.bootstrap, EVENTS, MORE)

            assert await scorer.exit_code() == Exit.TOPOLOGY
            await soon(lambda: _is_closed(client, login), within_s=20)
            answer = await client.post("/v1/batch", json={"batch": [login | {"messageId": "3"}]})
            assert REMEDY in answer.json()["message"]
            assert answer.headers["Retry-After"]
            assert (await client.get("/readyz")).status_code == 503
            assert 'churn_ingest_event_log{state="mismatch"} 1.0' in (await client.get("/metrics")).text
        assert REMEDY in str(scorer.logged("scorer_exit")[-1]["fault"])

        scorer.stop()
        scorer.start()
        assert (await scorer.exit_code(), len(scorer.logged("scorer_exit"))) == (Exit.TOPOLOGY, 2)
    finally:
        ingest.stop()
        scorer.stop()


async def _is_closed(client: httpx.AsyncClient, login: dict[str, object]) -> bool:
    answer = await client.post("/v1/batch", json={"batch": [login | {"messageId": "2"}]})
    return answer.status_code == 503
