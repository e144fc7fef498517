"""The scorer as a process on real Kafka and Redis, compared with the oracle over the log that lies there."""

import asyncio
import itertools
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
from aiokafka.structs import ConsumerRecord
from redis.asyncio import Redis

from services.scorer.core.medians import median_of
from services.scorer.fence import Exit
from shared import clock
from shared.contracts.context import Guard, Summary
from shared.contracts.health import AccountHealth
from shared.contracts.partition import partition_of
from shared.contracts.topics import CONTEXT, DEAD_LETTERS, EVENTS, FACTS, PARTITIONS, SCORES
from shared.dead_letters import source_of, unseal
from shared.health_store import HealthStore
from shared.kafka import producer, read_to_end
from tests.support.scoring import (
    KEY,
    OWN_TIME,
    ScorerProcess,
    Written,
    checkpoint_spans,
    days_of_use,
    empty_topics,
    event,
    expected,
    last_context,
    published_transitions,
    ticks,
    wait_scored,
    write,
)
from tests.support.waiting import soon

HOUR = 3_600_000
DAY = 24 * HOUR


async def test_health_episodes_and_fates_are_those_of_the_oracle(scorer: ScorerProcess) -> None:
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    now = clock.now_ms()
    await write(scorer.kafka, days_of_use(range(-60, 1), end=now, context=context))
    wanted = await expected(scorer.kafka)
    assert wanted.transitions, "the story must open episodes"

    await wait_scored(scorer.redis, wanted.healths)

    published = await published_transitions(scorer.kafka)
    assert sorted(published, key=str) == sorted(wanted.transitions, key=str)
    scores = [msgspec.json.decode(found.value or b"", type=AccountHealth) async for found in _records(scorer, SCORES)]
    assert sorted(scores, key=str) == sorted(wanted.scores, key=str)
    facts = {found.key: found.value async for found in _records(scorer, FACTS)}
    assert facts == wanted.facts
    assert {key.split(b"/")[1] for key in wanted.facts} == {b"outcome", b"billing", b"account"}
    counted = scorer.metrics()
    assert counted['churn_scorer_records_total{fate="applied"}'] == wanted.counts["applied"]
    assert counted['churn_scorer_records_total{fate="duplicate"}'] == wanted.counts["duplicate"]


async def test_losing_all_of_redis_brings_everything_back_and_says_nothing_new(scorer: ScorerProcess) -> None:
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    await write(scorer.kafka, days_of_use(range(-30, 1), end=clock.now_ms(), context=context))
    wanted = await expected(scorer.kafka)
    await wait_scored(scorer.redis, wanted.healths)
    redis = Redis.from_url(scorer.redis)
    await soon(lambda: _all_filled(redis))

    await redis.flushdb()

    await wait_scored(scorer.redis, wanted.healths)
    await soon(lambda: _all_filled(redis))
    assert len(await published_transitions(scorer.kafka)) == len(wanted.transitions)
    store = HealthStore(redis)
    for account in wanted.healths:
        published = {(one.at, one.health, one.band) for one in wanted.scores if one.account == account}
        assert published <= {(point.at, point.health, point.band) for point in await store.history(account)}
    await redis.aclose()


async def _expects(kafka: str, fate: str) -> bool:
    return fate in (await expected(kafka)).counts


async def _has_folded(scorer: ScorerProcess, **counts: int) -> bool:
    found = scorer.metrics()
    return all(found[f'churn_scorer_log_records{{fate="{fate}"}}'] == count for fate, count in counts.items())


async def _all_filled(redis: Redis) -> bool:
    return len(await HealthStore(redis).filled()) == PARTITIONS


async def test_what_cannot_be_read_is_kept_and_the_partition_goes_on(scorer: ScorerProcess) -> None:
    now = clock.now_ms()
    good = event("acme", "login", at=now - DAY, number=1)
    ahead = event("acme", "login", at=now + 3_600_000, number=2)
    poison = [
        None,
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"type":"churn.usage.v9"}',
        b'{"type":"churn.tick.v1"}',
        b"1",
    ]
    bad = [Written(partition=good.partition, key=b"k", value=value) for value in poison]
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    last = event("acme", "login", at=now - 1000, number=3)
    await write(scorer.kafka, [good, *bad, ahead, last, *ticks(now, context=context)])
    wanted = await expected(scorer.kafka)

    await wait_scored(scorer.redis, wanted.healths)

    assert wanted.healths["acme"].last_activity == now - 1000
    letters = [letter async for letter in _records(scorer, DEAD_LETTERS)]
    assert len(letters) == len(bad) + 1
    opened = {_offset(letter.headers): letter.value for letter in letters}
    for offset, record in enumerate([*bad, ahead], start=1):
        sealed = opened[offset]
        assert record.value == (None if sealed is None else unseal(sealed, key=bytes.fromhex(KEY)))
    reasons = Counter(dict(letter.headers)["dlq-reason"].decode() for letter in letters)
    assert reasons == Counter(fate for fate in wanted.fates if fate not in {"applied", "tick", "ticks"})


async def test_an_event_in_the_wrong_partition_is_forwarded_once(scorer: ScorerProcess) -> None:
    now = clock.now_ms()
    right = event("acme", "login", at=now - 1000, number=1)
    wrong = Written(partition=(right.partition + 1) % PARTITIONS, key=right.key, value=right.value)
    again = Written(partition=wrong.partition, key=b"acme", value=wrong.value, headers=(("moved", b"1"),))
    scorer.start_ready()
    await write(scorer.kafka, [wrong, again])
    await soon(lambda: _held(scorer.kafka, EVENTS, right.partition, 1))
    await soon(lambda: _held(scorer.kafka, DEAD_LETTERS, wrong.partition, 1))
    await write(scorer.kafka, ticks(now, context=await last_context(scorer.kafka)))
    wanted = await expected(scorer.kafka)

    await wait_scored(scorer.redis, wanted.healths)

    assert wanted.healths["acme"].last_activity == now - 1000
    assert partition_of(b"acme", partitions=PARTITIONS) == wanted.healths["acme"].partition
    forwarded = [found async for found in _records(scorer, EVENTS) if found.partition == right.partition]
    assert forwarded[0].value == right.value
    assert ("moved", b"1") in forwarded[0].headers
    letters = [letter async for letter in _records(scorer, DEAD_LETTERS)]
    assert [dict(letter.headers)["dlq-reason"] for letter in letters] == [b"wrong_partition"]


async def test_no_crash_or_restart_changes_any_health_or_episode(scorer: ScorerProcess) -> None:
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    now = clock.now_ms()
    for turn, days in enumerate([range(-60, -30), range(-30, -20), range(-20, -10), range(-10, -4), range(-4, 1)]):
        await write(scorer.kafka, days_of_use(days, end=now, context=context))
        if turn in {0, 2}:
            await soon(lambda: _closed_cycles(scorer.kafka))
        if turn % 2:
            scorer.kill()
        else:
            scorer.stop()
        scorer.start_ready()
    wanted = await expected(scorer.kafka)

    await wait_scored(scorer.redis, wanted.healths)

    assert any(taken["source"] == "checkpoint" and taken["position"] for taken in scorer.logged("partition_taken"))
    published = {transition.id: transition for transition in await published_transitions(scorer.kafka)}
    assert published == {transition.id: transition for transition in wanted.transitions}


async def test_old_ticks_are_replayed_with_the_rules_of_their_time(scorer: ScorerProcess) -> None:
    """A tick names a context offset: what the first rules were in force at, the second don't judge.

    log     ..... ticks of rules 1 ..... | killed, rules changed | ..... ticks of rules 1 unread .. | ticks of rules 2
    """
    scorer.start_ready()
    first = await last_context(scorer.kafka)
    now = clock.now_ms()
    await write(scorer.kafka, days_of_use(range(-60, -20), end=now, context=first))
    await soon(lambda: _is_told(scorer.kafka))
    scorer.kill()
    await write(scorer.kafka, days_of_use(range(-20, -5), end=now, context=first))

    scorer.settings = {**OWN_TIME, "CHURNWATCH_CONFIG": str(_without_failed_payment(scorer.folder))}
    scorer.start_ready()
    second = await last_context(scorer.kafka)
    await write(scorer.kafka, days_of_use(range(-5, 1), end=now, context=second))
    scorer.kill()
    scorer.start_ready()
    wanted = await expected(scorer.kafka)

    await wait_scored(scorer.redis, wanted.healths)

    assert [record.key async for record in _records(scorer, CONTEXT)].count(b"bundle") == 2
    published = {transition.id: transition for transition in await published_transitions(scorer.kafka)}
    assert published == {transition.id: transition for transition in wanted.transitions}
    after_change = [t for t in wanted.transitions if now - 20 * DAY < t.at <= now - 6 * DAY]
    assert any(t.rule == "failed_payment" for t in after_change), "old ticks must have been judged by the old rules"
    later = {t.change for t in wanted.transitions if t.rule == "failed_payment" and t.at >= now - 5 * DAY}
    assert later == {"withdrawn"}


def _without_failed_payment(folder: Path) -> Path:
    config = Path(shutil.copytree("config", folder / "config"))
    rules = (config / "rules.yaml").read_text("utf-8")
    before, _, after = rules.partition("  - name: failed_payment")
    others = after.partition("  - name: ")[2]
    (config / "rules.yaml").write_text(f"{before}  - name: {others}", "utf-8")
    return config


async def test_a_record_that_crashes_the_core_is_set_aside_after_two_exits(scorer: ScorerProcess) -> None:
    scorer.module = "tests.support.poisoned_scorer"
    # without a checkpoint every start begins at the first record: new accounts lie before the poison in its batch
    scorer.settings = {**OWN_TIME, "CHURNWATCH_SCORER_CYCLE_S": "30"}
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    now = clock.now_ms()
    await write(scorer.kafka, days_of_use(range(-20, 0), end=now, context=context))
    poison = event("account-3", "login", at=now, number=0)
    poison = replace(poison, value=(poison.value or b"").replace(b'"m-0"', b'"poison"'))
    await write(scorer.kafka, [poison, *days_of_use(range(1), end=now, context=context)])

    for _ in range(2):
        assert await scorer.exit_code() == Exit.UNPLANNED
        scorer.start()
    await soon(lambda: _expects(scorer.kafka, "bug"))
    wanted = await expected(scorer.kafka)
    assert wanted.counts["bug"] == 1
    await wait_scored(scorer.redis, wanted.healths)

    assert (await expected(scorer.kafka)).counts["bug"] == 1, "nothing else is set aside later"
    letters = [record async for record in read_to_end(scorer.kafka, DEAD_LETTERS)]
    assert {unseal(letter.value, key=bytes.fromhex(KEY)) for letter in letters} == {poison.value}
    published = {transition.id for transition in await published_transitions(scorer.kafka)}
    assert published == {transition.id for transition in wanted.transitions}
    scorer.kill()
    scorer.start_ready()
    await soon(lambda: _has_folded(scorer, dead=1, applied=wanted.counts["applied"]))  # a replay passes over it


async def test_a_scorer_stopped_for_three_days_scores_as_if_it_had_run(scorer: ScorerProcess) -> None:
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    now = clock.now_ms()
    await write(scorer.kafka, days_of_use(range(-50, -3), end=now, context=context))
    scorer.stop()
    await write(scorer.kafka, days_of_use(range(-3, 1), end=now, context=context))
    scorer.start_ready()
    wanted = await expected(scorer.kafka)

    await wait_scored(scorer.redis, wanted.healths)

    assert set(wanted.counts) <= {"applied", "duplicate", "tick", "ticks"}
    assert not [letter async for letter in _records(scorer, DEAD_LETTERS)]


async def test_each_day_is_summarized_once_whoever_runs(scorer: ScorerProcess) -> None:
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    now = clock.now_ms()
    today = (now - 2 * HOUR) // DAY
    await write(scorer.kafka, days_of_use(range(-40, 0), end=now, context=context))
    await soon(lambda: _is_summarized(scorer.kafka, today - 2))
    scorer.kill()
    scorer.start_ready()
    await write(scorer.kafka, days_of_use(range(1), end=now, context=context))
    await soon(lambda: _is_summarized(scorer.kafka, today - 1))

    for partition, told in (await _summaries(scorer.kafka)).items():
        days = [summary.day for summary in told]
        assert days == sorted(set(days)), "a day is never told twice"
        assert days[-2:] == [today - 2, today - 1]
        assert all(summary.partition == partition and summary.partitions == PARTITIONS for summary in told)
    known = {partition: told[-1] for partition, told in (await _summaries(scorer.kafka)).items()}
    counted = sum(segment.accounts for summary in known.values() for segment in summary.segments)
    assert counted == 25
    median = median_of(known, segment="", feature="active_days_28")
    assert median is not None
    assert 15 <= median <= 25, "of 28 days each account is active on two of three"


async def _summaries(broker: str) -> Mapping[int, Sequence[Summary]]:
    found: dict[int, list[Summary]] = {}
    async for record in read_to_end(broker, CONTEXT):
        if record.key == b"summary":
            summary = msgspec.json.decode(record.value or b"", type=Summary)
            found.setdefault(summary.partition, []).append(summary)
    return found


async def _is_summarized(broker: str, day: int) -> bool:
    homes = {partition_of(f"account-{index}".encode(), partitions=PARTITIONS) for index in range(25)}
    found = await _summaries(broker)
    return found.keys() == homes and all(told[-1].day == day for told in found.values())


async def test_the_checkpoint_is_trimmed_behind_its_last_two_cycles(scorer: ScorerProcess) -> None:
    scorer.start_ready()
    context = await last_context(scorer.kafka)
    now = clock.now_ms()
    for day in range(-20, 1):
        await write(scorer.kafka, days_of_use(range(day, day + 1), end=now, context=context))
        await asyncio.sleep(0.3)  # not for time to pass: for cycles to be needed
    await soon(lambda: _trimmed(scorer.kafka))
    assert all(end - begin < 12 for begin, end in (await checkpoint_spans(scorer.kafka)).values())


async def test_live_ticks_bring_an_event_to_redis_and_an_episode_to_the_risk_topic(
    broker: str, redis_url: str, tmp_path: Path
) -> None:
    await empty_topics(broker)
    scorer = ScorerProcess(kafka=broker, redis=redis_url, folder=tmp_path)
    scorer.start_ready()
    try:
        failed = event("acme", "billing", at=clock.now_ms(), number=1, data={"status": "payment_failed"})
        await write(scorer.kafka, [failed])
        await soon(lambda: _is_told(scorer.kafka), within_s=10)
        (transition,) = await published_transitions(scorer.kafka)
        assert (transition.account, transition.rule, transition.change) == ("acme", "failed_payment", "opened")
        assert transition.at == transition.opened_at
    finally:
        scorer.stop()
    wanted = await expected(scorer.kafka)
    await wait_scored(scorer.redis, wanted.healths)

    stranger = ScorerProcess(
        kafka=broker,
        redis=redis_url,
        folder=tmp_path / "stranger",
        settings={"CHURNWATCH_DEAD_LETTER_KEY": "77" * 32},
    )
    stranger.start()
    stranger.wait_ended()
    stranger.stop()
    assert "dead_letter_key has the fingerprint" in (tmp_path / "stranger" / "scorer.log").read_text("utf-8")


def _records(scorer: ScorerProcess, topic: str) -> AsyncIterator[ConsumerRecord[bytes | None, bytes | None]]:
    return read_to_end(scorer.kafka, topic)


def _offset(headers: Sequence[tuple[str, bytes]]) -> int:
    source = source_of(headers)
    assert source is not None
    return source.offset


async def _held(bootstrap: str, topic: str, partition: int, count: int) -> bool:
    return len([found async for found in read_to_end(bootstrap, topic, partition)]) >= count


async def _closed_cycles(bootstrap: str) -> bool:
    spans = await checkpoint_spans(bootstrap)
    return sum(end >= 3 for _, end in spans.values()) >= PARTITIONS // 2  # some have no account


async def _trimmed(bootstrap: str) -> bool:
    spans = await checkpoint_spans(bootstrap)
    return sum(begin > 0 for begin, _ in spans.values()) >= PARTITIONS // 2


async def _is_told(bootstrap: str) -> bool:
    return bool(await published_transitions(bootstrap))


async def test_a_source_that_falls_silent_is_guarded_once_and_let_go_when_it_is_back(
    broker: str, redis_url: str, tmp_path: Path
) -> None:
    await empty_topics(broker)
    settings = {
        "CHURNWATCH_GUARD_WINDOW_S": "6",
        "CHURNWATCH_GUARD_AFTER_S": "2",
        "CHURNWATCH_GUARD_CATCH_UP_S": "2",
        "CHURNWATCH_GUARD_ACCOUNTS": "3",
    }
    process = ScorerProcess(kafka=broker, redis=redis_url, folder=tmp_path, settings=settings)
    process.start_ready()
    try:
        numbers = itertools.count()
        async with flowing(broker, numbers):
            await soon(lambda: _has_come(numbers, 300), within_s=30)
        await soon(lambda: _says(broker, ["held"]), within_s=20)
        gauge = 'churn_scorer_source_guarded{source="/sources/app"}'
        await soon(lambda: _is(process, gauge, 1), within_s=10)
        async with flowing(broker, numbers):
            await soon(lambda: _says(broker, ["held", "over"]), within_s=30)
        await soon(lambda: _is(process, gauge, 0), within_s=10)
    finally:
        process.stop()


@asynccontextmanager
async def flowing(broker: str, numbers: Iterator[int]) -> AsyncIterator[None]:
    """Send events of four accounts, some thirty a second, meanwhile."""

    async def send() -> None:
        async with producer(broker) as client:
            for number in numbers:
                one = event(f"acct-{number % 4}", "login", at=clock.now_ms(), number=number)
                await client.send_and_wait(EVENTS, value=one.value, key=one.key, partition=one.partition)
                await asyncio.sleep(0.03)  # the pace of what is measured, no wait for something to happen

    sending = asyncio.create_task(send())
    yield
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def _has_come(numbers: Iterator[int], wanted: int) -> bool:
    return next(numbers) > wanted


async def _says(broker: str, states: list[str]) -> bool:
    found = [record async for record in read_to_end(broker, CONTEXT) if record.key == b"guard"]
    return [msgspec.json.decode(record.value or b"", type=Guard).state.value for record in found] == states


async def _is(process: ScorerProcess, gauge: str, value: float) -> bool:
    return process.metrics().get(gauge) == value
