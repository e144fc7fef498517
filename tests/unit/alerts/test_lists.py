"""What deserves no interruption is gathered: one list an owner, told when no more comes, edited while it is young."""

from datetime import date, time
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from services.alerts.channels.people import Leave, People, Person, faults_of
from services.alerts.channels.slack_blocks import payload
from services.alerts.core.alert import Position, fold
from services.alerts.core.lists import Day, Gathering, ended, incident
from services.alerts.core.notice_message import notice_message
from services.alerts.core.routing import Routes, Why, decide
from shared.contracts.alerts import Alert
from shared.contracts.health import Attributes
from shared.contracts.notices import Notice, NoticeKind
from shared.contracts.risk import Change, Severity
from tests.support.risk import OWNER, T0, routes, transition

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000


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
        due = self.gathering.due(alerts, self.notices, self.routes, now=now, days=self.days)
        self.notices |= {notice.id: notice for notice in due}
        return due


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
    assert desk.at(6 * SECOND, over) == []
    (edited,) = desk.at(66 * SECOND, over)
    assert [item.over for item in edited.items] == [True]
    assert "~" in str(payload(notice_message(edited), revision=2)["blocks"])
    assert desk.at(300 * SECOND, over) == []


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


def test_the_daily_list_comes_when_its_owners_day_begins() -> None:
    tokyo = Day(zone=ZoneInfo("Asia/Tokyo"), begins=time(9, 0))
    desk = Desk(routes(mode="observe"), days={OWNER.lower(): tokyo})
    midnight_utc = 1_795_478_400_000  # 2026-11-24T00:00Z is 9:00 in Tokyo
    evening = midnight_utc - 6 * HOUR
    alert = happened("acme")
    assert desk.at(evening, alert) == []
    assert desk.at(midnight_utc - 1, alert) == []
    (notice,) = desk.at(midnight_utc, alert)
    assert (notice.kind, [item.account for item in notice.items]) == (NoticeKind.DAILY_LIST, ["acme"])
    late = happened("late")
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
    notice = incident("/sources/web", since=T0, accounts=40, routes=routes(), now=T0)
    said = notice_message(notice)
    assert said.title == "Source web fell silent"
    assert "40 accounts" in said.intro
    assert notice.delivery.target == "#churn-ops"
    over = ended(notice, now=T0 + HOUR)
    assert (over.id, over.revision) == (notice.id, 2)
    assert notice_message(over).title == "Source web is back"


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
    assert said.startswith(person.email)
    assert fault in said


def test_people_are_on_leave_by_the_day() -> None:
    person = Person(email="d@example.com", leave=[Leave(first=date(2026, 8, 13), last=date(2026, 8, 16))])
    assert [person.is_away(date(2026, 8, day)) for day in (12, 13, 16, 17)] == [False, True, True, False]
    twice = People(people=[person, Person(email="D@example.com")])
    assert faults_of(twice) == ["d@example.com stands twice"]
