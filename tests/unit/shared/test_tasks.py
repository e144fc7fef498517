"""A task that loses a cancellation is ended all the same."""

import asyncio

import pytest

from shared import tasks


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)


async def test_a_task_that_loses_a_cancellation_is_asked_again() -> None:
    lost = 0

    async def loses_one() -> None:
        nonlocal lost
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(loses_one())
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.cancel([task]), 5)
    assert (lost, task.cancelled()) == (1, True)


async def test_what_a_task_raised_stays_with_it() -> None:
    async def fails() -> None:
        raise LookupError

    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    await tasks.cancel([task])
    assert isinstance(task.exception(), LookupError)
    await tasks.cancel([])
