"""Look at the stack every moment, and keep what was seen for the page and for judging."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from lab.demo.customers import WITNESS
from lab.demo.leavers import Leavers, words_of
from lab.demo.named import Placed
from lab.demo.play import BROKEN, Play
from lab.demo.promises import OPS, Seen, alert_of, lists_of, messages_of
from lab.demo.watch import Watch
from lab.slack_double.page import message_html
from lab.slack_double.workspace import Said, Workspace

EVERY_S: Final = 0.5
LINES: Final = 12
AWAY: Final = (aiohttp.ClientError, TimeoutError, OSError)


class Show:
    """What the page shows: the play, and how things stood when we last looked."""

    def __init__(self, play: Play, watch: Watch, *, leavers: Leavers | None = None) -> None:
        self.play = play
        self.leavers = leavers
        self.seen = Seen(counts=None, alerts=[], messages=[], retried=0)
        self.accounts: dict[str, Mapping[str, Any]] = {}
        self.watch = watch
        self._looking = asyncio.Lock()
        self._scorer_up = False
        self.phase = "starting"

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.fresh()
            await asyncio.sleep(EVERY_S)

    async def fresh(self) -> None:
        """Look now; what can't be seen stays as it was, and counts that can't be had are none."""
        async with self._looking:
            try:
                counts = await self.watch.counts(lambda: self.play.sent)
                self._scorer_up = counts is not None
                alerts, messages = await self.watch.alerts(), await self.watch.messages()
                for placed in self.play.placed:
                    account = placed.customer.account
                    self.accounts[account] = await self.watch.account(account) or self.accounts.get(account, {})
            except AWAY:
                return
            retried = self.play.traffic.retried
            self.seen = Seen(counts=counts, alerts=alerts, messages=messages, retried=retried)

    def state(self) -> Mapping[str, Any]:
        """Return everything the page needs, as JSON may have it."""
        play, counts = self.play, self.seen.counts
        return {
            "now": play.now_ms(),
            "phase": self.phase,
            "named": [self._named(placed) for placed in play.placed],
            "scorer_up": self._scorer_up,
            "outage": self._outage(),
            "kills": len(play.kills),
            "happened": [{"at": line.at, "text": line.text} for line in play.happened[-LINES:]],
            "counts": None
            if counts is None
            else {
                "sent": counts.sent,
                "events": counts.events,
                **{fate: counts.fates[fate] for fate in ("applied", "duplicate", "dead", "moved", "ticks")},
                "log": counts.log,
                "alerts": counts.alerts,
                "messages": counts.messages,
                "repeated": counts.repeated,
                "lists": len(lists_of(self.seen.messages)),
            },
            "leavers": None if self.leavers is None else words_of(self.leavers),
        }

    def _named(self, placed: Placed) -> Mapping[str, Any]:
        customer = placed.customer
        known = self.accounts.get(customer.account, {})
        alert = alert_of(customer.account, self.seen.alerts)
        told = messages_of(alert["id"], self.seen.messages) if alert else []
        return {
            "account": customer.account,
            "name": customer.name,
            "owner": customer.owner,
            "country": customer.country,
            "source": customer.source,
            "worth": f"{customer.currency} {customer.arr:,} a year",
            "health": known.get("health"),
            "band": known.get("band"),
            "deadline": known.get("silence_deadline") or placed.deadline,
            "last_activity": known.get("last_activity"),
            "history": [list(point[:2]) for point in known.get("history", [])],
            "alert": alert["state"] if alert else None,
            "returned": customer.account in self.play.returned,
            "message": self._message(told[0]) if told else None,
            "told_at": float(told[0]["ts"]) * 1000 if told else None,
        }

    def _message(self, said: Mapping[str, Any]) -> str:
        workspace = Workspace(now_s=time.time)
        for placed in self.play.placed:
            workspace.know(placed.customer.owner)
        parts = {name: said[name] for name in ("channel", "ts", "text", "blocks", "metadata", "edits")}
        return message_html(workspace, Said(**parts, posted_at=float(said["ts"])))

    def _outage(self) -> Mapping[str, Any]:
        outage = self.play.outage
        since = outage.began if outage else 0
        incidents = [
            said
            for said in self.seen.messages
            if said["name"] == OPS and not said.get("thread_ts") and float(said["ts"]) * 1000 >= since
        ]
        return {
            "source": BROKEN,
            "broken": BROKEN in self.play.traffic.out,
            "began": outage.began if outage else None,
            "ended": outage.ended if outage else None,
            "witness": WITNESS.name,
            "witness_deadline": outage.deadline if outage else None,
            "witness_alert": alert_of(WITNESS.account, self.seen.alerts) is not None,
            "incidents": len(incidents) if outage else 0,
            "incident": incidents[0]["text"] if outage and incidents else None,
        }
