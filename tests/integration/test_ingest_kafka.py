"""The real ingest process in front of real Kafka: what it answers 200 is there, under its account, with its id."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import msgspec
import pytest
import segment.analytics.client
from prometheus_client import CollectorRegistry

from deploy.local.kafka import LocalKafka
from deploy.local.server import ServerFailed
from services.ingest.core.identity import Belonging, user_hasher, user_key
from services.ingest.identity_map import identity_record
from services.ingest.metrics import Metrics
from services.ingest.unattributed import Resender
from shared import kafka
from shared.contracts.events import Event, wire_time
from shared.contracts.partition import partition_of
from shared.contracts.topics import DEAD_LETTERS, EVENTS, PARTITIONS, UNATTRIBUTED
from shared.dead_letters import unseal
from shared.keys import load, publish, revoked
from shared.publish import KafkaPublisher, Record
from tests.support.ingest import DEAD_LETTER_KEY, USER_KEY, MemoryPublisher, basic, data, recorded
from tests.support.ingest_process import IngestProcess, events, kept, make_topics, new_key, waiting
from tests.support.servers import kafka_in, running
from tests.support.waiting import eventually, soon

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with running(kafka_in(tmp_path_factory.mktemp("ingest-kafka"))) as started:
        asyncio.run(make_topics(started.bootstrap))
        yield started


@pytest.fixture(scope="module")
def ingest(broker: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngestProcess]:
    with running(IngestProcess(tmp_path_factory.mktemp("ingest"), broker.bootstrap)) as started:
        yield started


@pytest.fixture
def source() -> str:
    return f"app-{next(NUMBERS)}"


@pytest.fixture
async def key(broker: LocalKafka, source: str) -> str:
    return await new_key(broker.bootstrap, source)


async def send(ingest: IngestProcess, key: str, *said: Mapping[str, object]) -> httpx.Response:
    """Send a batch; a key made a moment ago may take a moment to be known."""
    async with httpx.AsyncClient(base_url=ingest.url, headers={"Authorization": basic(key)}) as client:

        async def known() -> bool:
            return (await client.post("/v1/batch", json={"batch": []})).status_code == 200

        await soon(known, within_s=10)
        return await client.post("/v1/batch", json={"batch": said})


async def test_every_recorded_request_lies_in_kafka(
    ingest: IngestProcess, broker: LocalKafka, key: str, source: str
) -> None:
    await send(ingest, key)
    sent = set()
    async with httpx.AsyncClient(base_url=ingest.url, headers={"Authorization": basic(key)}) as client:
        for one in recorded():
            answer = await client.post(one.path, content=one.content(), headers=one.headers)
            assert answer.status_code == 200, one.name
            sent |= {said["messageId"] for said in one.body["batch"]}
    found = [event for event in await events(broker.bootstrap) if event.source == f"/sources/{source}"]
    assert {event.id for event in found} | {event.id for event in await waiting(broker.bootstrap)} >= sent
    for record in await kept(broker.bootstrap, EVENTS):
        assert record.key is not None
        assert record.partition == partition_of(record.key, partitions=PARTITIONS)
        assert json.loads(record.value or b"")["subject"].encode() == record.key


async def test_a_refused_event_lies_sealed_in_the_dead_letter_topic(
    ingest: IngestProcess, broker: LocalKafka, key: str, source: str
) -> None:
    bad = {"type": "track", "event": "Export", "userId": "ana@acme.test"}
    assert (await send(ingest, key, bad)).status_code == 200
    (letter,) = [one for one in await kept(broker.bootstrap, DEAD_LETTERS) if one.key == source.encode()]
    assert dict(letter.headers)["dlq-reason"] == b"missing_id"
    assert json.loads(unseal(letter.value or b"", key=DEAD_LETTER_KEY)) == bad


async def test_segments_python_sdk_is_served(ingest: IngestProcess, broker: LocalKafka, key: str, source: str) -> None:
    await send(ingest, key)
    for gzip in (False, True):
        faults: list[object] = []
        client = segment.analytics.client.Client(
            key, host=ingest.url, gzip=gzip, on_error=lambda fault, _items, faults=faults: faults.append(fault)
        )
        client.group("u-1", "acme", {"name": "Acme", "owner": "dana@vendor.test", "arr": 48000})
        client.identify("u-1", {"role": "admin"})
        client.track("u-1", "Payment Failed", context={"groupId": "acme"})
        client.page("u-1", "Docs", "Home")
        client.shutdown()
        assert faults == []
    found = [event for event in await events(broker.bootstrap) if event.source == f"/sources/{source}"]
    assert {event.subject for event in found} == {"acme"}
    kinds = sorted(event.type for event in found)
    assert kinds == sorted(["churn.account.v1", "churn.user.v1", "churn.billing.v1", "churn.usage.v1"] * 2)
    account = next(event for event in found if event.type == "churn.account.v1")
    assert data(account) == {"name": "Acme", "owner": "dana@vendor.test", "arr": 48000}


async def test_a_revoked_key_is_refused_within_ten_seconds(ingest: IngestProcess, broker: LocalKafka, key: str) -> None:
    assert (await send(ingest, key)).status_code == 200
    records = await load(broker.bootstrap)
    producer = kafka.producer(broker.bootstrap)
    await producer.start()
    await publish(producer, revoked(records[key.split("_")[1]]))
    await producer.stop()
    async with httpx.AsyncClient(base_url=ingest.url, headers={"Authorization": basic(key)}) as client:

        async def refused() -> bool:
            return (await client.post("/v1/batch", json={"batch": []})).status_code == 401

        await soon(refused, within_s=10)


@asynccontextmanager
async def connected(broker: LocalKafka) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(
        broker.bootstrap, place=lambda topic, key: (topic, partition_of(key, partitions=PARTITIONS))
    )
    connection = asyncio.create_task(publisher.run())
    try:
        await publisher.connected.wait()
        yield publisher
    finally:
        connection.cancel()
        await asyncio.gather(connection, return_exceptions=True)


def page(number: int, user: str) -> dict[str, object]:
    return {"type": "page", "name": f"Home {number}", "userId": user, "messageId": f"{user}-{number}"}


def group(user: str, account: str) -> dict[str, object]:
    return {"type": "group", "userId": user, "groupId": account, "messageId": f"{user}-group"}


async def subjects(broker: LocalKafka, source: str) -> list[tuple[str, str]]:
    found = await events(broker.bootstrap)
    return sorted((event.id, event.subject) for event in found if event.source == f"/sources/{source}")


async def test_what_waited_is_sent_on_once_when_a_group_tells_the_account(
    ingest: IngestProcess, broker: LocalKafka, key: str, source: str
) -> None:
    await send(ingest, key, page(1, "bo"), page(2, "bo"), page(1, "cy"))
    assert await subjects(broker, source) == []
    await send(ingest, key, group("bo", "acme"))
    expected = [("bo-1", "acme"), ("bo-2", "acme"), ("bo-group", "acme")]

    async def sent_on() -> bool:
        return await subjects(broker, source) == expected

    await soon(sent_on)
    await send(ingest, key, page(3, "bo"))
    assert await subjects(broker, source) == sorted([*expected, ("bo-3", "acme")])


async def test_two_processes_agree_and_a_restart_sends_nothing_twice(
    ingest: IngestProcess, broker: LocalKafka, key: str, source: str, tmp_path: Path
) -> None:
    with running(IngestProcess(tmp_path, broker.bootstrap)) as second:
        await send(ingest, key, page(1, "di"))
        await send(second, key, group("di", "beta"))

        async def sent_on() -> bool:
            return ("di-1", "beta") in await subjects(broker, source)

        await soon(sent_on)

        async def first_knows() -> bool:
            await send(ingest, key, page(2, "di"))
            return ("di-2", "beta") in await subjects(broker, source)

        await soon(first_knows)
    with running(IngestProcess(tmp_path, broker.bootstrap)) as third:
        await send(third, key, page(1, "ed"))
        await send(third, key, group("ed", "gamma"))

        async def after_restart() -> bool:
            return ("ed-1", "gamma") in await subjects(broker, source)

        await soon(after_restart)
    found = await subjects(broker, source)
    assert [found.count(("di-1", "beta")), found.count(("ed-1", "gamma"))] == [1, 1]


async def test_what_a_dead_process_left_undone_is_done_by_the_next(
    broker: LocalKafka, source: str, ingest: IngestProcess, key: str
) -> None:
    """A user is known and its event waits, but nobody sent it on: as after a crash between the two."""
    await send(ingest, key, page(1, "flo"))
    user = user_key(source, user_hasher(USER_KEY)("flo"))
    async with connected(broker) as publisher:
        await publisher.publish([identity_record(user, Belonging(account="delta", at=1))])

    async def sent_on() -> bool:
        return await subjects(broker, source) == [("flo-1", "delta")]

    await soon(sent_on)
    assert len([one for one in await kept(broker.bootstrap, UNATTRIBUTED) if one.key == user.encode()]) == 2


async def test_nothing_is_sent_on_before_all_that_was_done_is_read(broker: LocalKafka, source: str) -> None:
    """One record a poll: the event is seen long before the empty record that says it has been sent on."""
    user = user_key(source, "u1_gus")
    event = Event(id="done", source=f"/sources/{source}", type="churn.usage.v1", subject="", time=wire_time(1))
    waits = Record(topic=UNATTRIBUTED, key=user.encode(), value=msgspec.json.encode(event))
    async with connected(broker) as publisher:
        await publisher.publish([waits])
        at = max(one.offset for one in await kept(broker.bootstrap, UNATTRIBUTED) if one.key == user.encode())
        await publisher.publish(
            [Record(topic=UNATTRIBUTED, key=user.encode(), value=None, headers=[("upto", b"%d" % at)])]
        )
        sent = MemoryPublisher()
        resender = Resender(
            broker.bootstrap,
            known=lambda name: Belonging(account="acme", at=1) if name == user else None,
            publisher=sent,
            metrics=Metrics(CollectorRegistry()),
            group=source,
            max_poll_records=1,
        )
        running_ = asyncio.create_task(resender.run())
        later = msgspec.json.encode(msgspec.structs.replace(event, id="later"))
        await publisher.publish([Record(topic=UNATTRIBUTED, key=user.encode(), value=later)])

        async def sent_on() -> bool:
            return len(sent.records) >= 2

        await soon(sent_on)
        running_.cancel()
        await asyncio.gather(running_, return_exceptions=True)
    assert [json.loads(one.value)["id"] for one in sent.records if one.value] == ["later"]


async def test_the_same_batch_twice_has_the_same_ids(
    ingest: IngestProcess, broker: LocalKafka, key: str, source: str
) -> None:
    said = {"type": "track", "event": "Export", "userId": "u", "context": {"groupId": "acme"}}
    batch = [{**said, "messageId": "one"}, {**said, "timestamp": "2026-11-22T07:00:00.000Z"}]
    await send(ingest, key, *batch)
    await send(ingest, key, *batch)
    ids = [event_id for event_id, _ in await subjects(broker, source)]
    assert len(ids) == 4
    assert len(set(ids)) == 2


async def test_with_another_secret_it_does_not_start(ingest: IngestProcess, broker: LocalKafka, tmp_path: Path) -> None:
    assert ingest.is_ready()
    wrong = IngestProcess(tmp_path, broker.bootstrap, CHURNWATCH_USER_HASH_KEY="00" * 32)
    with suppress(ServerFailed):  # it may end before it answers
        wrong.start_unready()
    eventually(lambda: not wrong.is_running(), within_s=20)
    wrong.stop()
    assert "user_hash_key: not what this deployment's data was made with" in wrong.log()
    assert "dead_letter_key" not in wrong.log()
