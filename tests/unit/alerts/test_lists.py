"""What deserves no interruption is gathered: one list an owner, told when no more comes, edited while it is young."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from services.alerts.channels.slack_blocks import payload
from services.alerts.core.alert import OPEN_STATES, Position, fold
from services.alerts.core.lists import (
    Day,
    Gathering,
    elsewhere,
    ended,
    guarded_by,
    incident,
    is_past,
    of_incident,
    struck,
)
from services.alerts.core.notice_message import notice_message
from services.alerts.core.people import Leave, People, Person, faults_of
from services.alerts.core.routing import ChannelName, Routes, Why, decide
from shared.contracts.alerts import Alert, DeliveryState
from shared.contracts.context import LONGEST_HOLD, Guard, GuardState
from shared.contracts.health import Attributes
from shared.contracts.notices import Notice, NoticeKind
from shared.contracts.risk import Change, Severity
from shared.contracts.topics import MAX_MESSAGE_BYTES
from tests.support.risk import OWNER, T0, routes, transition

WEB = Guard(source="/sources/web", partitions=[0], state=GuardState.HELD, at=T0)
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
MIDNIGHT = 1_795_478_400_000
"""2026-11-24T00:00Z."""


def standing(
    account: str = "acme", *, arr: int | None = 10, owner: str | None = OWNER, severity: Severity = Severity.AT_RISK
) -> Alert:
    attributes = Attributes(name=account.title(), owner=owner, arr=arr, currency="EUR")
    opened = transition(account=account, attributes=attributes, standing=True, severity=severity)
    found = fold(None, opened, position=Position(topic="risk", partition=0, offset=0)).alert
    assert found is not None
    return found


def happened(account: str = "acme", *, severity: Severity = Severity.AT_RISK) -> Alert:
    alert = standing(account, severity=severity)
    return replace(alert, reasons=[replace(reason, standing=False) for reason in alert.reasons])


class Desk:
    """Gather again and again, and take what is due as told."""

    def __init__(self, told: Routes | None = None, *, days: dict[str, Day] | None = None) -> None:
        self.gathering = Gathering(settle_ms=5 * SECOND)
        self.notices: dict[str, Notice] = {}
        self.routes = told or routes()
        self.days = days or {}

    def at(self, now: int, *alerts: Alert) -> list[Notice]:
        listed = {item.alert for notice in self.notices.values() for item in notice.items}
        waiting = [alert for alert in alerts if alert.state in OPEN_STATES and alert.id not in listed]
        due = self.gathering.due(waiting, self.notices, self.routes, now=now, days=self.days)
        self.notices |= {notice.id: notice for notice in due}
        return due

    def struck_at(self, now: int, *alerts: Alert) -> list[Notice]:
        found = struck(self.notices.values(), {alert.account: alert for alert in alerts}.get, now=now)
        self.notices |= {notice.id: notice for notice in found}
        return found


def test_a_list_is_told_when_no_more_comes_with_the_largest_first() -> None:
    # small |-- 4 s --| large |-- 5 s --| told
    desk = Desk()
    small, large = standing("small", arr=1), standing("large", arr=9)
    assert desk.at(0, small) == []
    assert desk.at(4 * SECOND, small, large) == []
    assert desk.at(8 * SECOND, small, large) == []
    (notice,) = desk.at(9 * SECOND, small, large)
    assert (notice.kind, notice.owner, notice.delivery.target) == (NoticeKind.STANDING_LIST, OWNER, f"@{OWNER}")
    assert [item.account for item in notice.items] == ["large", "small"]
    assert desk.at(10 * SECOND, small, large) == []


def test_a_list_waits_a_minute_at_most() -> None:
    desk = Desk()
    alerts: list[Alert] = []
    for n in range(15):
        alerts.append(standing(f"a{n}"))
        assert desk.at(n * 4 * SECOND, *alerts) == []
    alerts.append(standing("last"))
    (notice,) = desk.at(60 * SECOND, *alerts)
    assert len(notice.items) == 16


def test_what_comes_within_the_hour_joins_and_what_comes_later_begins_another() -> None:
    desk = Desk()
    one, two, three = standing("one"), standing("two"), standing("three")
    desk.at(0, one)
    (first,) = desk.at(5 * SECOND, one)
    desk.at(30 * MINUTE, one, two)
    (joined,) = desk.at(30 * MINUTE + 5 * SECOND, one, two)
    assert (joined.id, joined.revision, len(joined.items)) == (first.id, 2, 2)
    desk.at(2 * HOUR, one, two, three)
    (other,) = desk.at(2 * HOUR + 5 * SECOND, one, two, three)
    assert other.id != first.id
    assert [item.account for item in other.items] == ["three"]


def test_each_owner_has_a_list_and_accounts_without_one_go_to_the_default_channel() -> None:
    desk = Desk()
    alerts = [standing(f"a{n}", owner=f"csm{n % 6}@example.com") for n in range(90)] + [standing("x", owner=None)]
    desk.at(0, *alerts)
    told = desk.at(5 * SECOND, *alerts)
    assert len(told) == 7
    assert sum(len(notice.items) for notice in told) == 91
    (orphan,) = [notice for notice in told if notice.owner is None]
    assert (orphan.delivery.target, orphan.delivery.note) == (routes().default_channel, "no_owner")


def test_an_account_that_is_over_is_struck_through_at_most_once_a_minute() -> None:
    desk = Desk()
    alert = standing()
    desk.at(0, alert)
    desk.at(5 * SECOND, alert)
    end = transition(Change.RESOLVED, account="acme", at=T0 + 1)
    over = fold(alert, end, position=Position(topic="risk", partition=0, offset=1)).alert
    assert over is not None
    assert desk.struck_at(6 * SECOND, over) == []
    (edited,) = desk.struck_at(66 * SECOND, over)
    assert [item.over for item in edited.items] == [True]
    assert "~" in str(payload(notice_message(edited), revision=2)["blocks"])
    assert desk.struck_at(300 * SECOND, over) == []


def test_an_account_with_a_new_alert_is_struck_through_for_the_old_one() -> None:
    desk = Desk()
    desk.at(0, standing())
    desk.at(5 * SECOND, standing())
    (edited,) = desk.struck_at(66 * SECOND, replace(happened(), id="ep_later"))
    assert [item.over for item in edited.items] == [True]


def test_more_accounts_than_a_message_of_kafka_holds_are_several_lists() -> None:
    desk = Desk()
    alerts = [standing(f"{n:0>200}", arr=n) for n in range(2500)]
    desk.at(0, *alerts)
    told = desk.at(5 * SECOND, *alerts)
    assert [len(notice.items) for notice in told] == [1000, 1000, 500]
    assert len({notice.id for notice in told}) == 3
    assert all(len(msgspec.json.encode(notice)) < MAX_MESSAGE_BYTES for notice in told)
    more = [standing(f"more{n}") for n in range(600)]
    desk.at(10 * MINUTE, *alerts, *more)
    joined, begun = desk.at(10 * MINUTE + 5 * SECOND, *alerts, *more)
    assert (joined.revision, len(joined.items), begun.revision, len(begun.items)) == (2, 1000, 1, 100)
    assert len(desk.notices) == 4


def test_what_waits_when_observing_ends_comes_in_one_last_list() -> None:
    told = routes(mode="observe", observe_until=date(2026, 11, 23))
    desk = Desk(told)
    nine = MIDNIGHT + 9 * HOUR
    waiting = replace(happened(), opened_at=nine - 12 * HOUR)
    assert desk.at(nine - 11 * HOUR, waiting) == []
    (notice,) = desk.at(nine, waiting)
    assert notice.kind is NoticeKind.DAILY_LIST


def test_a_process_that_was_away_in_the_morning_tells_the_list_later() -> None:
    desk = Desk(routes(mode="observe"))
    (notice,) = desk.at(MIDNIGHT + 13 * HOUR, replace(happened(), opened_at=MIDNIGHT - 3 * HOUR))
    assert notice.kind is NoticeKind.DAILY_LIST


def test_the_backup_of_somebody_on_leave_gets_the_list_and_is_told_why() -> None:
    desk, alert = Desk(), standing()
    stand_ins = {OWNER: "kim@example.com"}
    desk.gathering.due([alert], {}, desk.routes, now=0, days={}, stand_ins=stand_ins)
    (notice,) = desk.gathering.due([alert], {}, desk.routes, now=5 * SECOND, days={}, stand_ins=stand_ins)
    assert (notice.owner, notice.delivery.target) == (OWNER, "@kim@example.com")
    assert "dana@example.com is on leave" in str(notice_message(notice).note)


def test_where_only_mail_is_set_up_lists_go_by_mail_and_not_again_to_strike_somebody_through() -> None:
    desk, alerts = Desk(), [standing(), standing("orphan", owner=None)]
    desk.gathering = Gathering(settle_ms=0, channel=ChannelName.MAIL)
    places = {(n.delivery.channel, n.delivery.target) for n in desk.at(0, *alerts)}
    assert places == {("mail", f"@{OWNER}"), ("mail", "lead@example.com")}
    end = transition(Change.RESOLVED, account="acme", at=T0 + 1)
    over = fold(alerts[0], end, position=Position(topic="risk", partition=0, offset=1)).alert
    assert over is not None
    (edited,) = desk.struck_at(66 * SECOND, over, alerts[1])
    assert (edited.revision, edited.delivery.revision) == (2, 1)


def test_a_list_that_is_refused_goes_to_the_next_place_until_none_is_left() -> None:
    desk = Desk()
    desk.gathering = Gathering(settle_ms=0)
    (notice,) = desk.at(0, standing())
    places = []
    while notice.delivery.state is not DeliveryState.FAILED:
        places.append((notice.delivery.channel, notice.delivery.target, notice.delivery.note))
        notice = elsewhere(notice, desk.routes, error="channel_not_found", person=False)
    assert places == [
        ("slack", f"@{OWNER}", None),
        ("slack", "#churn-alerts", "unreachable"),
        ("mail", f"@{OWNER}", "unreachable"),
        ("mail", "lead@example.com", "unreachable"),
    ]


def test_a_list_whose_arrival_is_doubtful_stays_so_when_it_changes() -> None:
    desk, one, two = Desk(), standing("one"), standing("two")
    desk.gathering = Gathering(settle_ms=0)
    (notice,) = desk.at(0, one)
    doubtful = replace(notice.delivery, state=DeliveryState.UNKNOWN)
    desk.notices[notice.id] = replace(notice, delivery=doubtful)
    (joined,) = desk.at(MINUTE, one, two)
    assert (joined.delivery.state, joined.delivery.intended_at) == (DeliveryState.UNKNOWN, notice.created_at)


def test_a_notice_is_let_go_a_month_after_everything_in_it_is_over() -> None:
    desk = Desk()
    desk.gathering = Gathering(settle_ms=0)
    (notice,) = desk.at(0, standing())
    over = replace(notice, items=[replace(item, over=True) for item in notice.items])
    assert [is_past(n, now=40 * 24 * HOUR) for n in (notice, over)] == [False, True]
    assert not is_past(over, now=24 * HOUR)


def test_a_standing_risk_that_gets_worse_interrupts_like_any_other() -> None:
    alert = standing()
    worse = transition(Change.WORSENED, account="acme", severity=Severity.CRITICAL, at=T0 + 1)
    after = fold(alert, worse, position=Position(topic="risk", partition=0, offset=1)).alert
    assert after is not None
    assert decide(after, routes(), now=T0).why is Why.ROUTED


def test_while_observing_only_what_is_critical_is_told() -> None:
    told = routes(mode="observe")
    assert decide(happened(), told, now=T0).why is Why.OBSERVED
    assert decide(happened(severity=Severity.CRITICAL), told, now=T0).send
    assert decide(happened(), routes(mode="observe", observe_until=date(2020, 1, 1)), now=T0).send


def test_what_may_grow_is_in_a_list_of_its_own_once_a_day() -> None:
    desk = Desk(routes())
    seats = happened("acme", severity=Severity.OPPORTUNITY)
    (notice,) = desk.at(MIDNIGHT + 33 * HOUR, replace(seats, opened_at=MIDNIGHT))
    assert notice.kind is NoticeKind.GROWTH_LIST
    assert notice_message(notice).title == "1 account may grow"


def test_the_daily_list_comes_when_its_owners_day_begins() -> None:
    tokyo = Day(zone=ZoneInfo("Asia/Tokyo"), begins=time(9, 0))
    desk = Desk(routes(mode="observe"), days={OWNER.lower(): tokyo})
    midnight_utc = MIDNIGHT  # 9:00 in Tokyo
    evening = midnight_utc - 6 * HOUR
    alert = replace(happened("acme"), opened_at=evening)
    assert desk.at(evening, alert) == []
    assert desk.at(midnight_utc - 1, alert) == []
    (notice,) = desk.at(midnight_utc, alert)
    assert (notice.kind, [item.account for item in notice.items]) == (NoticeKind.DAILY_LIST, ["acme"])
    late = replace(happened("late"), opened_at=midnight_utc + HOUR)
    assert desk.at(midnight_utc + 3 * HOUR, alert, late) == []
    (second,) = desk.at(midnight_utc + 24 * HOUR, alert, late)
    assert second.id != notice.id
    assert [item.account for item in second.items] == ["late"]


def test_a_long_list_fits_into_slack_and_says_how_many_more_there_are() -> None:
    desk = Desk()
    alerts = [standing(f"<!channel> & {'x' * 120} {n}") for n in range(300)]
    desk.at(0, *alerts)
    (notice,) = desk.at(5 * SECOND, *alerts)
    blocks = payload(notice_message(notice), revision=1)["blocks"]
    assert len(blocks) <= 50
    assert all(len(block["text"]["text"]) <= 3000 for block in blocks)
    assert "… and 260 more" in str(blocks)
    assert "<!channel>" not in str(blocks)


def test_an_incident_says_what_is_held_and_that_it_is_over() -> None:
    notice = incident(WEB, since=T0, accounts=40, routes=routes(), now=T0)
    said = notice_message(notice)
    assert said.title == "Source web fell silent"
    assert "40 accounts" in said.intro
    assert notice.delivery.target == "#churn-ops"
    over = ended(notice, now=T0 + HOUR)
    assert (over.id, over.revision) == (notice.id, 2)
    assert notice_message(over).title == "Source web is back"
    lost = replace(WEB, event="Record Edited")
    other = incident(lost, since=T0, accounts=40, routes=routes(), now=T0)
    assert (other.id != notice.id, guarded_by(other)) == (True, lost.key)
    assert notice_message(other).title == "Event Record Edited of source web fell silent"


def test_the_engineers_are_told_again_when_a_hold_ends_before_its_source_is_back() -> None:
    assert list(of_incident(since=T0, now=T0 + LONGEST_HOLD - 1)) == [NoticeKind.INCIDENT]
    _, kind = of_incident(since=T0, now=T0 + LONGEST_HOLD)
    notice = incident(WEB, kind=kind, since=T0, accounts=40, routes=routes(), now=T0 + LONGEST_HOLD)
    first = incident(WEB, since=T0, accounts=40, routes=routes(), now=T0)
    assert notice.id != first.id, "a message of its own: an edit notifies nobody"
    said = notice_message(notice)
    assert said.title == "Source web is still silent: its accounts are judged on incomplete data"
    assert "40 accounts" in said.intro
    assert notice_message(ended(notice, now=T0 + 24 * HOUR)).title == "Source web is back"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"email": "dana"}, "no mail address"),
        ({"zone": "Mars/Base"}, "no time zone is called 'Mars/Base'"),
        ({"hours": "9 to 5"}, "not like 09:00-18:00"),
        ({"hours": "18:00-09:00"}, "ends before it begins"),
        ({"backup": "nobody@example.com"}, "none of the people"),
        ({"manager": "dana@example.com"}, "the person itself"),
        ({"capacity": 0}, "less than 1"),
        ({"leave": [Leave(first=date(2026, 2, 2), last=date(2026, 2, 1))]}, "comes after"),
    ],
)
def test_what_cannot_be_of_a_person_is_named(fields: dict[str, object], fault: str) -> None:
    person = Person(**{"email": "dana@example.com", **fields})  # type: ignore[arg-type]
    (said,) = faults_of(People(people=[person]))
    assert said.key[:2] == ("people", 0)
    assert said.text.startswith(person.email)
    assert fault in said.text


def test_people_are_on_leave_by_the_day() -> None:
    person = Person(email="d@example.com", leave=[Leave(first=date(2026, 8, 13), last=date(2026, 8, 16))])
    assert [person.is_away(date(2026, 8, day)) for day in (12, 13, 16, 17)] == [False, True, True, False]
    twice = People(people=[person, Person(email="D@example.com")])
    assert list(map(str, faults_of(twice))) == ["people[1].email: d@example.com stands twice"]


def test_a_stand_in_on_leave_has_one_too_and_nobody_stands_in_in_a_circle() -> None:
    week = [Leave(first=date(2026, 8, 13), last=date(2026, 8, 16))]
    people = People(
        people=[
            Person(email="A@example.com", backup="b@example.com", leave=week),
            Person(email="b@example.com", backup="C@example.com", leave=week),
            Person(email="c@example.com"),
            Person(email="x@example.com", backup="y@example.com", leave=week),
            Person(email="y@example.com", backup="x@example.com", leave=week),
        ]
    )
    away = people.stand_ins(datetime(2026, 8, 14, 12, tzinfo=UTC))
    assert away == {"a@example.com": "c@example.com", "b@example.com": "c@example.com"}
    assert people.stand_ins(datetime(2026, 8, 17, 12, tzinfo=UTC)) == {}


def test_an_alert_of_somebody_on_leave_goes_to_their_backup_with_a_note() -> None:
    decision = decide(happened(), routes(), now=T0, stand_ins={OWNER: "kim@example.com"})
    assert {(d.channel, d.target, d.note) for d in decision.destinations} == {
        ("slack", "@kim@example.com", "away"),
        ("mail", "@kim@example.com", "away"),
    }


def test_an_erased_account_is_struck_through_and_loses_its_name() -> None:
    desk = Desk()
    desk.at(0, standing("acme"), standing("globex"))
    (told,) = desk.at(5 * SECOND, standing("acme"), standing("globex"))
    assert {item.name for item in told.items} == {"Acme", "Globex"}
    (struck_through,) = desk.struck_at(10 * MINUTE, standing("globex"))
    shown = {item.account: (item.over, item.name, item.arr) for item in struck_through.items}
    assert shown == {"acme": (True, None, None), "globex": (False, "Globex", 10)}
    assert struck_through.revision == told.revision + 1
