"""Hand-computed cases of docs/scoring.md: the oracle is what everything else is compared with."""

from typing import Any

import msgspec
import pytest

from lab.oracle import Bundle, Result, run
from lab.oracle_features import DAY, HOUR, History, features_of
from lab.oracle_health import band_of, contributions_of
from lab.oracle_records import Record
from lab.oracle_rhythm import deadline_after, millionths_of_ln
from shared.contracts.events import tick_record, type_of, wire_time
from shared.contracts.health import Band
from shared.contracts.partition import roll_ms
from shared.contracts.risk import Change

ACME = "acme"
ROLL = roll_ms(b"acme")
MONDAY = 20_000 - 20_000 % 7 + 4  # an epoch day; day 0 was a Thursday
RULES: dict[str, Any] = {
    "silence": {"alpha_permille": 10},
    "rules": [
        {
            "name": "failed_payment",
            "based_on": "fact",
            "all": [{"feature": "payment_failed_days", "at_most": 30}],
            "severity": "critical",
            "playbook": "call",
        },
        {
            "name": "silence",
            "based_on": "activity",
            "all": [{"feature": "silence", "at_least": 1}],
            "severity": "at_risk",
        },
    ],
}
SCORECARD: dict[str, Any] = {
    "key_features": ["Export"],
    "evidence": {"days": 14, "active_days": 3},
    "bands": {"healthy": 70_000, "watch": 50_000, "at_risk": 30_000, "margin": 2_000},
    "dimensions": {
        "engagement": {
            "weight": 60,
            "measures": {"recency_days": {"weight": 1, "missing": "exclude", "curve": [[1, 100], [11, 0]]}},
        },
        "commercial": {
            "weight": 40,
            "measures": {"payment_ok": {"weight": 1, "missing": "neutral", "curve": [[0, 0], [1, 100]]}},
        },
    },
}
BUNDLE = Bundle(version="b_1", scorecard=SCORECARD, rules=RULES)


def moment(day: int, hour: int = 12, ms: int = 0) -> int:
    """Return the epoch ms at which acme's account-day `day` reaches `hour`."""
    return day * DAY + ROLL + hour * HOUR + ms


def event(n: int, at: int, *, kind: str = "login", **data: object) -> bytes:
    return msgspec.json.encode(
        {"id": f"e{n}", "source": "/sources/app", "type": type_of(kind), "subject": ACME, "time": wire_time(at)}
        | ({"data": data} if data else {})
    )


def log(*values: tuple[int, bytes | None]) -> Result:
    """Run (broker timestamp, value) pairs as one partition under BUNDLE, which lies at offset 0 of the context."""
    records = [Record(offset=n, ts=ts, value=value) for n, (ts, value) in enumerate(values)]
    return run(records, partition=0, partitions=1, contexts={0: BUNDLE})


def tick(at: int, *, context: int = 0) -> tuple[int, bytes]:
    return at, tick_record(at, context=context)


def login(n: int, at: int) -> tuple[int, bytes]:
    return at, event(n, at)


def present(*moments: int) -> History:
    history = History(account=ACME, roll=ROLL)
    for at in moments:
        history.count("login", at=at)
        history.be_present(at)
    return history


@pytest.mark.parametrize(
    ("value", "fate"),
    [
        (None, "no_value"),
        (b"\xff", "bad_json"),
        (b"[]", "bad_json"),
        (b'{"type": NaN}', "bad_json"),
        (b'{"type": "\\ud800"}', "bad_json"),
        (b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", "bad_json"),
        (b"{}", "schema"),
        (b'{"type": "churn..v1"}', "schema"),
        (b'{"type": "churn.login.v01"}', "unknown_version"),
        (b'{"type": "churn.tick.v2"}', "unknown_version"),
        (b'{"type": "churn.tick.v1", "time": "2026-01-01T00:00:00Z", "data": {"context": -2}}', "schema"),
        (b'{"type": "churn.tick.v1", "time": "2026-01-01T00:00:00Z", "data": {"context": true}}', "schema"),
        (tick_record(5_001, context=0), "tick_ahead"),
        (tick_record(5_000, context=0), "tick"),
        (event(1, 300_000), "applied"),
        (event(1, 300_001), "in_future"),
        (event(1, 0, user=5), "schema"),
        (event(1, 0, kind="billing"), "schema"),
        (event(1, 0, kind="billing", status="invoice_paid"), "applied"),
        (event(1, 0, kind="never heard of", user=None), "applied"),
    ],
)
def test_each_record_gets_the_first_fate_that_applies(value: bytes | None, fate: str) -> None:
    assert log((0, value)).fates == [fate]


def test_an_id_is_forgotten_in_the_25th_hour_of_arrival_after_its_own() -> None:
    # hours of arrival:   0 ........ 24 | 25 (forgotten, applied anew) .. 49 | 50
    at = [0, 24 * HOUR + HOUR - 1, 25 * HOUR, 49 * HOUR, 50 * HOUR]
    values = [(ts, event(1, 0)) for ts in at]
    assert log(*values).fates == ["applied", "duplicate", "applied", "duplicate", "applied"]


def test_arrival_never_runs_backwards() -> None:
    late = (0, event(1, 0))
    assert log((0, event(1, 0)), (25 * HOUR, b""), late).fates == ["applied", "bad_json", "applied"]


def test_too_late_is_judged_by_the_clock_and_never_for_facts() -> None:
    t = 100 * DAY
    fates = log(
        (t, event(1, 0)),
        tick(t),
        (t, event(2, 9 * DAY)),
        (t, event(3, 9 * DAY - 1)),
        (t, event(4, 0, kind="goal")),
        (t, event(5, 0, kind="ticket")),
    ).fates
    assert fates == ["applied", "tick", "applied", "too_late", "applied", "too_late"]


def test_a_record_of_another_partition_is_moved_once() -> None:
    once = Record(offset=0, ts=0, value=event(1, 0))
    again = Record(offset=1, ts=0, value=event(1, 0), headers=(("moved", b"1"),))
    results = [run([once, again], partition=p, partitions=2, contexts={}).fates for p in (0, 1)]
    assert sorted(results) == [["applied", "duplicate"], ["moved", "wrong_partition"]]


def test_features_look_at_whole_days_of_the_account() -> None:
    # day      D-36  D-35 ... D-8   D-7 ... D-1   D
    # logins      1     1       1     1       2   5
    #                  '--normal--'  '-recent-'
    d = MONDAY
    history = present(*(moment(d - n) for n in (36, 35, 8, 7, 1, 1)), *[moment(d)] * 5)
    features = features_of(history, moment(d, 13), key_features=[])
    assert (
        features.items()
        >= {
            "active_days": 6,
            "tenure_days": 37,
            "active_days_28": 4,
            "recency_days": 0,
            "users_28": 0,
            "usage_7": 3,
            "usage_normal_28": 2,
            "usage_change": 5000,
            "events_1": 5,
            "events_7": 7,
            "logins_28": 9,
            "hand_use_91": 11,
            "exports_28": 0,
            "days_since_login": 0,
            "self_reliance": 1000,
        }.items()
    )
    assert not features.keys() & {
        "top_user_share",
        "users_change",
        "outcomes_28",
        "days_since_export",
    }


def test_days_91_behind_the_front_are_forgotten() -> None:
    # day       0 (forgotten)   1 ................ 91 = front
    history = present(moment(0), moment(1), moment(91))
    assert features_of(history, moment(92), key_features=[])["active_days"] == 2


def test_the_deadline_of_a_new_account_is_the_prior_spread_evenly() -> None:
    # No considered day: q = 512 Mon-Fri, 128 Sat Sun, in 1024ths; a day's hazard 693,147 and 133,531.
    # n8 = 32 * (5*512 + 2*128) // 1024 = 88; the hazard to pass = floor(1e6 * ln(88*1000 / 7000)) = 2,531,426.
    # L = Monday: Tue-Thu give 2,079,441, missing 451,985 of Friday. 452 thousandths are 36,364 of 100,000:
    # 1024 * 36,364 * 24 = 893,681,664 of the day's weight, 512 * 100,000 an hour: 17 hours and some of the next. L is
    # at the beginning of its hour, and so is the deadline.
    last = moment(MONDAY, 0)
    found = deadline_after(present(last), last, alpha_permille=1000)
    assert millionths_of_ln(88, 7) == 2_531_426
    assert found == moment(MONDAY + 4, 17)
    # with an α of a hundredth, and more doubt every week, what is not known is not missed
    assert deadline_after(present(last), last, alpha_permille=10) == last + 84 * DAY


def test_the_deadline_comes_a_day_after_the_last_activity_at_the_soonest() -> None:
    every_hour = [moment(MONDAY - day, hour) for day in range(1, 85) for hour in range(24)]
    morning, night = moment(MONDAY, 0), moment(MONDAY, 23)
    assert deadline_after(present(*every_hour, morning), morning, alpha_permille=10**6) > morning + DAY
    assert deadline_after(present(*every_hour, night), night, alpha_permille=10**6) == night + DAY


def test_a_calendar_moves_the_day_and_takes_days_off() -> None:
    # Every day at 23:00 UTC, which is 08:00 of the next day in Tokyo; Wed-Fri after the last are off.
    tables = {
        "first_day": MONDAY,
        "days": 30,
        "zones": [{"names": ["Asia/Tokyo"], "at": [], "minutes": [540]}],
        "countries": {"JP": {"weekend": [5, 6], "off": [2, 1, 1]}},
    }
    last = moment(MONDAY, 23)
    history = present(*(moment(MONDAY - day, 23) for day in range(85)))
    everywhere = deadline_after(history, last, alpha_permille=10, calendars=tables)
    for name, value in (("timezone", "Asia/Tokyo"), ("country", "jp")):
        history.learn(name, value, stamp=(0, b"", b""))
    at_home = deadline_after(history, last, alpha_permille=10, calendars=tables)
    # UTC: Tuesday and Wednesday are enough. In Tokyo L is Tuesday's, Wed-Fri are off, and at weekends, of which less is
    # known, activity is a little less sure: Saturday and Sunday don't do, it takes some of Monday
    assert history.day(everywhere) == MONDAY + 2
    assert history.day(at_home + 9 * HOUR) == MONDAY + 7


def test_contributions_sum_to_the_health() -> None:
    # e = 60e6 and 40e6; recency 4 on [1,100]..[11,0] -> 100,000 - 30,000 = 70,000; payment_ok missing: neutral 50,000
    # C_1 = 60e6*70,000 // 100e6 = 42,000; C_2 = 42,000 + 20,000
    contributions = contributions_of({"recency_days": 4}, SCORECARD["dimensions"])
    assert [(c.points, c.possible, c.value) for c in contributions] == [(42_000, 60_000, 4), (20_000, 40_000, 0)]


@pytest.mark.parametrize(
    ("before", "health", "after"),
    [
        (Band.UNKNOWN, 70_000, Band.HEALTHY),
        (Band.UNKNOWN, 29_999, Band.CRITICAL),
        (Band.WATCH, 71_999, Band.WATCH),
        (Band.WATCH, 72_000, Band.HEALTHY),
        (Band.CRITICAL, 71_000, Band.WATCH),
        (Band.HEALTHY, 69_999, Band.WATCH),
        (Band.HEALTHY, None, Band.UNKNOWN),
    ],
)
def test_a_better_band_must_be_earned_with_a_margin(before: Band, health: int | None, after: Band) -> None:
    assert band_of(health, before=before, bands=SCORECARD["bands"]) is after


def test_a_failed_payment_opens_at_the_next_tick_and_is_resolved_when_paid() -> None:
    failed, paid = moment(MONDAY), moment(MONDAY + 2)
    result = log(
        (failed, event(1, failed, kind="billing", status="payment_failed")),
        tick(failed + 1000),
        (paid, event(2, paid, kind="billing", status="invoice_paid")),
        tick(paid + 1000),
    )
    assert [(t.change, t.severity, t.standing) for t in result.transitions] == [
        (Change.OPENED, "critical", True),
        (Change.RESOLVED, "critical", False),
    ]
    assert result.transitions[0].evidence[0].value == 0
    assert result.healths[ACME].band is Band.UNKNOWN


def test_a_payment_told_late_withdraws_what_should_not_have_opened() -> None:
    # paid at noon, failed at 11:00; the invoice's event arrives a day after the opening tick
    failed, paid = moment(MONDAY, 11), moment(MONDAY, 12)
    result = log(
        (paid, event(1, failed, kind="billing", status="payment_failed")),
        tick(paid + 1000),
        (paid + DAY, event(2, paid, kind="billing", status="invoice_paid")),
        tick(paid + DAY + 1000),
    )
    assert [t.change for t in result.transitions] == [Change.OPENED, Change.WITHDRAWN]


def silent_after_eight_weeks(*late: tuple[int, bytes]) -> Result:
    """Log in on every weekday at 9:00 for eight weeks until a Friday, then tick at the deadline and two hours later."""
    days = [MONDAY + week * 7 + day for week in range(8) for day in range(5)]
    logins = [login(n, moment(day, 9)) for n, day in enumerate(days)]
    first = log(*logins, tick(moment(days[-1], 10)))
    deadline = first.healths[ACME].silence_deadline
    assert deadline is not None
    ticks = [tick(moment(days[-1], 10)), tick(deadline - 1), tick(deadline)]
    return log(*logins, *ticks, *late, tick(deadline + 2 * HOUR))


def test_silence_opens_at_its_deadline_and_not_before() -> None:
    result = silent_after_eight_weeks()
    (opened,) = result.transitions
    last = moment(MONDAY + 7 * 7 + 4, 9)
    assert opened.at == opened.opened_at == result.healths[ACME].silence_deadline
    assert opened.evidence[0].value == opened.evidence[0].normal == opened.at - last
    assert not opened.standing


def test_silence_that_ends_is_resolved_and_silence_that_never_was_is_withdrawn() -> None:
    (opened,) = silent_after_eight_weeks().transitions
    back = login(99, opened.at + HOUR)
    assert [t.change for t in silent_after_eight_weeks(back).transitions] == [Change.OPENED, Change.RESOLVED]
    late = (opened.at + HOUR, event(99, opened.at - DAY))
    assert [t.change for t in silent_after_eight_weeks(late).transitions] == [Change.OPENED, Change.WITHDRAWN]


def test_a_cancelled_account_expires_its_episodes_and_is_judged_no_more() -> None:
    (opened,) = silent_after_eight_weeks().transitions
    at = opened.at + HOUR
    result = silent_after_eight_weeks((at, event(99, at, kind="subscription", status="cancelled")))
    assert [t.change for t in result.transitions] == [Change.OPENED, Change.EXPIRED]
    assert result.healths[ACME].health is None
    assert result.healths[ACME].attributes.subscription == "cancelled"


def test_a_tick_without_a_bundle_collects() -> None:
    at = moment(MONDAY)
    result = log(login(1, at), tick(at + 1, context=-1), tick(at + 2))
    assert [evaluation.at for evaluation in result.evaluations] == [at + 2]
    assert list(result.healths) == [ACME]
