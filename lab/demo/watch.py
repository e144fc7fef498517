"""Ask the running stack how things stand: its own API and metrics, Kafka's ends, what the Slack double counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from lab.demo.stage import Stage
from shared.contracts.topics import EVENTS, PARTITIONS

TIMEOUT_S: Final = 5.0
FATES: Final = ("applied", "duplicate", "dead", "moved", "ticks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is where. `log` are the records of the event log, `fates` what the scorer made of them since it began."""

    sent: int
    log: int
    fates: Mapping[str, int]
    alerts: int
    messages: int
    repeated: int
    dead_letters: int

    @property
    def events(self) -> int:
        """Events in Kafka: everything in the log that is no tick."""
        return self.log - self.fates["ticks"]


class Watch:
    """Owns a Kafka consumer that reads nothing; the HTTP session is the caller's."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession, *, key: str) -> None:
        self._stage = stage
        self._session = session
        self._key = key
        self._ends = AIOKafkaConsumer(bootstrap_servers=stage.kafka, group_id=None, enable_auto_commit=False)

    async def __aenter__(self) -> Self:
        await self._ends.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ends.stop()

    async def account(self, account: str) -> Mapping[str, Any] | None:
        """Return what the API says of an account, None while it doesn't know it."""
        async with self._get("alerts", f"/v1/accounts/{account}") as answer:
            return dict(await answer.json()) if answer.status == 200 else None

    async def alerts(self) -> list[Mapping[str, Any]]:
        """Return the newest alert of every account."""
        found: list[Mapping[str, Any]] = []
        cursor = ""
        while True:
            async with self._get("alerts", f"/v1/alerts?limit=500{cursor}") as answer:
                answer.raise_for_status()
                page = await answer.json()
            found += page["alerts"]
            if page["cursor"] is None:
                return found
            cursor = f"&cursor={page['cursor']}"

    async def messages(self) -> list[Mapping[str, Any]]:
        """Return every Slack message as it reads now, the oldest first."""
        async with self._get("slack", "/messages") as answer:
            return list(await answer.json())

    async def press(self, form: Mapping[str, str]) -> bool:
        """Press a button of a Slack message, as its reader would; return whether the alert service took it."""
        url, timeout = f"{self._stage.url('slack')}/press", aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with self._session.post(url, data=form, timeout=timeout, allow_redirects=False) as answer:
            return answer.status == HTTPStatus.SEE_OTHER

    async def samples(self, part: str) -> Mapping[str, float] | None:
        """Return the metrics of a service by name with labels; None while it does not answer."""
        try:
            async with self._get(part, "/metrics") as answer:
                lines = (await answer.text()).splitlines()
        except (aiohttp.ClientError, TimeoutError):
            return None
        parted = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in parted}

    async def log_end(self) -> int:
        """Return how many records the event log holds."""
        return sum((await self._ends.end_offsets([TopicPartition(EVENTS, n) for n in range(PARTITIONS)])).values())

    async def counts(self, sent: Callable[[], int]) -> Counts | None:
        """Return how much is where; None while the scorer does not answer or has not its whole state.

        What comes last on an event's way is asked for first, so that nothing seems to be where it has not been.
        """
        samples = await self.samples("scorer")
        if samples is None or samples.get("churn_scorer_partitions") != PARTITIONS:
            return None
        async with self._get("slack", "/counts") as answer:
            slack = await answer.json()
        fates = {fate: int(samples[f'churn_scorer_log_records{{fate="{fate}"}}']) for fate in FATES}
        log = await self.log_end()
        return Counts(
            sent=sent(),
            log=log,
            fates=fates,
            alerts=len(await self.alerts()),
            messages=slack["messages"],
            repeated=slack["duplicates"],
            dead_letters=fates["dead"],
        )

    def _get(self, part: str, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self._key}"} if part == "alerts" else {}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        return self._session.get(f"{self._stage.url(part)}{path}", headers=headers, timeout=timeout)
