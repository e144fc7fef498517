"""`churnwatch watch`: see what becomes of the events a key sends, and how their accounts stand."""

import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final

from lab.service import INGEST_URL, Away, Service

POLL_S: Final = 1.0
PATH: Final = "/v1/events/recent"
MARK: Final[Mapping[str, str]] = {
    "applied": "✓",
    "accepted": "·",
    "test_accepted": "·",
    "duplicate": "=",
    "moved": ">",
    "excluded": "-",
}


def watch(*, key: str, url: str = INGEST_URL, once: bool = False) -> None:
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
    ingest = Service(url, key=key)
    shown: dict[str, str] = {}
    standing: dict[str, str] = {}
    first = ingest.get(PATH)
    print(f"source {first['source']}: the last {len(first['events'])} events", flush=True)
    if not first["events"]:
        print("nothing was sent with this key yet; `churnwatch key create` shows code to paste", flush=True)
    found: Mapping[str, Any] | None = first
    with _until_ctrl_c() as over:
        while True:
            for line in news(found, shown=shown, standing=standing) if found else ():
                print(line, flush=True)
            if once or over.wait(POLL_S):
                return
            found = _again(ingest, was_there=found is not None)


@contextmanager
def _until_ctrl_c() -> Iterator[Event]:
    """Yield what Ctrl-C sets: a KeyboardInterrupt that comes up in a destructor is lost. A second one ends at once."""
    over, before = Event(), signal.getsignal(signal.SIGINT)

    def end(*_: object) -> None:
        over.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, end)
    try:
        yield over
    finally:
        signal.signal(signal.SIGINT, before)


def _again(ingest: Service, *, was_there: bool) -> Mapping[str, Any] | None:
    """Return what is new, None while the ingest is away: that is said once, and it may come back."""
    try:
        return ingest.get(PATH)
    except Away as away:
        if was_there:
            print(f"{away}; waiting for it", flush=True)
        return None


def news(found: Mapping[str, Any], *, shown: dict[str, str], standing: dict[str, str]) -> Iterable[str]:
    """Return a line for each event whose fate is new, oldest first, and for each account that stands differently."""
    for event in reversed(found["events"]):
        if shown.get(event["id"]) != event["fate"]:
            shown[event["id"]] = event["fate"]
            yield event_line(event)
    for gone in shown.keys() - {event["id"] for event in found["events"]}:
        del shown[gone]
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
