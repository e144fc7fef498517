"""Judge what the demo promised: by counts of the scorer, of Kafka and of the Slack double, never by looking."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lab.demo.customers import WITNESS
from lab.demo.named import Placed
from lab.demo.play import Outage
from lab.demo.watch import Counts

Said = Mapping[str, Any]
TOLD_WITHIN_S: Final = 10.0
OPS: Final = "#churn-ops"
NOTICE: Final = "no_"
"""How the ids of messages begin that tell of no single account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One promise, whether it was kept, and the numbers by which it is judged."""

    name: str
    kept: bool
    shown: str


class Played(Protocol):
    """What was made to happen: who fell silent, who came back when, the outage, the moments the scorer was killed."""

    placed: list[Placed]
    returned: dict[str, int]
    outage: Outage | None
    kills: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen at the end: the alerts of the API, the messages of Slack, the counts (None: no answer)."""

    counts: Counts | None
    alerts: Sequence[Said]
    messages: Sequence[Said]
    retried: int


def judged(play: Played, seen: Seen) -> list[Promise]:
    """Return every promise the play made."""
    parts = (_counts(play, seen), _lists(seen), _alerts(play, seen), _returns(play, seen), _outage(play, seen))
    return [promise for part in parts for promise in part]


def lists_of(messages: Sequence[Said]) -> list[Said]:
    """Return the lists of what was at risk already: messages about no alert of one account, sent to a person."""
    return [said for said in messages if (alert_id_of(said) or "").startswith(NOTICE) and said["name"] != OPS]


def alert_of(account: str, alerts: Sequence[Said]) -> Said | None:
    """Return the newest alert of an account, None while there is none."""
    return next((alert for alert in alerts if alert["account"] == account), None)


def messages_of(alert_id: str, messages: Sequence[Said]) -> list[Said]:
    """Return the messages that carry an alert's id and are no thread replies."""
    return [said for said in messages if alert_id_of(said) == alert_id and not said.get("thread_ts")]


def alert_id_of(said: Said) -> str | None:
    """Return the alert that a message tells of, by its metadata."""
    found = (said.get("metadata") or {}).get("event_payload", {}).get("alert_id")
    return None if found is None else str(found)


def _counts(play: Played, seen: Seen) -> Iterator[Promise]:
    counts = seen.counts
    if counts is None:
        yield Promise(name="the scorer works at the end", kept=False, shown="it does not answer")
        return
    # a call repeated because its answer was lost may lie in the log twice; the scorer takes it once
    extra = counts.events - counts.sent
    yield Promise(
        name="every event answered 200 is in Kafka",
        kept=0 <= extra <= seen.retried,
        shown=f"{counts.sent:,} sent and answered, {counts.events:,} in the log",
    )
    fates = counts.fates
    yield Promise(
        name="every record of the log has one fate" + (", over the scorer's death" if play.kills else ""),
        kept=sum(fates.values()) == counts.log,
        shown=f"{counts.log:,} = " + " + ".join(f"{count:,} {fate}" for fate, count in fates.items()),
    )
    yield Promise(name="nothing is dead", kept=not fates["dead"] + fates["moved"], shown=f"{fates['dead']} dead")


def _lists(seen: Seen) -> Iterator[Promise]:
    lists = Counter(said["name"] for said in lists_of(seen.messages))
    standing = sum(all(reason["standing"] for reason in alert["reasons"]) for alert in seen.alerts if alert["reasons"])
    yield Promise(
        name="what was at risk already is one list for each owner",
        kept=bool(lists) and max(lists.values()) == 1,
        shown=f"{standing} customers, {lists.total()} lists for {len(lists)} owners",
    )


def _alerts(play: Played, seen: Seen) -> Iterator[Promise]:
    for placed in play.placed:
        alert = alert_of(placed.customer.account, seen.alerts)
        told = messages_of(alert["id"], seen.messages) if alert else []
        late_s = float(told[0]["ts"]) - placed.deadline / 1000 if told else None
        yield Promise(
            name=f"{placed.customer.name}: its owner is told in time, once",
            kept=len(told) == 1 and late_s is not None and -1 <= late_s <= TOLD_WITHIN_S,
            shown=f"{len(told)} messages" + ("" if late_s is None else f", {late_s:.1f} s after the deadline"),
        )
    posts = [(said["channel"], alert_id_of(said)) for said in seen.messages if not said.get("thread_ts")]
    per_alert = Counter(post for post in posts if post[1])
    repeated = sum(count - 1 for count in per_alert.values())
    by_double = 0 if seen.counts is None else seen.counts.repeated
    yield Promise(
        name="no message is repeated" + (", though the scorer was killed" if play.kills else ""),
        kept=repeated == by_double == 0,
        shown=f"{len(per_alert)} messages, {max(repeated, by_double)} repeated",
    )


def _returns(play: Played, seen: Seen) -> Iterator[Promise]:
    for placed in play.placed:
        account = placed.customer.account
        if account not in play.returned:
            continue
        alert = alert_of(account, seen.alerts)
        told = messages_of(alert["id"], seen.messages) if alert else []
        state = alert["state"] if alert else "no alert"
        edits = sum(said["edits"] for said in told)
        yield Promise(
            name=f"{placed.customer.name} is back: its alert resolves itself, its message says so",
            kept=state == "resolved" and len(told) == 1 and edits >= 1,
            shown=f"{state}, {edits} edits of {len(told)} message",
        )


def _outage(play: Played, seen: Seen) -> Iterator[Promise]:
    if play.outage is None:
        return
    began = play.outage.began
    alert = alert_of(WITNESS.account, seen.alerts)
    yield Promise(
        name=f"{play.outage.source} was out: {WITNESS.name}, due meanwhile, disturbs nobody",
        kept=alert is None,
        shown="no alert" if alert is None else f"an alert, {alert['state']}",
    )
    incidents = [said for said in seen.messages if said["name"] == OPS and not said.get("thread_ts")]
    since = [said for said in incidents if float(said["ts"]) * 1000 >= began]
    over = play.outage.ended is None or all(said["edits"] for said in since)
    yield Promise(
        name="the SREs get exactly one incident for it, which says when it is over",
        kept=len(since) == 1 and over,
        shown=f"{len(since)} messages in {OPS}" + ("" if over else ", not over"),
    )
