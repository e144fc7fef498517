"""Searching for a key finds what a consumer that reads everything finds, however the records were written."""

import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.local.kafka import LocalKafka
from shared.contracts.topics import SCORES, TOPICS, Topic
from shared.kafka import create_topics, read_to_end
from shared.key_search import Hit, KeySearch
from tests.support.waiting import soon

KEYS = (b"a", b"acme", b"acme-2", "アクメ".encode(), b"x" * 63, b"x" * 64, b"y" * 4000, b"", None)
NewTopic = Callable[[Topic], Awaitable[str]]


async def write(kafka: str, topic: str, *, compression: str | None, seed: int) -> None:
    draw = random.Random(seed)
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type=compression, max_batch_size=4096, linger_ms=20
    )
    async with producer:
        for number in range(400):
            value = draw.choice([None, b"acme", draw.randbytes(draw.randrange(300))])
            key = draw.choice(KEYS)
            if key is None and value is None:
                continue
            headers = [("moved", b"acme")] if number % 7 == 0 else []
            at = 1_000_000 + draw.randrange(1000)
            await producer.send(topic, value, key=key, partition=0, timestamp_ms=at, headers=headers)


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_it_finds_what_reading_everything_finds(kafka: str, new_topic: NewTopic, compression: str | None) -> None:
    topic = await new_topic(replace(TOPICS[SCORES], partitions=1))
    await write(kafka, topic, compression=compression, seed=1)
    tp = TopicPartition(topic, 0)
    everything = [record async for record in read_to_end(kafka, topic)]
    search = KeySearch(kafka)
    await search.start()
    end = await search.end(tp)
    for key in (*KEYS[:-1], b"nobody"):
        for start, stop in ((0, end), (17, end - 23), (100, 101), (50, 50)):
            assert key is not None
            found = await search.all_between(tp, key, start=start, end=stop)
            wanted = [r for r in everything if r.key == key and start <= r.offset < stop]
            assert list(found.hits) == [Hit(r.offset, r.timestamp, r.value) for r in wanted]
    assert (await search.all_between(tp, b"a", start=0, end=end)).newest == max(r.timestamp for r in everything)
    await search.stop()


async def test_it_finds_offsets_by_time(kafka: str, new_topic: NewTopic) -> None:
    topic = await new_topic(replace(TOPICS[SCORES], partitions=1))
    tp = TopicPartition(topic, 0)
    search = KeySearch(kafka)
    await search.start()
    assert (await search.begin(tp), await search.end(tp), await search.offset_at(tp, 5)) == (0, 0, 0)
    await write(kafka, topic, compression="zstd", seed=2)
    everything = [record async for record in read_to_end(kafka, topic)]
    for at in (-1, 0, 1_000_000, 1_000_500, 1_000_999, 2_000_000):
        wanted = next((r.offset for r in everything if r.timestamp >= at), len(everything))
        assert await search.offset_at(tp, at) == wanted
    await search.stop()


async def test_it_outlives_a_broker_that_goes_and_comes_back(own_kafka: LocalKafka) -> None:
    await create_topics(own_kafka.bootstrap, [replace(TOPICS[SCORES], partitions=1)])
    tp = TopicPartition(SCORES, 0)
    await write(own_kafka.bootstrap, SCORES, compression=None, seed=3)
    search = KeySearch(own_kafka.bootstrap)
    await search.start()
    end = await search.end(tp)
    before = await search.all_between(tp, b"acme", start=0, end=end)
    own_kafka.kill()
    with pytest.raises(KafkaError):
        await search.all_between(tp, b"acme", start=0, end=end)
    own_kafka.start()

    async def is_back() -> bool:
        with contextlib.suppress(KafkaError):
            return await search.all_between(tp, b"acme", start=0, end=end) == before
        return False

    await soon(is_back)
    await search.stop()
