"""`churnwatch watch`: see what becomes of the events a key sends, and how their accounts stand."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from lab.trouble import Trouble

POLL_S: Final = 1.0
TIMEOUT_S: Final = 5.0
MARK: Final[Mapping[str, str]] = {
    "applied": "✓",
    "accepted": "·",
    "test_accepted": "·",
    "duplicate": "=",
    "moved": ">",
    "excluded": "-",
}


async def watch(*, key: str, url: str = "http://127.0.0.1:8801", once: bool = False) -> None:
    """Show the last events sent with a key, each with its fate and what to do about it, and go on until Ctrl-C.

    Parameters
    ----------
    key
        The write key your product sends with; a test key shows what would become of its events.
    url
        Where the ingest is reached.
    once
        Show what there is and end.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    shown: dict[str, str] = {}
    standing: dict[str, str] = {}
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            found = await _recent(session, url, key=key)
            if not shown:
                print(f"source {found['source']}: the last {len(found['events'])} events")
            for line in news(found, shown=shown, standing=standing):
                print(line, flush=True)
            if once:
                if not found["events"]:
                    print("nothing was sent with this key yet; `churnwatch key create` shows code to paste")
                return
            await asyncio.sleep(POLL_S)


def news(found: Mapping[str, Any], *, shown: dict[str, str], standing: dict[str, str]) -> Iterable[str]:
    """Return a line for each event whose fate is new, oldest first, and for each account that stands differently."""
    for event in reversed(found["events"]):
        if shown.get(event["id"]) != event["fate"]:
            shown[event["id"]] = event["fate"]
            yield event_line(event)
    for account in found["accounts"]:
        line = account_line(account)
        if standing.get(account["account"]) != line:
            standing[account["account"]] = line
            yield line


def event_line(event: Mapping[str, Any]) -> str:
    """Return `12:00:01  ✓ applied  usage Exported  acme`, and why and what to do if something is wrong."""
    at = datetime.fromtimestamp(event["at"] / 1000, UTC)
    what = " ".join(part for part in (event.get("kind"), event.get("name")) if part) or event["id"]
    why = event.get("remedy") or ""
    reason = f"{event['reason']}: " if event.get("reason") else ""
    fate = event["fate"].replace("_", " ")
    shown = f"{at:%H:%M:%S}  {MARK.get(event['fate'], '!')} {fate:<14} {what}  {event.get('account') or ''}".rstrip()
    return f"{shown}  {reason}{why}".rstrip() if why or reason else shown


def account_line(account: Mapping[str, Any]) -> str:
    """Return how an account stands: `acme  unknown: 3 of 14 days of evidence`, or its band and health."""
    name, band = account["account"], account["band"]
    if band is None:
        return f"account {name}: not scored yet"
    if band == "unknown":
        days = f"{account['evidence_days']} of {account['evidence_needed']} days of evidence"
        active = f"{account['active_days']} of {account['active_days_needed']} active days"
        return f"account {name}: unknown: {days}, {active}"
    return f"account {name}: {band} {account['health'] // 1000}"


async def _recent(session: aiohttp.ClientSession, url: str, *, key: str) -> Mapping[str, Any]:
    try:
        async with session.get(f"{url}/v1/events/recent", headers={"Authorization": f"Bearer {key}"}) as answer:
            said: Mapping[str, Any] = await answer.json(content_type=None)
            if answer.status == 200:
                return said
            raise Trouble(f"{url} answers {answer.status}: {said.get('message', '')}")
    except (aiohttp.ClientError, TimeoutError, ValueError) as fault:
        why = str(fault) or type(fault).__name__
        raise Trouble(f"no ingest answers at {url}: {why}; is it up? --url says where") from None
