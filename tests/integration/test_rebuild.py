"""A checkpoint that is damaged or lost comes back from snapshots and events, and nobody is told anything twice."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from redis.asyncio import Redis

from lab import oracle
from lab import rebuild as rebuild_module
from lab.live import read_contexts, read_partition
from lab.oracle_records import Record, Tick, read
from lab.rebuild import rebuild
from lab.snapshots import read_values, span_of
from lab.trouble import Trouble
from lab.verify import compare
from services.alerts.core.alert import Position, fold
from services.scorer.core import chunks
from services.scorer.core.cycles import snapshots_of
from shared import clock
from shared.contracts.alerts import Alert
from shared.contracts.risk import Transition
from shared.contracts.topics import ACTIVITY, EVENTS, PARTITIONS, SNAPSHOTS
from shared.kafka import producer
from tests.support.log import DAY
from tests.support.scoring import (
    KEY,
    ScorerProcess,
    days_of_use,
    expected,
    last_context,
    published_transitions,
    wait_scored,
    write,
)
from tests.support.waiting import soon

Logs = Mapping[int, Sequence[Record]]
ACCOUNTS = 12


async def test_a_log_cut_at_120_days_is_verified_and_rebuilt_from_a_snapshot(
    scorer: ScorerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    # days:      -170 ...... -118 ........ -80 ........ -5 ... 0
    # snapshots:    1             2 (1 to 3, later than the cut)
    # events:    deleted .. -120 |------------------------------
    # damaged:                                          here, and rebuilt before the last five days come
    scorer.start_ready()
    context, now = await last_context(scorer.kafka), clock.now_ms()
    for wanted, days in ((1, range(-170, -118)), (2, range(-118, -80)), (3, range(-80, -5))):
        await write(scorer.kafka, days_of_use(days, end=now, context=context, accounts=ACCOUNTS))
        await soon(partial(_have_snapshots, scorer.kafka, wanted))
    before = await read_logs(scorer.kafka)
    await wait_scored(scorer.redis, (await expected(scorer.kafka)).healths)

    await cut(scorer.kafka, before, at=now - 120 * DAY)

    redis = Redis.from_url(scorer.redis)
    verdict = await compare(scorer.kafka, redis, key=bytes.fromhex(KEY))
    assert (verdict.differences, verdict.accounts, verdict.from_snapshot) == ([], ACCOUNTS, PARTITIONS)

    scorer.stop()
    number = await damage(scorer.kafka)
    await redis.flushdb()
    await assert_refused(scorer, f"{ACTIVITY}/{number} at offset")
    capsys.readouterr()
    await rebuild()
    said = capsys.readouterr().out
    assert said.count("restored from the snapshot") == 1
    assert said.count("can be used as it is") == PARTITIONS - 1
    await rebuild(partition=[other for other in range(PARTITIONS) if other % 2])
    assert capsys.readouterr().out.count("restored from the snapshot") == PARTITIONS // 2

    scorer.start_ready()
    await write(scorer.kafka, days_of_use(range(-5, 1), end=now, context=context, accounts=ACCOUNTS))
    results = await score(scorer.kafka, before)
    healths = {account: health for result in results for account, health in result.healths.items()}
    await wait_scored(scorer.redis, healths)
    verdict = await compare(scorer.kafka, redis, key=bytes.fromhex(KEY))
    assert (verdict.differences, verdict.accounts) == ([], ACCOUNTS)
    await redis.aclose()

    transitions = [transition for result in results for transition in result.transitions]
    published = await published_transitions(scorer.kafka)
    assert {one.id: one for one in published} == {one.id: one for one in transitions}
    assert len(published) > len(transitions), "the rebuild must have told old transitions again"
    assert alerts_of(published) == alerts_of(transitions)


async def test_a_flipped_bit_is_refused_and_rebuilt_from_a_whole_log(
    scorer: ScorerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = await days_scored(scorer)
    scorer.stop()
    number = await damage(scorer.kafka)
    redis = Redis.from_url(scorer.redis)
    await redis.flushdb()
    await assert_refused(scorer, f"{ACTIVITY}/{number} at offset")

    capsys.readouterr()
    await rebuild()
    said = capsys.readouterr().out
    assert f"{ACTIVITY}/{number}: emptied, all" in said
    assert said.count("can be used as it is") == PARTITIONS - 1

    scorer.start_ready()
    await wait_scored(scorer.redis, wanted.healths)
    for from_snapshot in (False, True):
        verdict = await compare(scorer.kafka, redis, key=bytes.fromhex(KEY), from_snapshot=from_snapshot)
        assert (verdict.differences, verdict.from_snapshot) == ([], PARTITIONS * from_snapshot)
    with pytest.raises(Trouble, match="fingerprint"):
        await compare(scorer.kafka, redis, key=b"k" * 32, from_snapshot=True)
    with pytest.raises(Trouble, match="CHURNWATCH_DEAD_LETTER_KEY is missing"):
        await compare(scorer.kafka, redis, from_snapshot=True)
    await redis.aclose()


async def test_a_lost_checkpoint_needs_nothing_where_the_log_is_whole(
    scorer: ScorerProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = await days_scored(scorer)
    monkeypatch.setattr(rebuild_module, "PATIENCE_S", 0.0)
    with pytest.raises(Trouble, match="1 scorers run"):
        await rebuild()
    monkeypatch.undo()
    monkeypatch.setenv("CHURNWATCH_KAFKA", scorer.kafka)
    scorer.stop()
    await delete(scorer.kafka, ACTIVITY, dict.fromkeys(range(PARTITIONS), -1))
    redis = Redis.from_url(scorer.redis)
    await redis.flushdb()
    await redis.aclose()
    capsys.readouterr()
    await rebuild()
    assert capsys.readouterr().out.count("can be used as it is") == PARTITIONS

    scorer.start_ready()
    await wait_scored(scorer.redis, wanted.healths)


async def test_without_events_and_snapshots_the_remedy_is_told(
    scorer: ScorerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    await days_scored(scorer)
    scorer.stop()
    logs = await read_logs(scorer.kafka)
    await cut(scorer.kafka, logs, at=clock.now_ms() - 10 * DAY)
    for topic in (ACTIVITY, SNAPSHOTS):
        await delete(scorer.kafka, topic, dict.fromkeys(range(PARTITIONS), -1))
    await assert_refused(scorer, "holds no checkpoint")

    with pytest.raises(Trouble, match=r"activity.v1/7 can't be restored(.|\n)*rebuild --partition 7 --accept-loss"):
        await rebuild()
    redis = Redis.from_url(scorer.redis)
    with pytest.raises(Trouble, match=r"events.v1/0 begins at [0-9]+, and churn.snapshots.v1/0 holds no whole"):
        await compare(scorer.kafka, redis, key=bytes.fromhex(KEY))
    await redis.aclose()
    capsys.readouterr()
    await rebuild(accept_loss=True)
    assert capsys.readouterr().out.count("are lost") == PARTITIONS
    scorer.start_ready()


async def days_scored(scorer: ScorerProcess) -> oracle.Result:
    """Let the scorer take fifty days and keep snapshots, and return what the oracle says."""
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    await write(scorer.kafka, days_of_use(range(-50, 1), end=clock.now_ms(), context=context))
    wanted = await expected(scorer.kafka)
    await wait_scored(scorer.redis, wanted.healths)
    await soon(lambda: _have_snapshots(scorer.kafka, 1))
    return oracle.Result(healths=dict(wanted.healths))


async def assert_refused(scorer: ScorerProcess, words: str) -> None:
    """Start the scorer and wait until it has ended for a reason that names the remedy."""
    scorer.start()
    scorer.wait_ended()
    scorer.stop()
    log = (scorer.folder / "scorer.log").read_text("utf-8")
    assert words in log
    assert "run `churnwatch rebuild`" in log


async def damage(kafka: str) -> int:
    """Write the fullest partition of the checkpoint again with one bit changed, and return its number."""
    held = [await read_values(kafka, ACTIVITY, number) for number in range(PARTITIONS)]
    number = max(range(PARTITIONS), key=lambda one: sum(len(value) for _, value in held[one]))
    await delete(kafka, ACTIVITY, {number: -1})
    shift = (await span_of(kafka, ACTIVITY, number))[1] - held[number][0][0]
    values = [_moved(value, by=shift) for _, value in held[number]]
    largest = max(range(len(values)), key=lambda place: len(values[place]))
    middle = len(values[largest]) // 2
    flipped = bytearray(values[largest])
    flipped[middle] ^= 8
    values[largest] = bytes(flipped)
    async with producer(kafka) as client:
        for value in values:
            await client.send_and_wait(ACTIVITY, value=value, partition=number)
    return number


def _moved(value: bytes, *, by: int) -> bytes:
    if chunks.kind_of(value) != "marker":
        return value
    marker = chunks.read_marker(value)
    return chunks.seal(msgspec.structs.replace(marker, first_record=marker.first_record + by))


async def delete(kafka: str, topic: str, before: Mapping[int, int]) -> None:
    """Delete what lies before an offset of each partition; −1 is the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, n): RecordsToDelete(offset) for n, offset in before.items()})
    finally:
        await admin.close()


async def cut(kafka: str, logs: Logs, *, at: int) -> None:
    """Delete the events of each partition before its last tick at or before a moment."""
    ticks = {
        number: [(record.offset, tick.at) for record in log if isinstance(tick := read(record), Tick)]
        for number, log in logs.items()
    }
    offsets = {number: max(offset for offset, t in found if t <= at) for number, found in ticks.items()}
    assert all(offsets.values())
    await delete(kafka, EVENTS, offsets)


async def read_logs(kafka: str) -> Logs:
    """Return the event log as it is now."""
    logs = await asyncio.gather(*(read_partition(kafka, EVENTS, number) for number in range(PARTITIONS)))
    return dict(enumerate(logs))


async def score(kafka: str, before: Logs) -> list[oracle.Result]:
    """Let the oracle score the whole log: what it was before the cut, and what came since."""
    contexts, results = await read_contexts(kafka), []
    for number, log in before.items():
        since = await read_partition(kafka, EVENTS, number, from_offset=len(log))
        records = [*log, *since]
        assert [record.offset for record in records] == list(range(len(records)))
        results.append(oracle.run(records, partition=number, partitions=PARTITIONS, contexts=contexts))
    return results


async def _have_snapshots(kafka: str, wanted: int) -> bool:
    found = [snapshots_of(await read_values(kafka, SNAPSHOTS, number)) for number in range(PARTITIONS)]
    return all(len(snapshots) >= wanted for snapshots in found)


def alerts_of(transitions: Sequence[Transition]) -> Mapping[str, Alert]:
    """Return what the alert service makes of transitions in the order of the topic, but for their places there."""
    alerts: dict[str, Alert] = {}
    for offset, one in enumerate(transitions):
        position = Position(topic="risk", partition=0, offset=offset)
        after = fold(alerts.get(one.account), one, position=position).alert
        if after is not None:
            alerts[one.account] = msgspec.structs.replace(after, positions={}, earlier=[])
    return alerts
