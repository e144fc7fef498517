"""Receive a history over HTTP: `churnwatch import` says that it begins, sends rows in order, and says that it ends."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response
from redis.exceptions import RedisError

from services.ingest.answer import Refused
from services.ingest.api import Ingest, check_open, header_key
from services.ingest.body import read_body
from services.ingest.core.history import Job, Judged, NotRows, Refusal, Row, judge, read_rows
from services.ingest.dead_letters import letter
from services.ingest.identity_map import identity_record
from services.ingest.metrics import ImportOutcome
from shared import clock
from shared.contracts.context import ContextKind, Import, ImportState
from shared.contracts.health import Band, Reconstructed
from shared.contracts.topics import CONTEXT, EVENTS, SCORES
from shared.health_store import Point
from shared.keys import KeyRecord, Scope
from shared.publish import NotDurable, Overloaded, Record

SLICE: Final = 500
"""Rows judged before live requests get their turn."""
STEP_ASIDE_S: Final = 1.0
_JOB: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

PutHistory = Callable[[Mapping[str, Sequence[Point]]], Awaitable[None]]


class Day(msgspec.Struct, frozen=True, array_like=True):
    """One reconstructed day: `at` is its end (epoch ms), health in milli-points."""

    account: str
    at: int
    health: int | None
    band: Band
    bundle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """What importing stands on beside the ingest: where reconstructed days go for readers."""

    ingest: Ingest
    put_history: PutHistory


def router(histories: Histories) -> APIRouter:
    """Return the routes of an import; all of them may be repeated."""
    routes = APIRouter(prefix="/v1/import", include_in_schema=False)
    ingest = histories.ingest

    @routes.post("/{job}/start")
    async def start(job: str, request: Request) -> Response:
        """Say that a history comes, and again at least every five minutes: its accounts' rules are quiet meanwhile."""
        _allowed(ingest, request, job)
        return await _told(ingest, Import(job=job, state=ImportState.RUNNING, at=clock.now_ms()))

    @routes.post("/{job}/end")
    async def end(job: str, request: Request) -> Response:
        """Say that the history is complete: what is true now was so before, and interrupts nobody."""
        _allowed(ingest, request, job)
        return await _told(ingest, Import(job=job, state=ImportState.ENDED, at=clock.now_ms()))

    @routes.post("/{job}/rows")
    async def rows(job: str, request: Request) -> Response:
        """Take rows in ascending order; 200 once all of them are in Kafka, with those refused named."""
        key = _allowed(ingest, request, job)
        judged = await _judged(ingest, await read_body(request), _job(ingest, job, key))
        await _keep(ingest, judged, source=key.source)
        refused = [_shown(refusal) for refusal in judged.refused]
        return _answer({"accepted": len(judged.events), "rejected": refused})

    @routes.post("/{job}/history")
    async def history(job: str, request: Request) -> Response:
        """Take reconstructed days."""
        _allowed(ingest, request, job)
        days = _days(await read_body(request))
        await _publish(ingest.publisher.publish([_reconstructed(day, job) for day in days]))
        points: dict[str, list[Point]] = {}
        for day in days:
            points.setdefault(day.account, []).append(Point(day.at, day.health, day.band, reconstructed=True))
        try:
            await histories.put_history(points)
        except (RedisError, OSError) as fault:
            raise Refused(503, "unavailable", "redis does not answer; send it again", retry_after_s=5) from fault
        return _answer({"accepted": len(days)})

    return routes


def _allowed(ingest: Ingest, request: Request, job: str) -> KeyRecord:
    check_open(ingest)
    key = ingest.find_key(header_key(request.headers) or "")
    if key is None:
        raise Refused(401, "unauthorized", "the key is missing, unknown or revoked")
    if Scope.IMPORT not in key.scopes:
        remedy = "`churnwatch key create NAME --scope import` makes one that may"
        raise Refused(403, "forbidden", f"this key may not import; {remedy}")
    if not _JOB.fullmatch(job):
        raise Refused(400, "bad_job", "a job's name has 1 to 64 letters, digits, '_' or '-'")
    return key


def _job(ingest: Ingest, job: str, key: KeyRecord) -> Job:
    return Job(id=job, source=key.source, received_ms=clock.now_ms(), hashed=ingest.hashed, known=ingest.known)


async def _judged(ingest: Ingest, body: bytes, job: Job) -> Judged:
    try:
        rows: Sequence[Row | Refusal] = read_rows(body)
    except NotRows as fault:
        raise Refused(400, "not_rows", str(fault)) from None
    judged = Judged()
    for first in range(0, len(rows), SLICE):
        await _step_aside(ingest)
        judge(rows[first : first + SLICE], job, into=judged)
    return judged


async def _step_aside(ingest: Ingest) -> None:
    """Let live requests that are under way be answered first, for a moment."""
    await asyncio.sleep(0)
    if ingest.live.under_way:
        with suppress(TimeoutError):
            await asyncio.wait_for(ingest.live.idle.wait(), STEP_ASIDE_S)


async def _keep(ingest: Ingest, judged: Judged, *, source: str) -> None:
    now = clock.now_ms()
    beside = [
        *(identity_record(user, told) for user, told in judged.learned.items()),
        *(
            letter(refusal.rejection, key=ingest.dead_letter_key, source=source, received_ms=now)
            for refusal in judged.refused
        ),
    ]
    await _publish(ingest.publisher.publish(beside))
    await _publish(ingest.publisher.publish_in_order(EVENTS, judged.events))
    ingest.learn(judged.learned)
    ingest.metrics.imported.labels(ImportOutcome.ACCEPTED).inc(len(judged.events))
    ingest.metrics.imported.labels(ImportOutcome.REJECTED).inc(len(judged.refused))


async def _told(ingest: Ingest, entry: Import) -> Response:
    record = Record(topic=CONTEXT, key=ContextKind.IMPORT.encode(), value=msgspec.json.encode(entry))
    await _publish(ingest.publisher.publish([record]))
    return _answer({"job": entry.job, "state": entry.state})


async def _publish(publishing: Awaitable[None]) -> None:
    try:
        await publishing
    except NotDurable as fault:
        status, code = (429, "overloaded") if isinstance(fault, Overloaded) else (503, "unavailable")
        raise Refused(status, code, str(fault), retry_after_s=fault.retry_after_s) from None


def _days(body: bytes) -> list[Day]:
    try:
        return _DAYS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise Refused(400, "not_days", f"the body is no JSON array of days: {fault}") from None


def _reconstructed(day: Day, job: str) -> Record:
    known = Reconstructed(account=day.account, at=day.at, health=day.health, band=day.band, bundle=day.bundle, job=job)
    return Record(topic=SCORES, key=day.account.encode(), value=msgspec.json.encode(known), at=day.at)


def _shown(refusal: Refusal) -> Mapping[str, object]:
    why = refusal.rejection
    return {"row": refusal.row, "reason": why.reason, "detail": why.detail, "remedy": why.remedy}


def _answer(said: Mapping[str, object]) -> Response:
    return Response(msgspec.json.encode(said), media_type="application/json")


_DAYS: Final = msgspec.json.Decoder(list[Day])
