"""Put the scorer together: the one place that knows all its parts."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, cast

import faust
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.scorer import context, metrics
from services.scorer import topology as agreement
from services.scorer.checkpoint import Activity
from services.scorer.context import Context
from services.scorer.core.batch import Batch
from services.scorer.core.guard import Patience, Watch
from services.scorer.core.open_list import open_list
from services.scorer.core.partition import Partition
from services.scorer.cores import Columnar
from services.scorer.eventlog import EventLog
from services.scorer.feed import QUEUED_BATCHES, BatchApp, BatchSchema, Owner, check_faust
from services.scorer.fence import Exit, end_process
from services.scorer.guarding import Guarding
from services.scorer.listing import Listing
from services.scorer.loop import Loop
from services.scorer.outputs import KafkaOutputs
from services.scorer.past import Past
from services.scorer.recent import Recents
from services.scorer.settings import ScorerSettings
from services.scorer.snapshots import SnapshotTopic
from services.scorer.summaries import Summarist
from services.scorer.ticker import Ticker
from shared import clock, kafka
from shared.contracts.context import Bundle
from shared.contracts.topics import EVENTS, SCORER_GROUP
from shared.contracts.topology import Topology
from shared.health_store import HealthStore
from shared.kafka import METADATA_MAX_AGE_MS, KafkaProblem
from shared.recent import RecentFates
from shared.tasks import cancel
from shared.telemetry import serve_ops
from shared.topology import TopologyProblem

LAG_S: Final = 1.0
REFILL_S: Final = 5.0
REDIS_TIMEOUT_S: Final = 5.0
FAUST_REQUEST_TIMEOUT_S: Final = 40.0

Process = Callable[[Batch, Callable[[], object]], Coroutine[Any, Any, None]]

log = structlog.get_logger(__name__)


class Scorer:
    """One scorer process: everything but Faust, which feeds `process` and asks `loop` for its partitions."""

    def __init__(self, settings: ScorerSettings, bundle: Bundle) -> None:
        self._settings = settings
        self._bundle = bundle
        self._key = settings.dead_letter_key.get_secret_value()
        self._producer: AIOKafkaProducer = kafka.producer(settings.kafka)
        self._context = Context(context.reader(settings.kafka), self._producer)
        self._redis: Redis = Redis.from_url(settings.redis, socket_timeout=REDIS_TIMEOUT_S)
        self._recent = RecentFates(self._redis)
        self._events: EventLog
        self._activity: Activity
        self._guarding: Guarding
        self._tasks: list[asyncio.Task[None]] = []
        self.partitions = 0
        self.loop: Loop[Partition]

    async def start(self) -> None:
        """Connect, agree on topics, secrets and configuration, and start what runs beside the batches."""
        for part in (self._producer, self._context):
            await part.start()
        kafka_servers = self._settings.kafka
        self.topology = await agreement.agree(kafka_servers, self._context)
        self._events = EventLog(kafka_servers, group=SCORER_GROUP, topology=self.topology)
        self._activity = Activity(kafka_servers, self._producer, topic=self.topology.activity)
        self._snapshots = SnapshotTopic(
            kafka_servers, self._producer, topic=self.topology.snapshots, budget=self._activity.budget
        )
        for part in (self._events, self._activity, self._snapshots):
            await part.start()
        await self._context.check_secrets({"dead_letter_key": self._key})
        await self._context.publish(self._bundle)
        store, watch = HealthStore(self._redis), Watch(patience(self._settings))
        self._guarding = Guarding(watch=watch, context=self._context, now_ms=clock.now_ms)
        self.loop = Loop(
            core=columnar(self.topology, self._key),
            topology=self.topology,
            cycle_s=self._settings.scorer_cycle_s,
            context=self._context,
            events=self._events,
            activity=self._activity,
            snapshots=self._snapshots,
            outputs=KafkaOutputs(self._producer, dead_letter_key=self._key, topology=self.topology),
            store=store,
            bring_back=Past(kafka_servers, store, topology=self.topology, now_ms=clock.now_ms).bring_back,
            now_ms=clock.now_ms,
            stall_s=self._settings.scorer_session_s / 2,
            watch=watch,
            recents=Recents(self._recent.note, now_ms=clock.now_ms),
            listing=Listing(open_list),
        )
        self.loop.fence.enclose(self._producer.client)
        metrics.CORE.labels("numpy").set(1)
        work = {"context": self._context.run(), "fence": self.loop.fence.run(), "lag": self._lag(), "ops": self._ops()}
        work |= {"refill": self._refill(), "recent": self._recent.run()}
        work["summaries"] = Summarist(
            caught_up=lambda: self.loop.listing.caught_up(self.loop.states()),
            known_at=self._context.known_at,
            last_offset=lambda: self._context.offset,
            tell=self._context.tell,
        ).run()
        work["topology"] = agreement.watch(kafka_servers, self._context, self.topology)
        if self._settings.scorer_ticks:
            work["ticker"] = self._ticker().run()
        self._tasks = [self.loop.start(coroutine, name) for name, coroutine in work.items()]

    async def process(self, batch: Batch, acknowledge: Callable[[], object]) -> None:
        """Carry one batch; whatever goes wrong ends the process, for Faust would acknowledge it."""
        try:
            await self.loop.process(batch, acknowledge=acknowledge)
        except Exception as fault:  # noqa: BLE001  the one place that must not let it pass
            self.loop.fail(fault)

    async def stop(self) -> None:
        """Close everything, after Faust has given the partitions up."""
        await cancel(self._tasks)
        for part in (self._context, self._snapshots, self._activity, self._events, self._producer):
            await part.stop()
        await self._redis.aclose()

    def _ticker(self) -> Ticker:
        return Ticker(
            self._producer,
            topic=self.topology.events,
            owned=self.loop.states,
            context=lambda: self._context.offset,
            now_ms=clock.now_ms,
            fewest_ms=int(self._settings.scorer_tick_s * 1000),
        )

    async def _refill(self) -> None:
        while True:
            try:
                await self.loop.refill()
            except (RedisError, KafkaError, KafkaProblem, OSError, TimeoutError) as fault:
                log.warning("redis_refill_failed", fault=repr(fault))
            await asyncio.sleep(REFILL_S)

    async def _lag(self) -> None:
        while True:
            ends = await self._events.ends(list(self.loop.states()))
            self.loop.report_lag(ends)
            await self._guarding.look(self.loop.states(), ends)
            await asyncio.sleep(LAG_S)

    async def _ops(self) -> None:
        await serve_ops(self._ready, host=self._settings.scorer_host, port=self._settings.scorer_port)

    async def _ready(self) -> Mapping[str, bool]:
        return {"state": self.loop.ready}


def faust_app(  # noqa: PLR0913  what Faust must be told
    name: str,
    *,
    brokers: str,
    data: Path,
    owner: Owner,
    process: Process,
    topic: str = EVENTS,
    poll_records: int = 5000,
    session_s: float = 10.0,
    instance: str | None = None,
    closing: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> BatchApp:
    """Return a Faust app that hands the batches of a topic to `process` one after the other.

    `process` gets the batch and the function that acknowledges it. Raises FeedMismatch when Faust has changed.
    """
    check_faust()
    data.mkdir(parents=True, exist_ok=True)
    app = BatchApp(
        name,
        broker=[f"kafka://{broker.strip()}" for broker in brokers.split(",")],
        datadir=data / name,
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        stream_wait_empty=False,
        stream_recovery_delay=0,
        broker_max_poll_records=poll_records,
        broker_commit_interval=1.0,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 4,
        broker_request_timeout=max(FAUST_REQUEST_TIMEOUT_S, session_s),
        broker_rebalance_timeout=30.0,
        # positions are sought to explicitly; this only decides what is prefetched before that
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        consumer_group_instance_id=instance,
    )
    app.owner = owner
    app.closing = closing
    schema = BatchSchema(key_type=bytes, value_type=bytes)
    channel = app.topic(topic, maxsize=QUEUED_BATCHES, schema=schema)

    @app.agent(channel, concurrency=1, name="score")
    async def score(stream: faust.StreamT[Any]) -> None:
        async for event in cast("faust.Stream[Batch]", stream).noack().events():
            await process(event.value, event.ack)

    return app


def patience(settings: ScorerSettings) -> Patience:
    """Return when a source has fallen silent, as the settings say."""
    return Patience(
        window_ms=int(settings.guard_window_s * 1000),
        after_ms=int(settings.guard_after_s * 1000),
        catch_up_ms=int(settings.guard_catch_up_s * 1000),
        fewest_accounts=settings.guard_accounts,
    )


def columnar(topology: Topology, key: bytes) -> Columnar:
    """Return the core that scores a generation; hashes in its state are seeded with the deployment's secret."""
    return Columnar(partitions=topology.partitions, seed=seed_of(key), generation=topology.generation)


def seed_of(key: bytes) -> int:
    """Return the seed of the hashes in the state: senders choose ids, so nobody may foresee collisions."""
    return int.from_bytes(hashlib.sha256(b"scorer state\0" + key).digest()[:8], "big")


async def _started(settings: ScorerSettings, bundle: Bundle) -> Scorer:
    scorer = Scorer(settings, bundle)  # inside the loop: Kafka's clients bind to it when they are made
    await scorer.start()
    return scorer


def run(settings: ScorerSettings, bundle: Bundle) -> None:
    """Run the Faust worker in this process until told to stop; never returns."""
    event_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(event_loop)
    try:
        scorer = event_loop.run_until_complete(_started(settings, bundle))
    except TopologyProblem as fault:
        end_process(Exit.TOPOLOGY, fault=str(fault))
    except Exception as fault:
        log.exception("start_failed")
        raise SystemExit(f"churnwatch scorer: {fault}") from None
    app = faust_app(
        SCORER_GROUP,
        brokers=settings.kafka,
        data=settings.data / "scorer",
        owner=scorer.loop,
        process=scorer.process,
        topic=scorer.topology.events,
        poll_records=settings.scorer_poll_records,
        session_s=settings.scorer_session_s,
        instance=settings.scorer_instance or None,
        closing=scorer.stop,
    )
    worker = app.Worker(loop=event_loop, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        if ended.code:
            end_process(Exit.UNPLANNED, fault="faust stopped with a failure")
        raise
