"""The order of effects of a partition: nothing is acknowledged or called durable before its outputs are."""

import asyncio
from contextlib import suppress

import pytest

from services.scorer.core.step import Outputs
from services.scorer.lane import MOST_WAITING, Decided, Lane
from tests.support.fake_core import batch


class Sink:
    """Outputs that become durable when the test says so."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.gate = asyncio.Semaphore(0)
        self.fault: Exception | None = None

    async def perform(self, decided: Decided) -> None:
        await self.gate.acquire()
        if self.fault:
            raise self.fault
        self.done.append(decided.position)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def decided(position: int, acknowledged: list[int]) -> Decided:
    return Decided(
        batch=batch(position - 1, b"x"),
        outputs=Outputs(),
        position=position,
        acknowledge=lambda: acknowledged.append(position),
    )


async def test_a_batch_is_acknowledged_after_its_outputs_and_in_order() -> None:
    sink, acknowledged = Sink(), list[int]()
    lane = Lane(sink.perform, position=0)
    running = asyncio.create_task(lane.run())
    for position in (1, 2, 3):
        lane.put(decided(position, acknowledged))
    await settled()
    assert (acknowledged, lane.durable) == ([], 0)
    sink.gate.release()
    await settled()
    assert (acknowledged, lane.durable, sink.done) == ([1], 1, [1])
    sink.gate.release()
    sink.gate.release()
    await asyncio.wait_for(lane.until_durable(3), 1)
    assert acknowledged == [1, 2, 3]
    assert lane.oldest is None
    running.cancel()


async def test_a_failed_output_is_raised_and_nothing_is_acknowledged() -> None:
    sink, acknowledged = Sink(), list[int]()
    sink.fault = OSError("broker gone")
    lane = Lane(sink.perform, position=0)
    lane.put(decided(1, acknowledged))
    sink.gate.release()
    with pytest.raises(OSError, match="broker gone"):
        await asyncio.wait_for(lane.run(), 1)
    assert (acknowledged, lane.durable) == ([], 0)


async def test_folding_stops_when_too_much_waits() -> None:
    sink = Sink()
    lane = Lane(sink.perform, position=0)
    for position in range(1, MOST_WAITING + 1):
        await asyncio.wait_for(lane.room(), 1)
        lane.put(decided(position, []))
    with suppress(TimeoutError):
        await asyncio.wait_for(lane.room(), 0.05)
        pytest.fail("there was room")
    running = asyncio.create_task(lane.run())
    sink.gate.release()
    await asyncio.wait_for(lane.room(), 1)
    running.cancel()


async def test_the_age_of_the_oldest_batch_is_known_while_it_waits() -> None:
    lane = Lane(Sink().perform, position=0)
    assert lane.oldest is None
    lane.put(decided(1, []))
    assert lane.oldest is not None
