"""Name the points at which a service is made to die: the one table of what is wrapped, and where.

A point that no longer exists ends the process with EXIT_UNKNOWN_POINT, and the whole run with it: a fault that is
never injected must not look like one that was survived.
"""

import asyncio
import functools
import importlib
import inspect
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from services.scorer.core import chunks

EXIT_UNKNOWN_POINT: Final = 64
DURING_S: Final = 0.003
"""Into a call: about the time one takes on this machine."""


class When(StrEnum):
    """On which side of a call the process dies."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A call of a service; the process dies at one of its first `most` passages. `only` looks at the arguments."""

    service: str
    call: str
    when: When
    most: int = 20
    only: Callable[[Sequence[object]], bool] = lambda _arguments: True


class NoSuchPoint(LookupError):
    """A point names something that the service does not have."""


def _is_marker(arguments: Sequence[object]) -> bool:
    return any(isinstance(value, bytes) and chunks.kind_of(value) == "marker" for value in arguments)


def _is_chunk(arguments: Sequence[object]) -> bool:
    return not _is_marker(arguments)


def _of(
    service: str, **points: tuple[str, When, int] | tuple[str, When, int, Callable[[Sequence[object]], bool]]
) -> Mapping[str, Point]:
    found = {}
    for name, (call, when, most, *only) in points.items():
        given: dict[str, Any] = {"only": only[0]} if only else {}
        found[f"{service}-{name.replace('_', '-')}"] = Point(service=service, call=call, when=when, most=most, **given)
    return found


_SEND: Final = "services.scorer.outputs:KafkaOutputs.send"
_WRITE: Final = "services.scorer.checkpoint:Activity.write"
_TRIM: Final = "services.scorer.checkpoint:Activity.trim"
_COMMIT: Final = "services.scorer.feed:BatchConsumer.commit"
_REDIS: Final = "shared.health_store:HealthStore.write"
_TELL: Final = "services.alerts.channels.slack:SlackChannel.tell"
_PUBLISH: Final = "shared.publish:KafkaPublisher.publish"

POINTS: Final[Mapping[str, Point]] = {
    **_of(
        "scorer",
        read_before_taken=("services.scorer.checkpoint:Activity.read", When.AFTER, 6),
        taken=("services.scorer.loop:Loop.take", When.AFTER, 6),
        folded_before_outputs=("services.scorer.lane:Lane.put", When.AFTER, 40),
        before_outputs=(_SEND, When.BEFORE, 40),
        in_outputs=(_SEND, When.DURING, 40),
        transitions_before_scores=("services.scorer.outputs:KafkaOutputs._send_all", When.AFTER, 40),
        outputs_before_ack=(_SEND, When.AFTER, 40),
        ack_before_commit=(_COMMIT, When.BEFORE, 5),
        in_commit=(_COMMIT, When.DURING, 5),
        after_commit=(_COMMIT, When.AFTER, 5),
        before_redis=(_REDIS, When.BEFORE, 40),
        in_redis=(_REDIS, When.DURING, 40),
        after_redis=(_REDIS, When.AFTER, 40),
        before_chunk=(_WRITE, When.BEFORE, 12, _is_chunk),
        after_chunk=(_WRITE, When.AFTER, 12, _is_chunk),
        chunks_before_marker=(_WRITE, When.BEFORE, 6, _is_marker),
        in_marker=(_WRITE, When.DURING, 6, _is_marker),
        after_marker=(_WRITE, When.AFTER, 6, _is_marker),
        marker_before_trim=(_TRIM, When.BEFORE, 6),
        after_trim=(_TRIM, When.AFTER, 6),
        tick_appended=("services.scorer.ticker:Ticker.turn", When.AFTER, 60),
    ),
    **_of(
        "alerts",
        heard_before_kept=("services.alerts.desk:Desk.hear", When.AFTER, 8),
        in_keep=("services.alerts.desk:Desk.keep", When.DURING, 8),
        kept_before_commit=("services.alerts.desk:Desk.keep", When.AFTER, 8),
        intent_before_call=("services.alerts.desk:Desk.secure", When.AFTER, 8),
        in_call=(_TELL, When.DURING, 8),
        call_before_result=(_TELL, When.AFTER, 8),
        after_result=("services.alerts.desk:Desk.note", When.AFTER, 8),
        before_commit=("aiokafka:AIOKafkaConsumer.commit", When.BEFORE, 4),
        after_commit=("aiokafka:AIOKafkaConsumer.commit", When.AFTER, 4),
    ),
    **_of(
        "ingest",
        before_kafka=(_PUBLISH, When.BEFORE, 20),
        in_kafka=(_PUBLISH, When.DURING, 20),
        kafka_before_answer=(_PUBLISH, When.AFTER, 20),
    ),
}


def points_of(service: str) -> Sequence[str]:
    """Return the names of a service's points."""
    return [name for name, point in POINTS.items() if point.service == service]


def arm_named(name: str, *, number: int) -> None:
    """Arm a point of the table. Raises NoSuchPoint."""
    if name not in POINTS:
        raise NoSuchPoint(name)
    arm(POINTS[name], number=number)


def arm(point: Point, *, number: int, die: Callable[[], None] | None = None) -> None:
    """Wrap the call so that the process dies at its passage of that number. Raises NoSuchPoint."""
    owner, name = _resolved(point.call)
    original = getattr(owner, name)
    passed = _Passages(number, die or _kill_ourselves).passed
    wrapped = _around_coroutine if inspect.iscoroutinefunction(original) else _around_function
    setattr(owner, name, wrapped(original, point, passed))


class _Passages:
    """Count passages and die at one of them."""

    def __init__(self, number: int, die: Callable[[], None]) -> None:
        self._left = number
        self._die = die

    def passed(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._die()


def _resolved(call: str) -> tuple[Any, str]:
    module, _, path = call.partition(":")
    *owners, name = path.split(".")
    try:
        owner = importlib.import_module(module)
        for step in owners:
            owner = getattr(owner, step)
        getattr(owner, name)
    except (ImportError, AttributeError) as fault:
        raise NoSuchPoint(f"{call}: {fault}") from None
    return owner, name


def _around_coroutine(original: Any, point: Point, passed: Callable[[], None]) -> Any:
    @functools.wraps(original)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        counts = point.only((*arguments, *named.values()))
        if counts and point.when is When.BEFORE:
            passed()
        if counts and point.when is When.DURING:
            asyncio.get_running_loop().call_later(DURING_S, passed)
        result = await original(*arguments, **named)
        if counts and point.when is When.AFTER:
            passed()
        return result

    return wrapped


def _around_function(original: Any, point: Point, passed: Callable[[], None]) -> Any:
    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        counts = point.only((*arguments, *named.values()))
        if counts and point.when is When.BEFORE:
            passed()
        result = original(*arguments, **named)
        if counts and point.when is When.AFTER:
            passed()
        return result

    return wrapped


def _kill_ourselves() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
