"""Kafka away, stopped or killed: the ingest says 503 in time, never 200 for what is not there, and comes back."""

import os
import signal
import time
from pathlib import Path

import httpx

from deploy.local.kafka import LocalKafka
from deploy.local.server import HOST, free_port
from tests.support.ingest import basic
from tests.support.ingest_process import IngestProcess, events, make_topics, new_key
from tests.support.servers import running
from tests.support.waiting import soon

DEADLINE_S = 2.0


def said(number: int) -> dict[str, object]:
    return {
        "type": "track",
        "event": "Export",
        "messageId": f"m{number}",
        "userId": "u",
        "context": {"groupId": "acme"},
    }


async def test_without_a_broker_it_is_alive_not_ready_and_says_503(tmp_path: Path) -> None:
    process = IngestProcess(tmp_path, f"{HOST}:{free_port()}")
    process.start_unready()
    try:
        async with httpx.AsyncClient(base_url=process.url) as client:
            answer = await client.post(
                "/v1/batch", json={"batch": [said(0)]}, headers={"Authorization": basic("ck_a_b")}
            )
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert int(answer.headers["retry-after"]) > 0
        assert (process.status("/healthz"), process.status("/readyz")) == (200, 503)
    finally:
        process.stop()


async def test_what_was_answered_200_is_there_through_a_stopped_and_a_killed_broker(
    own_kafka: LocalKafka, tmp_path: Path
) -> None:
    await make_topics(own_kafka.bootstrap)
    key = await new_key(own_kafka.bootstrap)
    process = IngestProcess(tmp_path, own_kafka.bootstrap, CHURNWATCH_INGEST_DEADLINE_S=str(DEADLINE_S))
    accepted: set[str] = set()
    number = 0

    with running(process):
        async with httpx.AsyncClient(base_url=process.url, headers={"Authorization": basic(key)}, timeout=10) as client:

            async def sends() -> int:
                nonlocal number
                number += 1
                answer = await client.post("/v1/batch", json={"batch": [said(number)]})
                if answer.status_code == 200:
                    accepted.add(f"m{number}")
                else:
                    assert answer.status_code in {429, 503}, answer.text
                    assert int(answer.headers["retry-after"]) > 0
                return answer.status_code

            async def taken() -> bool:
                return await sends() == 200

            await soon(taken)
            os.killpg(own_kafka.pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                assert await sends() == 503
                assert time.monotonic() - began < DEADLINE_S + 2
            finally:
                os.killpg(own_kafka.pid, signal.SIGCONT)
            await soon(taken)

            own_kafka.kill()
            assert await sends() == 503
            own_kafka.start()
            await soon(taken)
    found = [event.id for event in await events(own_kafka.bootstrap)]
    assert accepted <= set(found)
