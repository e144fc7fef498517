"""Make a process observable: JSON logs, metrics with visible zeros, /healthz, /readyz and /metrics."""

import asyncio
import contextlib
import itertools
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Protocol, Self, TypeVar

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

READY_TIMEOUT_S = 2.0
Ready = Callable[[], Awaitable[Mapping[str, bool]]]


class Labelled(Protocol):
    """A prometheus metric whose children are made on first use."""

    def labels(self, *labelvalues: str) -> Self: ...


def configure_logs(service: str, level: str = "info") -> None:
    """Write every log line of this process, the libraries' included, as one JSON object on stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _with_service(service),
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


M = TypeVar("M", bound=Labelled)


def with_zeros(metric: M, *label_values: Iterable[str]) -> M:
    """Create every combination of label values at start, so that zero is visible; return the metric."""
    for values in itertools.product(*label_values):
        metric.labels(*values)
    return metric


def ops_router(ready: Ready, *, registry: CollectorRegistry = REGISTRY) -> APIRouter:
    """Return /healthz (the loop is alive, nothing else), /readyz (every check true) and /metrics.

    `ready` names each condition and whether it holds; one that takes longer than two seconds, or
    raises, counts as not ready. Slack or SMTP being down is no reason to be not ready.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Mapping[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        checks = await _checks(ready)
        return JSONResponse(dict(checks), status_code=200 if all(checks.values()) else 503)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def serve_ops(ready: Ready, *, host: str, port: int, registry: CollectorRegistry = REGISTRY) -> None:
    """Serve the ops endpoints inside the running event loop until cancelled.

    Raises OSError at once when the port is taken. Leaves signals to the loop's owner (Faust).
    """
    app = FastAPI(openapi_url=None)
    app.include_router(ops_router(ready, registry=registry))
    with socket.create_server((host, port), backlog=64) as listener:
        server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """A uvicorn server that is a guest in the process: it takes no signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _checks(ready: Ready) -> Mapping[str, bool]:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            return await ready()
    except Exception:  # noqa: BLE001  whatever is wrong, the answer is "not ready"
        structlog.get_logger(__name__).warning("readiness_check_failed", exc_info=True)
        return {"readiness_check": False}


def _with_service(service: str) -> structlog.typing.Processor:
    def add(
        _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add
