"""The demo's promises are judged by counts; each can be broken, and then is named."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lab.demo.customers import NAMED, WITNESS
from lab.demo.named import Placed
from lab.demo.play import Outage
from lab.demo.promises import OPS, Seen, judged
from lab.demo.watch import Counts
from tests.support.log import MINUTE, SECOND, START

FATES = {"applied": 90, "duplicate": 0, "dead": 0, "moved": 0, "ticks": 10}
COUNTS = Counts(sent=90, log=100, fates=FATES, alerts=1, messages=1, repeated=0, dead_letters=0)
SAKURA = Placed(customer=NAMED[0], moments=[START], deadline=START + MINUTE, in_habit=True)


@dataclass
class Played:
    """A play of one customer who came back, one outage and one kill."""

    placed: list[Placed] = field(default_factory=lambda: [SAKURA])
    returned: dict[str, int] = field(default_factory=lambda: {SAKURA.customer.account: START + 2 * MINUTE})
    outage: Outage | None = field(
        default_factory=lambda: Outage(source="flow", began=START, deadline=START + MINUTE, ended=START + 2 * MINUTE)
    )
    kills: list[int] = field(default_factory=lambda: [START + 3 * MINUTE])


def message(alert: str, *, at: int = SAKURA.deadline + SECOND, name: str = "dana", **more: Any) -> dict[str, Any]:
    payload = {"event_payload": {"alert_id": alert}}
    return {"ts": f"{at / 1000:.6f}", "channel": name, "name": name, "edits": 1, "metadata": payload, **more}


INCIDENT = message("no_1", at=START + 30 * SECOND, name=OPS)
LIST = message("no_2", at=START, edits=0)
ALERTS: list[dict[str, Any]] = [{"account": SAKURA.customer.account, "id": "ep_1", "state": "resolved", "reasons": []}]
KEPT = Seen(counts=COUNTS, alerts=ALERTS, messages=[message("ep_1"), INCIDENT, LIST], retried=0)


def saying(*messages: Mapping[str, Any]) -> Seen:
    """Return what is seen when these are the only messages."""
    return replace(KEPT, messages=list(messages))


def broken(seen: Seen) -> list[str]:
    return [promise.name for promise in judged(Played(), seen) if not promise.kept]


def test_all_are_kept_when_everything_went_well() -> None:
    assert broken(KEPT) == []


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("every event answered 200 is in Kafka", replace(KEPT, counts=replace(COUNTS, sent=91))),
        ("every event answered 200 is in Kafka", replace(KEPT, counts=replace(COUNTS, sent=89))),
        ("every record of the log has one fate", replace(KEPT, counts=replace(COUNTS, log=101, sent=91))),
        ("nothing is dead", replace(KEPT, counts=replace(COUNTS, fates={**FATES, "applied": 89, "dead": 1}))),
        ("the scorer works at the end", replace(KEPT, counts=None)),
        ("told in time, once", saying(message("ep_1", at=SAKURA.deadline + MINUTE), INCIDENT, LIST)),
        ("told in time, once", saying(message("ep_1", at=SAKURA.deadline - MINUTE), INCIDENT, LIST)),
        ("told in time, once", saying(INCIDENT, LIST)),
        ("no message is repeated", replace(KEPT, counts=replace(COUNTS, repeated=1))),
        ("no message is repeated", saying(*KEPT.messages, message("ep_2"), message("ep_2"))),
        ("resolves itself", replace(KEPT, alerts=[{**ALERTS[0], "state": "open"}])),
        ("resolves itself", saying(message("ep_1", edits=0), INCIDENT, LIST)),
        ("disturbs nobody", replace(KEPT, alerts=[*ALERTS, {**ALERTS[0], "account": WITNESS.account}])),
        ("exactly one incident", saying(message("ep_1"), LIST)),
        ("says when it is over", saying(message("ep_1"), LIST, {**INCIDENT, "edits": 0})),
        ("one list for each owner", saying(message("ep_1"), INCIDENT)),
        ("one list for each owner", saying(*KEPT.messages, message("no_3"))),
        ("exactly one incident", saying(*KEPT.messages, message("no_3", name=OPS))),
    ],
)
def test_each_can_be_broken_and_is_named(what: str, seen: Seen) -> None:
    assert any(what in name for name in broken(seen)), broken(seen)


def test_a_call_repeated_for_want_of_an_answer_may_lie_twice_in_the_log() -> None:
    assert broken(replace(KEPT, counts=replace(COUNTS, sent=88), retried=2)) == []


def test_thread_replies_are_no_repetitions() -> None:
    reply = message("ep_1", thread_ts="1.0")
    assert broken(saying(*KEPT.messages, reply)) == []
