"""Send real history through the whole path, and compare every account's health with the oracle's over the real log.

`make check-history DATA=<folder>`: the 84 days before 2016-10-01 of `git_openstack_events.csv.gz`, shifted by whole
weeks to end now, through HTTP, Kafka, scorer and Redis on a fresh local stack of its own, which it ends afterwards.
"""

import argparse
import asyncio
import base64
import contextlib
import csv
import gzip
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from redis.asyncio import Redis

from lab.verify import Verdict, compare
from shared import clock, keys
from shared.contracts.topics import DEAD_LETTERS, UNATTRIBUTED
from shared.kafka import producer, read_to_end

CUTOFF = datetime(2016, 10, 1, tzinfo=UTC)
DAYS = 84
BATCH = 100
AT_ONCE = 8
SETTLED_WITHIN_S = 120.0
PORTS = ("KAFKA", "REDIS", "INGEST", "SCORER", "ALERTS", "SLACK", "MAIL")

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A local stack of our own: its environment tells where everything is."""

    environment: Mapping[str, str]

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.environment[f'CHURNWATCH_{name}_PORT']}"

    def pepper(self) -> bytes:
        secret = Path(self.environment["CHURNWATCH_DATA"], "secrets", "key_pepper")
        return bytes.fromhex(secret.read_text("ascii").strip())


def messages_of(file: Path, *, now: datetime) -> Iterator[Message]:
    """Yield the history as Segment messages, the row's number as message id."""
    shift = (now - CUTOFF) // timedelta(weeks=1) * timedelta(weeks=1)
    with gzip.open(file, "rt", encoding="utf-8", newline="") as rows:
        for number, row in enumerate(csv.DictReader(rows)):
            at = datetime.fromisoformat(row["ts"])
            if CUTOFF - timedelta(days=DAYS) <= at < CUTOFF:
                yield {
                    "type": "track",
                    "messageId": f"row-{number}",
                    "userId": row["user"],
                    "event": row["event"],
                    "timestamp": (at + shift).isoformat(),
                    "properties": {"product": row["product"]},
                    "context": {"groupId": row["account"]},
                }


async def check(stack: Stack, messages: list[Message]) -> bool:
    """Send, wait until the scorer has caught up, compare; print what was found and return whether all is well."""
    kafka, redis = stack.address("KAFKA"), Redis.from_url(f"redis://{stack.address('REDIS')}/0")
    began = time.perf_counter()
    await _send(f"http://{stack.address('INGEST')}/v1/batch", key=await _new_key(kafka, stack), messages=messages)
    sent = time.perf_counter() - began
    try:
        verdict = await _settled(kafka, redis, events=len(messages))
    finally:
        await redis.aclose()
    total = time.perf_counter() - began
    letters, waiting = await _count(kafka, DEAD_LETTERS), await _count(kafka, UNATTRIBUTED)
    return _told(verdict, messages=messages, letters=letters, waiting=waiting, sent_s=sent, total_s=total)


def _told(
    verdict: Verdict, *, messages: list[Message], letters: int, waiting: int, sent_s: float, total_s: float
) -> bool:
    fates = verdict.fates
    applied, duplicate = fates.get("applied", 0), fates.get("duplicate", 0)
    dead = letters + sum(n for fate, n in fates.items() if fate not in {"applied", "duplicate", "tick", "moved"})
    print(f"sent {len(messages)} = applied {applied} + duplicate {duplicate} + dead {dead} + unattributed {waiting}")
    print(f"{verdict.accounts} accounts, {len(verdict.differences)} differences, {fates.get('tick', 0)} ticks")
    print(f"sent in {sent_s:.1f} s ({len(messages) / sent_s:,.0f} events a second), all scored after {total_s:.1f} s")
    for difference in verdict.differences[:20]:
        print(f"  {difference.account}: {difference.what} differs, first at {difference.at}")
    accounts = len({message["context"]["groupId"] for message in messages})
    complete = len(messages) == applied + duplicate + dead + waiting and verdict.accounts == accounts
    return complete and dead == 0 and not verdict.differences and not verdict.behind


async def _settled(kafka: str, redis: "Redis", *, events: int) -> Verdict:
    """Compare again until every event sent is in the log and Redis shows its last tick, or it takes too long."""
    deadline = time.perf_counter() + SETTLED_WITHIN_S
    while True:
        verdict = await compare(kafka, redis)
        in_log = sum(n for fate, n in verdict.fates.items() if fate != "tick")
        done = in_log >= events and not verdict.behind and not verdict.differences
        if done or time.perf_counter() > deadline:
            return verdict
        await asyncio.sleep(2)


async def _new_key(kafka: str, stack: Stack) -> str:
    key, record = keys.create(scopes=[keys.Scope.INGEST], source="history", pepper=stack.pepper())
    sender = producer(kafka)
    await sender.start()
    try:
        await keys.publish(sender, record)
    finally:
        await sender.stop()
    return key


async def _send(url: str, *, key: str, messages: list[Message]) -> None:
    authorization = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    batches = iter([messages[start : start + BATCH] for start in range(0, len(messages), BATCH)])

    async def send_some(session: aiohttp.ClientSession) -> None:
        for batch in batches:
            await _post(session, url, msgspec.json.encode({"batch": batch}))

    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=30)) as session:
        await asyncio.gather(*(send_some(session) for _ in range(AT_ONCE)))


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    deadline = time.perf_counter() + 60
    while True:
        async with session.post(url, data=body) as answer:
            if answer.status == 200:
                return
            text = await answer.text()
        # a key made a moment ago may not be known yet; 429 and 503 ask for patience
        if answer.status not in {401, 429, 503} or time.perf_counter() > deadline:
            raise SystemExit(f"churnwatch: the ingest answered {answer.status}: {text}")
        await asyncio.sleep(0.5)


async def _count(kafka: str, topic: str) -> int:
    return len([record.offset async for record in read_to_end(kafka, topic)])


@contextlib.contextmanager
def fresh_stack() -> Iterator[Stack]:
    """Start a stack with a folder and ports of its own, and end it."""
    with tempfile.TemporaryDirectory(prefix="churnwatch-history-") as folder:
        ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        given = {f"CHURNWATCH_{name}_PORT": str(port) for name, port in ports.items()}
        outside = {k: v for k, v in os.environ.items() if k not in {"CHURNWATCH_KAFKA", "CHURNWATCH_REDIS"}}
        environment = {**outside, **given, "CHURNWATCH_DATA": folder}
        command = [sys.executable, "-m", "deploy.local.stack"]
        try:
            subprocess.run([*command, "up"], env=environment, check=True)
            yield Stack(environment=environment)
        finally:
            subprocess.run([*command, "down"], env=environment, check=True)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        return [found.getsockname()[1] for found in sockets]


def main() -> None:
    """Check and exit 1 when anything differs."""
    parser = argparse.ArgumentParser(prog="make check-history")
    parser.add_argument("--data", type=Path, required=True, help="folder of git_openstack_events.csv.gz")
    file = parser.parse_args().data / "git_openstack_events.csv.gz"
    if not file.is_file():
        sys.exit(f"churnwatch: {file} is not there; DATA names the folder of git_openstack_events.csv.gz")
    messages = list(messages_of(file, now=clock.now()))
    with fresh_stack() as stack:
        well = asyncio.run(check(stack, messages))
    sys.exit(0 if well else "churnwatch: the history was not scored as the log says")


if __name__ == "__main__":
    main()
