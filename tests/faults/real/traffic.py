"""Send events as products do: over HTTP in batches, repeated until answered, some of them late, doubled or broken."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared import clock, kafka
from shared.contracts.events import source_of, wire_time
from shared.contracts.partition import partition_of
from shared.contracts.topics import EVENTS, PARTITIONS
from tests.faults.real.ledger import Answer, Ledger

WORKERS: Final = 4
EVERY_S: Final = 0.25
TIMEOUT_S: Final = 8.0
AGAIN_S: Final = (0.2, 0.5, 1.0)
TRIES_AT_END: Final = 40
GIVEN_UP: Final = 0.1
"""Share of unknown answers after which the sender, too, is gone and nothing is repeated."""
REPEATED: Final = 0.03
"""Share of accepted requests that are sent again all the same: an answer that got lost on its way."""
BROKEN: Final = 0.01
DIRECT_EVERY_S: Final = 0.5
OWNERS: Final = tuple(f"csm{number}@example.com" for number in range(6))

Call = Mapping[str, Any]


@dataclass(kw_only=True)
class Traffic:
    """Senders of one product. `run` until cancelled or `stop`ped; what is unanswered then is tried to its end."""

    url: str
    key: str
    bootstrap: str
    ledger: Ledger
    random: random.Random
    rate: float
    accounts: int
    astray: bool = True
    """Whether records come past the ingest that should not be there."""
    sent: int = 0
    repeats: int = 0
    _numbers: int = 0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Tell every account's facts and past, then send at the rate until stopped."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            await self._tell_accounts(session)
            for _ in range(WORKERS):
                group.create_task(self._work(session))
            if self.astray:
                group.create_task(self._direct())

    def stop(self) -> None:
        """Send nothing new."""
        self._stopping.set()

    async def _tell_accounts(self, session: aiohttp.ClientSession) -> None:
        for number in range(self.accounts):
            past = [self._presence(number, days_ago=self.random.uniform(1, 40)) for _ in range(20)]
            await self._deliver(session, [self._facts(number), *past])

    async def _work(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        size, due = max(1, round(self.rate * EVERY_S / WORKERS)), loop.time()
        while not self._stopping.is_set():
            await self._deliver(session, [self._event() for _ in range(size)])
            due = max(due + EVERY_S, loop.time() - EVERY_S)  # after an outage it goes on, it doesn't catch up
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _deliver(self, session: aiohttp.ClientSession, batch: Sequence[Call]) -> None:
        body, ids = json.dumps({"batch": list(batch)}).encode(), [call["messageId"] for call in batch]
        if self.random.random() < BROKEN:
            body = body[:-2]
        self.sent += len(ids)
        tries = 0
        while True:
            answer = await self._ask(session, body, ids)
            again = self.random.random() < (REPEATED if answer is Answer.ACCEPTED else 1 - GIVEN_UP)
            if answer is Answer.REJECTED or not again or tries >= TRIES_AT_END:
                return
            self.repeats += 1
            tries += self._stopping.is_set()
            await asyncio.sleep(self.random.choice(AGAIN_S))

    async def _ask(self, session: aiohttp.ClientSession, body: bytes, ids: Sequence[str]) -> Answer:
        number = await self.ledger.sent(ids)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            async with session.post(f"{self.url}/v1/batch", data=body, headers=headers) as response:
                await response.read()
                answer = _meaning(response.status)
        except (aiohttp.ClientError, OSError, TimeoutError):
            answer = Answer.UNKNOWN
        await self.ledger.answered(number, answer, at=clock.now_ms())
        return answer

    def _event(self) -> Call:
        number, chance = self.random.randrange(self.accounts), self.random.random()
        if chance < 0.60:
            return self._presence(number)
        if chance < 0.90:
            return self._presence(number, days_ago=self.random.choice((1, 3, 6, 9, 15, 25, 34)))
        if chance < 0.91:
            return self._presence(number, days_ago=100)
        if chance < 0.93:
            return self._facts(number)
        name, properties = self.random.choice(_TOLD)
        return self._call(number, type="track", event=name, properties=properties)

    def _presence(self, account: int, *, days_ago: float = 0.0) -> Call:
        name = self.random.choice(("Report Viewed", "Signed In", "Dashboard Shared", "Export Made"))
        user = f"user-{account}-{self.random.randrange(8)}"
        told: dict[str, Any] = {"type": "track", "event": name, "userId": user}
        if days_ago:
            told["timestamp"] = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
        return self._call(account, **told)

    def _facts(self, account: int) -> Call:
        traits = {
            "name": f"Account {account}",
            "segment": "enterprise" if account % 3 == 0 else "smb",
            "arr": self.random.randrange(1_000, 100_000),
            "seats": self.random.randrange(5, 50),
        }
        if account % 5:
            traits["owner"] = OWNERS[account % len(OWNERS)]
        return self._call(account, type="group", traits=traits)

    def _call(self, account: int, **told: Any) -> Call:
        self._numbers += 1
        return {
            "messageId": f"http-{self._numbers:08d}",
            "groupId": name_of(account),
            "userId": f"user-{account}-0",
            "timestamp": datetime.now(UTC).isoformat(),
            **told,
        }

    async def _direct(self) -> None:
        """Write to Kafka past the ingest what should not be there: events in the wrong partition, and rubbish."""
        producer: AIOKafkaProducer = kafka.producer(self.bootstrap)
        async with producer:
            while not self._stopping.is_set():
                await self._write(producer)
                await asyncio.sleep(DIRECT_EVERY_S)

    async def _write(self, producer: AIOKafkaProducer) -> None:
        self._numbers += 1
        account, name = name_of(self.random.randrange(self.accounts)).encode(), f"kafka-{self._numbers:08d}"
        elsewhere = (partition_of(account, partitions=PARTITIONS) + 1) % PARTITIONS
        rubbish = self.random.random() < 0.3
        value = b'{"specversion": "1.0", rubbish' if rubbish else _envelope(name, account.decode())
        number = await self.ledger.sent([] if rubbish else [name])
        try:
            await producer.send_and_wait(EVENTS, value, key=account, partition=elsewhere)
        except KafkaError:
            return
        await self.ledger.answered(number, Answer.ACCEPTED, at=clock.now_ms())


def name_of(account: int) -> str:
    """Return the id of an account."""
    return f"acct-{account:04d}"


def _envelope(name: str, account: str) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": name,
            "source": source_of("legacy"),
            "type": "churn.usage.v1",
            "subject": account,
            "time": wire_time(clock.now_ms()),
            "data": {"name": "Batch Run"},
        }
    ).encode()


def _meaning(status: int) -> Answer:
    if status == 200:
        return Answer.ACCEPTED
    return Answer.REJECTED if status in {400, 413} else Answer.UNKNOWN


_TOLD: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    *[("Payment Failed", {})] * 3,
    *[("Invoice Paid", {})] * 4,
    *[("Survey Answered", {"kind": "nps", "score": score}) for score in (2, 5, 6, 8, 9, 10)],
    ("Ticket Opened", {}),
    ("Outcome Achieved", {"name": "report sent"}),
    ("Notice Given", {}),
    ("Subscription Renewed", {}),
    ("Subscription Renewed", {}),
)
"""Facts, as often as they are named here: what opens episodes and what ends them."""
