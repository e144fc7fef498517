"""Draw logs for property tests: random junk, and long lives of accounts that random junk would rarely lead to."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from hypothesis import strategies as st

from lab import oracle
from lab.oracle import Bundle
from services.scorer.config import load_bundle
from services.scorer.core.feature_table import FEATURES
from services.scorer.core.medians import COMPARED
from shared.contracts.context import Guard, GuardState, Import, ImportState, SegmentSummary, Summary
from shared.contracts.events import source_of
from tests.support.drawn_rules import drawn_rules
from tests.support.log import DAY, HOUR, MINUTE, SECOND, START, Log

CONFIG = Path(__file__).parents[2] / "config"
ACCOUNTS = ("acme", "b", "アクメ", "x" * 128, "nul\0l", "ends-here")
KINDS = ("login", "usage", "outcome", "ticket", "user", "goal", "override", "erasure", "never.heard of")
AGES = (0, 0, 0, 1, SECOND, HOUR, DAY, 7 * DAY, 8 * DAY, 36 * DAY, 90 * DAY, 91 * DAY, 91 * DAY + 1, 100 * DAY)
AHEAD = (0, 0, 0, 0, 5 * MINUTE, 5 * MINUTE + 1, DAY)
STEPS = (0, 0, 1, SECOND, MINUTE, HOUR, 5 * HOUR, DAY, DAY, 7 * DAY, 30 * DAY)
NEVER_AN_EVENT: Sequence[bytes | None] = (
    None,
    b"",
    b"\xff\xfe",
    b"[1]",
    b'"text"',
    b"{} {}",
    b'{"type": NaN}',
    b'{"type":"churn.login.v1","id":"\\ud800"}',
    b'{"a":"\xff"}',
    b'{"a":01}',
    b'\xef\xbb\xbf{"type":"churn.login.v1"}',
    b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"type":5}',
    b'{"type":"churn..v1"}',
    b'{"type":"churn.login.v"}',
    b'{"type":"churn.login.v1 "}',
    b'{"type":"churn.' + b"k" * 101 + b'.v1"}',
    b'{"type":"churn.login.v2"}',
    b'{"type":"churn.login.v01"}',
    b'{"type":"churn.tick.v9"}',
    b'{"type":"churn.tick.v1"}',
    b'{"type":"churn.tick.v1","time":"2026-03-02T00:00:00Z","data":{"context":-2}}',
    b'{"type":"churn.tick.v1","time":"2026-03-02T00:00:00Z","data":{"context":1.0}}',
    b'{"type":"churn.tick.v1","time":"2026-03-02T00:00:00Z","data":{"context":true}}',
    b'{"type":"churn.tick.v1","time":"2026-03-02","data":{"context":0}}',
    b'{"type":"churn.tick.v1","time":"2026-03-02T00:00:00Z","data":[]}',
)
VALID: dict[str, Any] = {
    "specversion": "1.0",
    "id": "v",
    "source": "/sources/app",
    "type": "churn.login.v1",
    "subject": "acme",
    "time": "2026-03-02T00:00:00.000Z",
    "data": {},
}
ODD: Mapping[str, Sequence[Any]] = {
    "specversion": ["1.0", "0.3", None, 1.0],
    "id": ["", "x" * 256, "x" * 257, "é" * 256, None, 5],
    "source": ["", "x" * 256, "x" * 257, None, []],
    "type": ["churn.usage.v1", "churn." + "é" * 100 + ".v1", "churn.a.b.v1", "churn.x\n.v1", "churn.v1", "churn.v1.v1"],
    "subject": ["", "é" * 64, "é" * 65, "x" * 129, None, 7],
    "time": [
        "2026-03-02T00:00:00Z",
        "2026-03-02T09:00:00.123456789+09:00",
        "2026-03-02 00:00:00.5Z",
        "2026-03-02t00:00:00z",
        "2026-03-02T00:00:00",
        "2026-03-02",
        "2026-02-30T00:00:00Z",
        "2026-03-02T00:00:00,25+00:00",
        "2026-03-02T00:00:60Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00.000+01:00",
        "1969-12-31T23:30:00-01:00",
        "2199-12-31T23:59:59.999Z",
        "2026-W10-1T00:00:00+00:00",
        "2026-03-02T00:00:00.000-00:00",
        "2026-03-02T00:00:00.9999Z",
        "٢٠٢٦-03-02T00:00:00.000Z",
        None,
        1_772_409_600_000,
    ],
    "data": [
        None,
        [],
        "x",
        {"user": None, "name": None},
        {"user": 5},
        {"name": {}},
        {"user": "", "name": ""},
        {"x": 1e300, "y": 10**40, "z": [[{}]]},
    ],
}


EXPORTED: dict[str, Any] = {
    "name": "exported",
    "all_of": [{"event": "Export", "users": 2}],
    "any_of": [{"event": "Outcome Achieved"}, {"event": "never.heard of", "users": 3}],
    "within": {"days": 10},
}
RETURNED: dict[str, Any] = {
    "name": "returned",
    "any_of": [{"event": "Report"}],
    "within": {"days": 60, "of": "account"},
}
STARTED: list[dict[str, Any]] = [
    {"name": "started", "all_of": [{"event": "Signed In", "users": 2}], "within": {"days": 3}},
    {"name": "synced", "any_of": [{"event": "Sync", "users": 2}, {"event": "Sync"}], "within": {"days": 0}},
]
AGREED: dict[str, Any] = {"name": "agreed", "asserted": True, "within": {"days": 5}}
METRICS = ("Export", "Outcome Achieved", "Signed In")
MILESTONES = ("exported", "started", "agreed", "unheard of", "", None)


def shipped() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the shipped scorecard and rules, parsed."""
    return (
        yaml.safe_load((CONFIG / "scorecard.yaml").read_text("utf-8")),
        yaml.safe_load((CONFIG / "rules.yaml").read_text("utf-8")),
    )


def bundles(rng: random.Random | None = None) -> dict[int, Bundle]:
    """Return configurations by context offset: shipped, quick with odd corners, no rules, with every feature.

    With `rng` the odd corners have some drawn rules besides.
    """
    scorecard, rules = shipped()
    by_name = {rule["name"]: rule for rule in rules["rules"]}
    quick: dict[str, Any] = {
        "key_features": ["Export", "never.heard of", ""],
        "signals": {
            "automation": ["Sync"],
            "automation_sources": ["web"],
            "exports": ["Report"],
            "admin": ["Configure", "Invite"],
            "errors": ["Oops"],
        },
        "evidence": {"days": 2, "active_days": 1},
        "bands": {"healthy": 80_000, "watch": 60_000, "at_risk": 20_000, "margin": 5_000},
        "dimensions": {
            "adoption": {
                "weight": 7,
                "measures": {
                    "features_used": {"weight": 3, "missing": "zero", "curve": [[0, 10], [333, 77], [1000, 100]]},
                    "seats_used": {"weight": 1, "missing": "neutral", "curve": [[500, 40]]},
                    "users_28": {"weight": 2, "missing": "exclude", "curve": [[0, 0], [3, 100]]},
                },
            },
            "mood": {
                "weight": 3,
                "measures": {
                    "nps": {"weight": 1, "missing": "exclude", "curve": [[0, 0], [7, 33], [10, 100]]},
                    "csat": {"weight": 2, "missing": "exclude", "curve": [[1, 0], [5, 100]]},
                    "usage_change": {"weight": 1, "missing": "neutral", "curve": [[-1000, 0], [0, 91], [3000, 13]]},
                    "payment_failed_days": {"weight": 1, "missing": "exclude", "curve": [[0, 50], [30, 0]]},
                },
            },
        },
    }
    told = {name for dimension in quick["dimensions"].values() for name in dimension["measures"]}
    others = [
        *FEATURES,
        "adoption:Export",
        "use_28:Export",
        "adoption:never.heard of",
        "use_28:never.heard of",
    ]
    anything = {"weight": 1, "missing": "exclude", "curve": [[-2000, 0], [0, 41], [7, 50], [2000, 100]]}
    quick["stages"] = {"onboarding_days": 20, "renewal_days": 30}
    quick["scorecards"] = {
        "young": {
            "dimensions": {"mood": {**quick["dimensions"]["mood"], "weight": 9}, "use": quick["dimensions"]["adoption"]}
        },
        "small": {"dimensions": {"all": {"weight": 1, "measures": {"recency_days": anything}}}},
    }
    quick["use"] = [
        {"segments": ["smb"], "stages": ["trial", "renewal", "handover"], "scorecard": "small"},
        {"stages": ["onboarding"], "scorecard": "young"},
        {"segments": ["", "enterprise"], "stages": ["renewal"], "scorecard": "small"},
    ]
    journey: dict[str, Any] = {
        "stages": [
            {"name": "adoption", "goal": "Used every week", "milestones": [EXPORTED, RETURNED]},
            {"name": "onboarding", "goal": "In use", "contact": "eve@example.org", "milestones": STARTED},
            {"name": "handover", "goal": "Known to the team"},
            {"name": "renewal", "goal": "Worth it", "channel": "#renewals", "milestones": [AGREED]},
        ]
    }
    everything = {"weight": 2, "measures": {name: anything for name in others if name not in told}}
    whole = {**quick, "dimensions": {**quick["dimensions"], "everything": everything}}

    odd: dict[str, Any] = {
        "silence": {"alpha_permille": 300},
        "rules": [
            {**by_name["silence"], "severity": "critical"},
            {
                "name": "quiet_and_unhappy",
                "based_on": "activity",
                "all": [
                    {"feature": "silence", "at_least": 1},
                    {"feature": "nps", "at_most": 8, "leave": 9},
                    {"feature": "recency_days", "at_least": 2, "leave": 1},
                ],
                "severity": "at_risk",
            },
            {
                **by_name["usage_drop"],
                "minimum": [{"feature": "tenure_days", "at_least": 15}],
                "all": [{"feature": "usage_change", "at_most": -200, "leave": 0}],
                "critical": [{"feature": "usage_change", "at_most": -600, "leave": -300}],
            },
            by_name["failed_payment"],
            {
                "name": "few_users",
                "based_on": "fact",
                "all": [{"feature": "users_28", "at_most": 1, "leave": 2}],
                "critical": [{"feature": "users_28", "at_most": 0}, {"feature": "csat", "at_most": 3, "leave": 4}],
                "severity": "at_risk",
                "playbook": "few",
            },
            {
                "name": "goal",
                "based_on": "activity",
                "all": [
                    {"feature": "goal_pace", "at_most": 500, "leave": 900},
                    {"feature": "goal_shortfall", "at_least": 500, "leave": -500},
                ],
                "minimum": [{"feature": "goal_days", "at_least": 3}],
                "critical": [{"feature": "goal_behind_days", "at_least": 30, "leave": 10}],
                "severity": "at_risk",
            },
            {
                "name": "behind",
                "based_on": "fact",
                "all": [{"feature": "milestones_overdue", "at_least": 1}],
                "critical": [{"feature": "milestone_overdue_days", "at_least": 9, "leave": 3}],
                "severity": "at_risk",
            },
        ],
    }
    if rng is not None:
        odd["rules"] += drawn_rules(rng, scorecard=quick)
    return {
        0: Bundle(version="b_shipped", scorecard=scorecard, rules=rules),
        3: Bundle(version="b_quick", scorecard=quick, rules=odd, journey=journey, calendars=calendars()),
        7: Bundle(version="b_no_rules", scorecard=scorecard, rules={**rules, "rules": []}, calendars=MOON),
        10: Bundle(version="b_everything", scorecard=whole, rules=odd, journey=journey, calendars=calendars()),
    }


ZONES = ("Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "Pacific/Niue", "Asia/Kathmandu", "Mars/Olympus", "")
COUNTRIES = ("JP", "us", "DE", "SA", "XX", "Japan", "")
CLOSURES: tuple[list[dict[str, str]] | None, ...] = (
    [],
    [{"from": "2026-03-02", "to": "2026-03-04"}, {"from": "2026-03-04", "to": "2026-03-03"}],
    [{"from": "0001-01-01", "to": "9999-12-31"}],
    [{"from": "2026-02-30", "to": "2026-03-01"}],
    [{"from": "2026-03-01"}],
    None,
)
MOON: dict[str, Any] = {
    "first_day": 20_500,
    "days": 60,
    "default_timezone": "Mars/Olympus",
    "default_country": "JP",
    "zones": [{"names": ["Mars/Olympus"], "at": [START + 20 * DAY], "minutes": [-90, 721]}],
    "countries": {
        "JP": {"weekend": [0, 1, 2, 3, 4, 5, 6], "off": [0, 1, 30, 1, 5, 100]},
        "XX": {"weekend": [], "off": []},
    },
}
"""A calendar of few days, on which every day is one of a weekend."""


@cache
def calendars() -> dict[str, Any]:
    """Return the tables of the shipped calendars."""
    tables: dict[str, Any] = msgspec.json.decode(load_bundle(CONFIG, year=2026).config)["calendars"]
    tables["zones"] = [zone for zone in tables["zones"] if set(zone["names"]) & set(ZONES)]
    tables["countries"] = {code: tables["countries"][code] for code in ("JP", "US", "DE", "SA")}
    return tables


def junk_logs() -> st.SearchStrategy[Log]:
    """Draw short logs in which anything may happen: duplicates, late, future, foreign, unreadable, disordered."""
    return st.builds(junk_log, st.integers(0, 2**32).map(random.Random), length=st.integers(1, 120))


def junk_log(rng: random.Random, *, length: int) -> Log:
    log, now = Log(), START + 40 * DAY
    log.contexts = {**bundles(rng), **junk_entries(rng, now)}
    for _ in range(length):
        now += rng.choice(STEPS)
        act = rng.random()
        if act < 0.2:
            at = now + rng.choice((0, 0, 0, -HOUR, -DAY, 5 * SECOND, 5 * SECOND + 1))
            log.tick(at, context=rng.choice(CONTEXTS), ts=now)
        elif act < 0.3:
            log.append(odd_value(rng), ts=now)
        else:
            any_event(log, rng, now)
    log.tick(now + 1, context=rng.choice(CONTEXTS), ts=now)
    return log


CONTEXTS = (-1, 0, 0, 0, 2, 3, 3, 3, 3, 6, 7, 9)


JOBS = ("i_a", "i_b", "i_c")
SOURCES = ("app", "web")


def junk_entries(rng: random.Random, now: int) -> dict[int, Bundle | Import | Guard]:
    """Return what the context topic says of imports and sources between the bundles, at moments near `now`."""
    found: dict[int, Bundle | Import | Guard] = {}
    for offset in rng.sample((1, 2, 4, 5, 6, 8, 9), rng.randrange(5)):
        at = now + rng.choice((0, MINUTE, 10 * MINUTE, HOUR, 4 * HOUR, DAY, 3 * DAY))
        if rng.random() < 0.5:
            state = rng.choice((ImportState.RUNNING, ImportState.RUNNING, ImportState.ENDED))
            found[offset] = Import(job=rng.choice(JOBS), state=state, at=at)
        else:
            held = rng.choice((GuardState.HELD, GuardState.HELD, GuardState.OVER))
            where = rng.choice(([0], [0, 1, 2], [1]))
            found[offset] = Guard(source=source_of(rng.choice(SOURCES)), partitions=where, state=held, at=at)
    return found


def odd_value(rng: random.Random) -> bytes | None:
    """Return a value that is no event, or an event with one odd member, or several."""
    if rng.random() < 0.5:
        return rng.choice(NEVER_AN_EVENT)
    value = dict(VALID)
    for name in rng.sample(sorted(ODD), rng.choice((1, 1, 2))):
        value[name] = rng.choice(ODD[name])
    if rng.random() < 0.2:
        del value[rng.choice(sorted(value))]
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode()


def any_event(log: Log, rng: random.Random, now: int) -> None:
    """Append an event of any kind, with an id that may have been used before."""
    kind, data = FACTS[rng.randrange(len(FACTS))](rng) if rng.random() < 0.3 else (rng.choice(KINDS), _activity(rng))
    at = max(0, now - rng.choice(AGES) + rng.choice(AHEAD) - rng.choice((0, 0, rng.randrange(DAY))))
    log.event(
        rng.choice(ACCOUNTS[:3]) if rng.random() < 0.8 else rng.choice(ACCOUNTS),
        kind,
        at=at,
        data=data,
        id=f"i{rng.randrange(40)}" if rng.random() < 0.4 else None,
        ts=max(0, now - rng.choice((0, 0, 0, 1, MINUTE, HOUR))),
        source=rng.choice(("app", "app", "web")),
        moved=rng.random() < 0.1,
        imported=_imported(rng),
    )


def _imported(rng: random.Random) -> tuple[object, object] | None:
    if rng.random() < 0.7:
        return None
    if rng.random() < 0.1:
        return rng.choice((None, "", "j" * 64, "j" * 65, 5)), rng.choice(
            (None, 0, -1, 2**53 - 1, 2**53, 1.0, "1", True)
        )
    return rng.choice(JOBS), rng.randrange(40)


def _activity(rng: random.Random) -> dict[str, object]:
    data: dict[str, object] = {}
    if rng.random() < 0.7:
        data["user"] = rng.choice(("u1", "u2", "u3", "", None))
    if rng.random() < 0.7:
        data["name"] = rng.choice(
            ("Export", "Report", "Sync", "Configure", "Oops", "", "never.heard of", "\0export", None)
        )
    return data


def _account_fact(rng: random.Random) -> tuple[str, dict[str, object]]:
    fields: dict[str, Callable[[], object]] = {
        "seats": lambda: rng.choice((0, -1, 1, 2, 10, 2**53 - 1, 2**53, None, 1.5)),
        "owner": lambda: rng.choice(("eve@example.org", "", None)),
        "arr": lambda: rng.choice((0, 12_000, None, "x")),
        "deleted": lambda: rng.choice((True, False, False, None, 0)),
        "name": lambda: rng.choice(("Acme", "アクメ", None)),
        "segment": lambda: rng.choice(("smb", "enterprise")),
        "renewal_date": lambda: rng.choice(("2026-06-30", "2026-02-30", "20260630", "2026-6-30", "1970-01-01", "soon")),
        "trial": lambda: rng.choice((True, False)),
        "stage": lambda: rng.choice(("handover", "adoption", "renewal", "")),
        "unheard": lambda: [1],
        "timezone": lambda: rng.choice(ZONES),
        "country": lambda: rng.choice(COUNTRIES),
        "closures": lambda: rng.choice(CLOSURES),
    }
    weights = rng.sample(sorted(fields), rng.randrange(4))
    return "account", {name: fields[name]() for name in weights}


def _judged(rng: random.Random, points: str) -> dict[str, object]:
    """Return a sentiment or an override by somebody: good for some time, lifted, or odd."""
    data: dict[str, object] = {
        points: rng.choice((0, 30, 77, 100, 101, -1, None, "5")),
        "by": rng.choice(("eve", "eve", "")),
    }
    until = {"until": rng.choice(("2026-04-12", "2026-04-13", "2026-05-31", "2026-02-30", "soon"))}
    return data | rng.choice((until, until, {}, {"reason": "new champion"}))


def _goal(rng: random.Random) -> dict[str, object]:
    """Return a goal for something that is counted or not, in a term that is short, long, or odd."""
    dues = ("2026-04-12", "2026-05-01", "2026-05-31", "2026-06-20", "2027-06-20", "2026-02-30", None)
    return {
        "name": rng.choice(("faster", None)),
        "kind": rng.choice(("cost_saved", "other", None, "cost_saved", "odd")),
        "target": rng.choice((1000, 20_000, 100_000, 700, 2**53 - 1, 0, None)),
        "due": rng.choice(dues),
        "metric": rng.choice((*METRICS, "", "Report", None)),
    }


def _place(rng: random.Random) -> dict[str, object]:
    place: dict[str, object] = {"timezone": rng.choice(ZONES), "country": rng.choice(COUNTRIES)}
    if rng.random() < 0.3:
        first = date(2026, 3, 2) + timedelta(days=rng.randrange(150))
        last = first + timedelta(days=rng.choice((-1, 0, 4, 40)))
        place["closures"] = [{"from": first.isoformat(), "to": last.isoformat()}]
    return {name: value for name, value in place.items() if rng.random() < 0.7}


def _erased(rng: random.Random) -> dict[str, object]:
    return {} if rng.random() < 0.3 else {"user": rng.choice(("u1", "u2", None, "", 5))}


FACTS: Sequence[Callable[[random.Random], tuple[str, dict[str, object]]]] = (
    _account_fact,
    lambda rng: ("billing", {"status": rng.choice(("payment_failed", "invoice_paid", "payment_failed", "odd"))}),
    lambda rng: (
        "survey",
        {"kind": rng.choice(("nps", "csat", "ces", "odd")), "score": rng.choice((0, 3, 6, 7, 9, 10, -(2**53), "5"))},
    ),
    lambda rng: (
        "subscription",
        {"status": rng.choice(("started", "renewed", "notice_given", "cancelled", "changed", "")), "mrr": 5},
    ),
    lambda rng: ("user", {"user": rng.choice(("u1", None)), "removed": rng.choice((True, True, False, None, 1))}),
    lambda rng: ("sentiment", _judged(rng, "score")),
    lambda rng: ("override", _judged(rng, "health")),
    lambda rng: ("goal", _goal(rng)),
    lambda rng: ("milestone", {"name": rng.choice(MILESTONES), "by": "eve"}),
    lambda rng: ("erasure", _erased(rng)),
)
"""The last one is not among what happens in lives: there the order of arrival may make no difference."""


def lives() -> st.SearchStrategy[Log]:
    """Draw months of one or two accounts with a rhythm: stop, drop, return, be late, pay or not, be told of late.

    Ticks come at any hour, bundles change now and then.
    """
    return st.builds(
        lives_log, st.integers(0, 2**32).map(random.Random), days=st.one_of(st.integers(5, 150), st.integers(85, 110))
    )


def lives_log(rng: random.Random, *, days: int) -> Log:
    happenings = [h for account in rng.sample(ACCOUNTS, rng.choice((1, 1, 2))) for h in _life(rng, account, days)]
    context, log = rng.choice((0, 3, 13)), Log()
    log.contexts = {**bundles(rng), **guards_of(rng, days), **summaries_of(rng, days)}
    end = START + (days + 1) * DAY
    ticks = [rng.randrange(START, end) for _ in range(rng.choice((5, 30, 2 * days)))]
    moments = sorted([(ts, 0, n) for n, (ts, *_) in enumerate(happenings)] + [(t, 1, 0) for t in ticks])
    for ts, is_tick, n in moments:
        if is_tick:
            context = rng.choice((0, 3, 7, 10, 11, 12, 13)) if rng.random() < 0.03 else context
            log.tick(ts, context=known(log, context, at=ts))
        else:
            _, account, kind, at, data = happenings[n]
            log.event(account, kind, at=at, ts=ts, data=data, source=rng.choice(("app", "app", "app", "web")))
    log.tick(end, context=context)
    return log


def known(log: Log, context: int, *, at: int) -> int:
    """Return the offset a tick at `at` names: the bundle `context`, or a guard or import that came since."""
    since = [
        offset
        for offset, entry in log.contexts.items()
        if context < offset < context + 3 and isinstance(entry, Guard | Import) and entry.at <= at
    ]
    return max([context, *since])


def summaries_of(rng: random.Random, days: int) -> dict[int, oracle.Entry]:
    """Return what partitions told of their segments, some of it before a move."""
    found: dict[int, oracle.Entry] = {}
    for offset in rng.sample((11, 12, 13), rng.randrange(4)):
        segments = [
            SegmentSummary(segment=name, accounts=9, histograms={of: _histogram(rng) for of in (*COMPARED, "usage_7")})
            for name in rng.sample(("", "smb", "enterprise", "other"), 3)
        ]
        at = START + rng.randrange(days * DAY)
        where, of = rng.randrange(2), rng.choice((2, 2, 4))
        found[offset] = Summary(partition=where, partitions=of, day=at // DAY, at=at, segments=segments)
    return found


def _histogram(rng: random.Random) -> list[int]:
    return [rng.choice((0, 0, 1, 5)) for _ in range(rng.choice((0, 1, 4, 29)))]


def guards_of(rng: random.Random, days: int) -> dict[int, oracle.Entry]:
    """Return up to two spans in which a source, or a name of it, is held: ended by an entry, or by four hours."""
    found: dict[int, oracle.Entry] = {}
    for first in rng.sample((0, 3), rng.randrange(3)):
        source, at = source_of(rng.choice(SOURCES)), START + rng.randrange(days * DAY)
        over = at + rng.choice((MINUTE, 3 * HOUR, DAY))
        name = rng.choice((None, None, "login"))
        held = Guard(source=source, event=name, partitions=list(range(12)), state=GuardState.HELD, at=at)
        found |= {first + 1: held, first + 2: msgspec.structs.replace(held, state=GuardState.OVER, at=over)}
    return found


def imported_lives() -> st.SearchStrategy[Log]:
    """Draw lives whose first part comes later, at once, as a history: announced or not, repeated, given up, resumed."""
    return st.builds(imported_log, st.integers(0, 2**32).map(random.Random), days=st.integers(30, 130))


def imported_log(rng: random.Random, *, days: int) -> Log:
    # lived:     |--- before X: rows of a history ---|--- after X: live ---|
    # received:                                      X rows... rows again   live ...
    happenings = sorted(h for account in rng.sample(ACCOUNTS, rng.choice((1, 2))) for h in _life(rng, account, days))
    x, log = START + days * DAY * rng.choice((5, 7, 9)) // 10, Log()
    bundle = rng.choice((0, 3))
    span = rng.choice((MINUTE, 9 * MINUTE, 30 * MINUTE))
    began = Import(job="i_1", state=ImportState.RUNNING, at=x - rng.choice((0, MINUTE)))
    ended = Import(job="i_1", state=ImportState.ENDED, at=x + span)
    again = Import(job="i_1", state=rng.choice((ImportState.RUNNING, ImportState.ENDED)), at=x + span + MINUTE)
    log.contexts = {
        **bundles(rng),
        **dict(rng.choice(([], [(4, began)], [(4, began), (5, ended)], [(4, began), (6, again)]))),
    }
    past = [h for h in happenings if h[3] < x]
    log.tick(x - HOUR, context=bundle)
    rows = [*enumerate(past), *(enumerate(past) if rng.random() < 0.3 else ())]
    for n, (row, (_, account, kind, at, data)) in enumerate(rows):
        ts = x + span * n // len(rows)
        at -= 400 * DAY if rng.random() < 0.03 else 0  # noqa: PLW2901  some rows lie before every window
        log.event(account, kind, at=at, ts=ts, data=data, imported=("i_1", row), source=rng.choice(SOURCES))
        if rng.random() < 0.02:
            log.tick(ts, context=max(bundle, 4))
    live = [(ts, account, kind, at, data) for ts, account, kind, at, data in happenings if at >= x]
    ticks = sorted(rng.randrange(x + span, START + (days + 2) * DAY) for _ in range(rng.choice((4, 30))))
    moments = sorted([(max(ts, x + span), 0, n) for n, (ts, *_) in enumerate(live)] + [(t, 1, 0) for t in ticks])
    for ts, is_tick, n in moments:
        if is_tick:
            log.tick(ts, context=rng.choice((4, 5, 6, 6)))
        else:
            _, account, kind, at, data = live[n]
            log.event(account, kind, at=at, ts=ts, data=data)
    return log


Happening = tuple[int, str, str, int, dict[str, object]]


def _life(rng: random.Random, account: str, days: int) -> list[Happening]:
    """Return (received, account, kind, occurred, data) of one account's life."""
    weekdays = set(rng.sample(range(7), rng.choice((1, 3, 5, 5, 5, 7))))
    hours = rng.sample(range(24), rng.choice((1, 2, 8)))
    volume, calm = rng.choice((1, 1, 3, 10)), rng.choice((0.0, 0.1, 0.5))
    stops = rng.choice((days, days * 2 // 3, days // 2))
    returns = stops + rng.choice((1, 3, 10, 30, 1000))
    drops = rng.choice((days, days // 2, days * 3 // 4))
    told_late = rng.choice((0, 0, MINUTE, 3 * HOUR, 4 * DAY, 30 * DAY))
    users = [f"u{n}" for n in range(rng.choice((1, 3, 40)))]
    facts: dict[str, object] = {"seats": rng.choice((1, 5, 50)), "owner": "o@x"}
    if rng.random() < 0.5:
        facts |= {
            "segment": rng.choice(("smb", "enterprise")),
            "renewal_date": rng.choice(("2026-05-01", "2026-07-01")),
        }
    found: list[Happening] = [(START, account, "account", START, facts | _place(rng))]
    for day in range(days):
        if day % 7 not in weekdays or stops <= day < returns or rng.random() < calm:
            continue
        for _ in range(max(1, volume // 5) if day >= drops else volume):
            at = START + day * DAY + rng.choice(hours) * HOUR + rng.randrange(HOUR)
            late = rng.randrange(told_late) if told_late and rng.random() < 0.1 else 0
            kind = rng.choice(("login", "login", "usage", "usage", "usage", "usage", "outcome", "ticket"))
            names = ("Export", "Export", "Export", "Report", "Sync", "Configure", "Oops", "never.heard of")
            data: dict[str, object] = {"user": rng.choice(users), "name": rng.choice(names)}
            if rng.random() < 0.02:
                kind = rng.choice(("user", "override", "sentiment"))
                data = {"user": rng.choice(users), "removed": True, "by": "eve", "until": "2026-05-05"}
                data |= {"health": rng.choice((20, 90, None)), "score": rng.choice((10, 80))}
            found.append((at + late, account, kind, at, data))
    if rng.random() < 0.5:  # an answer given early and never again: it must stop to count on its 91st day
        at = START + rng.randrange(5 * DAY)
        found.append((at, account, "survey", at, {"kind": rng.choice(("nps", "csat")), "score": rng.choice((2, 5, 8))}))
    if rng.random() < 0.4:
        at, due = START + rng.randrange(days * DAY), rng.choice(("2026-04-20", "2026-05-25", "2026-06-28"))
        goal = {"target": 1000 * rng.choice((5, 20, 90, 400)), "due": due, "metric": rng.choice(METRICS)}
        found.append((at + rng.choice((0, 0, 3 * DAY)), account, "goal", at, goal))
    for _ in range(rng.choice((0, 0, 2, 6))):
        at = START + rng.randrange(days * DAY)
        kind, facts = FACTS[rng.randrange(1, len(FACTS) - 1)](rng)
        found.append((at + rng.choice((0, HOUR, 5 * DAY, 40 * DAY)), account, kind, at, facts))
    return found


def erased_lives() -> st.SearchStrategy[Log]:
    """Draw lives in which accounts or users are erased, some of what was sent before comes again, and life goes on."""
    return st.builds(erased_log, st.one_of(lives(), imported_lives()), st.integers(0, 2**32).map(random.Random))


def erased_log(drawn: Log, rng: random.Random) -> Log:
    # drawn:  |----------------------------------------|
    # log:    |--------|E|---|again|----|E|--|again|----|tick
    log, sent = Log(), list[tuple[bytes | None, str]]()
    log.contexts = dict(drawn.contexts)
    moments = set(rng.sample(range(len(drawn.records)), min(len(drawn.records), rng.choice((1, 2, 4)))))
    again: list[tuple[bytes | None, str]] = []
    for n, (record, account) in enumerate(zip(drawn.records, drawn.accounts, strict=True)):
        log.append(record.value, ts=record.ts, account=account)
        if account is not None:
            sent.append((record.value, account))
        if n in moments and sent:
            again += _erase_somebody(log, rng, sent, at=record.ts)
        if again and rng.random() < 0.5:
            value, of = again.pop()
            log.append(_renamed(value, f"again{n}") if rng.random() < 0.8 else value, ts=record.ts, account=of)
    return log


def _erase_somebody(
    log: Log, rng: random.Random, sent: list[tuple[bytes | None, str]], *, at: int
) -> list[tuple[bytes | None, str]]:
    """Append an erasure of somebody who sent something, or of a stranger; return what shall be sent again."""
    value, whose = rng.choice(sent[-200:])
    data: dict[str, object] = {}
    if rng.random() < 0.4:
        data = {"user": json.loads(value or b"{}")["data"].get("user") or "u1"}
    whose = whose if rng.random() < 0.9 else "never seen"
    back = rng.choice((0, 0, 0, MINUTE, HOUR, 3 * DAY, -4 * MINUTE))
    log.event(whose, "erasure", at=at - back, ts=at, data=data)
    if rng.random() < 0.5:  # at the very moment, and just after it
        for later in (0, 1):
            log.event(whose, "login", at=at - back + later, ts=at, data=data, source=rng.choice(SOURCES))
            log.event(whose, "survey", at=at - back + later, ts=at, data={"kind": "nps", "score": 2, **data})
    mine = [one for one in sent if one[1] == whose and str(data.get("user", "")).encode() in (one[0] or b"")]
    return rng.choices(mine[-60:], k=rng.choice((0, 20, 60))) if mine else []


def _renamed(value: bytes | None, name: str) -> bytes | None:
    """Return an event under another id, as if the first had been forgotten; a row of a history with another row."""
    event = json.loads(value or b"null")
    event["id"] = name
    if event.get("importrow") is not None:
        event["importrow"] = 1_000_000 + int(name.removeprefix("again"))
    return json.dumps(event, ensure_ascii=False).encode()
