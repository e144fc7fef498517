"""A process that was suspended may not act: another may have been elected meanwhile."""

import asyncio

from services.alerts.leader import HEARTBEAT_S, LIMIT_S, SESSION_S, Watch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def kept(watch: Watch) -> asyncio.Task[None]:
    """Start to keep the watch and return once it is kept."""
    task = asyncio.ensure_future(watch.beat())
    await asyncio.sleep(0)
    return task


async def test_a_suspended_process_is_never_sure_again() -> None:
    clock = Clock()
    watch = Watch(clock, limit_s=10)
    beat = await kept(watch)
    clock.now = 10.0
    assert watch.sure()
    clock.now = 10.1
    assert not watch.sure()
    clock.now = 5.0
    assert not watch.sure()
    beat.cancel()


async def test_nobody_is_sure_whose_watch_is_not_kept() -> None:
    assert not Watch(Clock()).sure()


async def test_a_start_that_takes_longer_than_a_session_is_no_suspension() -> None:
    clock = Clock()
    watch = Watch(clock)
    clock.now = 60.0
    beat = await kept(watch)
    assert watch.sure()
    beat.cancel()


def test_a_pause_that_began_before_a_heartbeat_fences_before_the_group_elects() -> None:
    # heartbeat ──(next is due)── pause ──── limit: fenced ── session after the heartbeat: another may be elected
    assert HEARTBEAT_S + LIMIT_S < SESSION_S
