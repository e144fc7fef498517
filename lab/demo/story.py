"""Press the buttons in turn, as `make demo DEMO_SECONDS=60` does, and wait for what each must lead to."""

import asyncio
from collections.abc import Callable
from typing import Final

from lab.demo.play import WITNESS_AFTER_S, Play
from lab.demo.promises import OPS, alert_of, messages_of
from lab.demo.show import Show
from lab.demo.stage import GUARD_WINDOW_S

PATIENCE_S: Final = 45.0
SETTLE_S: Final = 60.0
POLL_S: Final = 0.25
HOLDS_FOR_S: Final = 4.0
"""How long the outage lasts beyond the witness's deadline."""


async def tell(play: Play, show: Show) -> None:
    """Return when everything happened, or took too long: the promises say which."""
    async with asyncio.TaskGroup() as both:
        both.create_task(_outage(play, show))
        both.create_task(_alerts(play, show))
    await _crash(play, show)


async def settled(show: Show) -> None:
    """Return when everything in the log is scored, with that moment as what was seen; or when it takes too long."""

    def even() -> bool:
        counts = show.seen.counts
        return counts is not None and sum(counts.fates.values()) == counts.log

    await until(even, show, within_s=SETTLE_S)


async def until(holds: Callable[[], bool], show: Show, *, within_s: float) -> bool:
    """Return whether something became true in time, looking at fresh numbers."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                await show.fresh()
                if holds():
                    return True
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return False


async def _alerts(play: Play, show: Show) -> None:
    """See every named customer told of; the first one comes back."""

    def told(account: str) -> bool:
        alert = alert_of(account, show.seen.alerts)
        return alert is not None and bool(messages_of(alert["id"], show.seen.messages))

    for number, placed in enumerate(play.placed):
        account = placed.customer.account
        wait_s = max(0.0, (placed.deadline - play.now_ms()) / 1000) + PATIENCE_S
        if not await until(lambda account=account: told(account), show, within_s=wait_s):  # type: ignore[misc]  # bound now
            continue
        if number == 0:
            play.customer_returns(placed.customer)
    await until(lambda: _resolved(play, show), show, within_s=PATIENCE_S)


def _resolved(play: Play, show: Show) -> bool:
    """Say whether everyone who came back is resolved, and the message says so."""
    for account in play.returned:
        alert = alert_of(account, show.seen.alerts)
        if alert is None:
            continue
        told = messages_of(alert["id"], show.seen.messages)
        if alert["state"] != "resolved" or not any(said["edits"] for said in told):
            return False
    return True


async def _outage(play: Play, show: Show) -> None:
    """Break a product once it sent long enough to be missed; see the incident, restore it, see the incident end."""
    missed_from = (play.traffic.began or play.now_ms()) + GUARD_WINDOW_S * 1000
    await asyncio.sleep(max(0.0, (missed_from - play.now_ms()) / 1000))
    await play.break_source()
    outage = play.outage
    if outage is None:
        return
    await until(lambda: bool(_incidents(show, since=outage.began)), show, within_s=WITNESS_AFTER_S + PATIENCE_S)
    await asyncio.sleep(max(0.0, (outage.deadline - play.now_ms()) / 1000 + HOLDS_FOR_S))
    play.restore()
    await until(lambda: any(_incidents(show, since=outage.began)), show, within_s=PATIENCE_S)


def _incidents(show: Show, *, since: int) -> list[int]:
    """Return the edits of each incident message since a moment."""
    return [
        int(said["edits"])
        for said in show.seen.messages
        if said["name"] == OPS and not said.get("thread_ts") and float(said["ts"]) * 1000 >= since
    ]


async def _crash(play: Play, show: Show) -> None:
    """Kill the scorer and see it back with its state."""
    play.kill_scorer()
    await until(lambda: show.seen.counts is None, show, within_s=5.0)
    await until(lambda: show.seen.counts is not None, show, within_s=SETTLE_S)
    play.say("the scorer is back, with its state")
