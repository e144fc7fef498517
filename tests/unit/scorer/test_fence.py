"""A process that stood still, or makes no progress, ends itself and says why."""

import asyncio
import time
from typing import Any, NoReturn

import pytest

from services.scorer import fence as fence_module
from services.scorer.fence import Exit, Fence
from tests.support.fake_core import as_any


class Ended:
    """Remember why instead of ending."""

    def __init__(self) -> None:
        self.codes: list[Exit] = []

    def __call__(self, code: Exit, **_fields: object) -> None:
        self.codes.append(code)


def fence(ended: Ended, **oldest: float | None) -> Fence:
    found: dict[str, Any] = {"unacked": None, "recovery": None, **oldest}
    return Fence(
        stall_s=0.5,
        oldest_unacked=lambda: found["unacked"],
        oldest_recovery=lambda: found["recovery"],
        end=as_any(ended),
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence_module, "BEAT_S", 0.01)


async def run_for(watched: Fence, seconds: float) -> None:
    running = asyncio.create_task(watched.run())
    await asyncio.sleep(seconds)
    running.cancel()


async def test_a_loop_that_beats_goes_on() -> None:
    ended = Ended()
    await run_for(fence(ended, unacked=time.monotonic(), recovery=time.monotonic()), 0.1)
    assert ended.codes == []


async def test_a_loop_that_stood_still_may_not_send() -> None:
    ended = Ended()
    watched = fence(ended)
    running = asyncio.create_task(watched.run())
    await asyncio.sleep(0.05)
    time.sleep(0.7)  # noqa: ASYNC251  as SIGSTOP or a swapping machine would
    watched.check()
    assert set(ended.codes) == {Exit.STALLED_LOOP}
    running.cancel()


@pytest.mark.parametrize(
    ("what", "limit_s", "code"),
    [
        ("unacked", fence_module.UNACKED_S, Exit.OLD_BATCH),
        ("recovery", fence_module.RECOVERY_STALLED_S, Exit.STALLED_RECOVERY),
    ],
)
async def test_work_without_progress_ends_the_process(what: str, limit_s: float, code: Exit) -> None:
    ended = Ended()
    await run_for(fence(ended, **{what: time.monotonic() - limit_s - 1}), 0.1)
    assert set(ended.codes) == {code}


async def test_a_request_queued_before_a_long_pause_never_leaves() -> None:
    class Wire:
        """A client that writes requests."""

        def __init__(self) -> None:
            self.written: list[str] = []

        def send(self, request: str) -> None:
            self.written.append(request)

    def end(code: Exit, **_fields: object) -> NoReturn:
        raise SystemExit(code)

    wire, watched = Wire(), Fence(stall_s=0.5, oldest_unacked=lambda: None, oldest_recovery=lambda: None, end=end)
    watched.enclose(wire)
    wire.send("in time")
    watched._last_beat -= 1
    with pytest.raises(SystemExit) as ended:
        wire.send("too late")
    assert (ended.value.code, wire.written) == (Exit.STALLED_LOOP, ["in time"])
