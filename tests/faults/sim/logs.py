"""Small logs with everything in them that an effect loop could get wrong, and ever more of them by seed."""

import random
from collections.abc import Iterator
from typing import Any

from lab import oracle
from tests.support.log import DAY, HOUR, MINUTE, START, Log

OF = {0: ("acme", "dune"), 1: ("bolt", "cora")}
"""Accounts by the one of two partitions they belong to."""
BANDS = {"healthy": 70000, "watch": 50000, "at_risk": 30000, "margin": 2000}
FAILED: dict[str, Any] = {
    "name": "failed_payment",
    "based_on": "fact",
    "all": [{"feature": "payment_failed_days", "at_most": 30}],
    "severity": "critical",
}
SILENCE: dict[str, Any] = {
    "name": "silence",
    "based_on": "activity",
    "all": [{"feature": "silence", "at_least": 1}],
    "severity": "at_risk",
}


def bundle(version: str, *rules: dict[str, Any], weight: int = 1) -> oracle.Bundle:
    """Return a configuration that knows an account after a day."""
    measures = {
        "recency_days": {"weight": weight, "missing": "exclude", "curve": [[0, 100], [3, 60], [14, 0]]},
        "payment_ok": {"weight": 1, "missing": "neutral", "curve": [[0, 0], [1, 100]]},
        "active_days_28": {"weight": 1, "missing": "exclude", "curve": [[0, 0], [3, 100]]},
    }
    return oracle.Bundle(
        version=version,
        scorecard={
            "key_features": [],
            "evidence": {"days": 1, "active_days": 1},
            "bands": BANDS,
            "dimensions": {"all": {"weight": 1, "measures": measures}},
        },
        rules={"silence": {"alpha_permille": 100}, "rules": list(rules)},
    )


CONTEXTS: oracle.Contexts = {
    0: bundle("b_0", FAILED, SILENCE),
    1: bundle("b_1", SILENCE, weight=3),
    2: bundle("b_2", FAILED | {"severity": "at_risk"}, SILENCE),
}


def failed_and_paid(first: str = "acme", second: str = "dune") -> Log:
    """Let an episode open and end; a retry, a late event and something unreadable come between."""
    log = _log()
    log.event(first, "login", at=START, id="x")
    log.event(second, "billing", at=START + MINUTE, data={"status": "payment_failed"})
    log.tick(START + HOUR)
    log.event(first, "login", at=START, id="x", ts=START + HOUR)
    log.append(b"{", ts=START + HOUR)
    log.event(second, "login", at=START - 3 * DAY, ts=START + HOUR)
    log.tick(START + DAY)
    log.event(second, "billing", at=START + DAY, data={"status": "invoice_paid"})
    log.event(first, "usage", at=START + DAY, id="y")
    log.tick(START + 2 * DAY)
    return log


def silent_and_back(first: str = "acme", second: str = "dune") -> Log:
    """Let silence open by time alone and end with a login; an id comes again within and after its day."""
    log = _log()
    log.event(first, "login", at=START, id="x")
    log.event(second, "login", at=START + MINUTE, id="z")
    log.tick(START + HOUR)
    log.event(first, "login", at=START, id="x", ts=START + 20 * HOUR)
    log.event(first, "login", at=START + 30 * HOUR, id="x")
    log.tick(START + 40 * DAY)
    log.event(first, "login", at=START + 40 * DAY, id="v")
    log.tick(START + 41 * DAY)
    log.event(second, "login", at=START - 60 * DAY, ts=START + 41 * DAY)
    log.event(second, "usage", at=START + 41 * DAY, id="w")
    log.tick(START + 41 * DAY + HOUR)
    return log


def retried(first: str = "acme", second: str = "dune") -> Log:
    """Send most events several times, with ticks between."""
    log = _log()
    log.event(first, "login", at=START, id="x")
    log.event(second, "login", at=START, id="y")
    log.tick(START + HOUR)
    log.event(first, "usage", at=START + HOUR, id="z")
    log.event(first, "login", at=START, id="x", ts=START + HOUR)
    log.event(first, "usage", at=START + HOUR, id="z")
    log.event(second, "usage", at=START + HOUR, id="w")
    log.tick(START + DAY)
    log.event(second, "usage", at=START + HOUR, id="w", ts=START + DAY)
    log.event(first, "usage", at=START + HOUR, id="z", ts=START + DAY)
    log.tick(START + 2 * DAY)
    return log


def rules_change(first: str = "acme", second: str = "dune") -> Log:
    """Let new rules withdraw an episode in the middle, and later ones open it again."""
    log = _log()
    log.event(first, "billing", at=START, data={"status": "payment_failed"})
    log.event(second, "login", at=START, id="x")
    log.tick(START + HOUR)
    log.event(second, "login", at=START + HOUR, id="y")
    log.tick(START + 2 * HOUR, context=1)
    log.event(first, "login", at=START + 2 * HOUR, id="z")
    log.event(second, "login", at=START + HOUR, id="y", ts=START + 3 * HOUR)
    log.tick(START + 30 * DAY, context=2)
    log.tick(START + 30 * DAY + 1, context=2)
    return log


def erased(first: str = "acme", second: str = "dune") -> Log:
    """Erase an account with an open episode, and let it come back; erase a user of another."""
    log = _log()
    log.event(first, "billing", at=START, data={"status": "payment_failed"}, id="x")
    log.event(second, "login", at=START, data={"user": "u"}, id="y")
    log.tick(START + HOUR)
    log.event(first, "erasure", at=START + HOUR, id="e")
    log.event(first, "billing", at=START, data={"status": "payment_failed"}, id="x", ts=START + HOUR)
    log.tick(START + DAY)
    log.event(second, "erasure", at=START + DAY, data={"user": "u"}, id="f")
    log.event(first, "billing", at=START + DAY, data={"status": "payment_failed"}, id="z")
    log.tick(START + 2 * DAY)
    log.event(second, "erasure", at=START + 2 * DAY, id="g")
    log.tick(START + 3 * DAY)
    return log


def both() -> Log:
    """Let something happen in both partitions."""
    log = _log()
    log.event("acme", "login", at=START, id="x")
    log.event("bolt", "billing", at=START, data={"status": "payment_failed"})
    log.tick(START + HOUR)
    log.event("acme", "login", at=START, id="x", ts=START + HOUR)
    log.event("bolt", "login", at=START + HOUR, id="y")
    log.tick(START + DAY, context=1)
    log.event("bolt", "billing", at=START + DAY, data={"status": "invoice_paid"})
    log.tick(START + 40 * DAY, context=2)
    return log


def elsewhere() -> tuple[Log, Log]:
    """Put events into the wrong one of two partitions: one is moved, one was already and is dead."""
    first, second = _log(), _log()
    first.event("acme", "login", at=START, id="x")
    first.tick(START + HOUR)
    second.event("bolt", "login", at=START, id="y")
    second.event("acme", "billing", at=START, data={"status": "payment_failed"}, id="z")
    second.tick(START + HOUR)
    second.event("dune", "login", at=START + HOUR, id="w", moved=True)
    second.tick(START + DAY)
    return first, second


def one_of(seed: int, *, partition: int = 0, length: int = 10) -> Log:
    """Draw a log of about `length` records."""
    rng = random.Random(seed)
    log, now, context = _log(), START, 0
    while len(log.records) < length - 1:
        now += rng.choice((MINUTE, HOUR, HOUR, DAY, 9 * DAY))
        account = rng.choice(OF[partition])
        kind = rng.randrange(10)
        if kind < 4:
            late = rng.choice((0, 0, HOUR, 5 * DAY, 95 * DAY))
            log.event(account, rng.choice(("login", "usage")), at=now - late, ts=now, id=f"i{rng.randrange(5)}")
        elif kind < 6:
            status = rng.choice(("payment_failed", "invoice_paid"))
            log.event(account, "billing", at=now, data={"status": status}, id=f"i{rng.randrange(9)}")
        elif kind < 7:
            log.append(rng.choice((b"{", None)), ts=now)
        else:
            context = min(2, context + rng.choice((0, 0, 1)))
            log.tick(now, context=context)
    log.tick(now + MINUTE, context=context)
    return log


def named() -> Iterator[tuple[str, Log]]:
    """Yield the logs of one partition that people thought of."""
    yield "failed and paid", failed_and_paid()
    yield "retried", retried()
    yield "silent and back", silent_and_back()
    yield "rules change", rules_change()
    yield "erased", erased()


def _log() -> Log:
    log = Log()
    log.contexts = dict(CONTEXTS)
    return log
