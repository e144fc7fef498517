"""Key features and log-ins are proposed from counts, each with the figures that made it so."""

from dataclasses import replace

import pytest
import yaml

from lab.sources.counts import DAY_MS, HOUR_MS, Counted, Counts, Seen, Totals, UserSeen
from lab.sources.names import Sort, masked, sort_of, spelt
from lab.sources.page import page
from lab.sources.suggestion import MOST_FEATURES, suggest, why_not
from services.ingest.core.sources import read_sources

TOTALS = Totals(events=10_000, users=300, accounts=60, days=20)
GOOD = Counted(name="Report Exported", events=500, by_users=490, users=80, accounts=40, days=20, returned=50)


@pytest.mark.parametrize(
    ("name", "sort"),
    [
        ("Report Exported", Sort.USE),
        ("レポート出力", Sort.USE),
        ("User Logged In", Sort.LOG_IN),
        ("userLoggedIn", Sort.LOG_IN),
        ("user_login", Sort.LOG_IN),
        ("auth.signed_in", Sort.LOG_IN),
        ("Session Started", Sort.LOG_IN),
        ("ログイン", Sort.LOG_IN),
        ("サインイン成功", Sort.LOG_IN),
        ("Login Button Clicked", Sort.USE),
        ("Signed In As User", Sort.USE),
        ("Blog Inserted", Sort.USE),
        ("Assign Incident", Sort.USE),
        ("Login Failed", Sort.ERROR),
        ("ログイン失敗", Sort.ERROR),
        ("Signed Out", Sort.LOG_OUT),
        ("ログアウト", Sort.LOG_OUT),
        ("Viewed Docs Home Page", Sort.PAGE),
        ("$pageview", Sort.PAGE),
        ("Page Viewed", Sort.PAGE),
        ("ページ表示", Sort.PAGE),
        ("CRM Synced", Sort.AUTOMATIC),
        ("webhook.delivered", Sort.AUTOMATIC),
        ("定期レポート送信", Sort.AUTOMATIC),
        ("Invited dana@example.com", Sort.PERSONAL),
        ("Opened order 123456", Sort.PERSONAL),
        ("doc 5f0c6a5e-1b2c-4d3e-8f4a-0123456789ab opened", Sort.PERSONAL),
        ("Called +49 30 1234567", Sort.PERSONAL),
        ("Step 2 of 10 done", Sort.USE),
    ],
)
def test_names_are_told_apart(name: str, sort: Sort) -> None:
    assert sort_of(name) is sort


def test_names_are_compared_as_words_and_shown_without_what_is_personal() -> None:
    assert spelt("userLoggedIn") == spelt("user_logged-in") == "user logged in"
    assert masked("Invited dana@example.com") == "Invited da…"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, None),
        ({"name": "Viewed Home Page"}, "looks like a page view"),
        ({"by_users": 449}, "11 % of its events have no user"),
        ({"users": 4, "returned": 4}, "4 users"),
        ({"accounts": 5}, "5 of 60 accounts"),
        ({"days": 4}, "4 days"),
        ({"returned": 15}, "only 19 % of its users came back"),
    ],
)
def test_each_condition_of_a_key_feature_counts(changed: dict[str, str | int], words: str | None) -> None:
    reason = why_not(replace(GOOD, **changed), TOTALS)  # type: ignore[arg-type]  # fields of the class
    assert (reason is None) if words is None else (reason is not None and words in reason)


def test_the_widest_used_come_first_and_others_say_why_not() -> None:
    wider = replace(GOOD, name="Deal Closed", accounts=50)
    found = suggest([GOOD, replace(GOOD, name="Signed Out"), wider, replace(GOOD, name="userLoggedIn")], [], TOTALS)
    assert [one.name for one in found.key_features] == ["Deal Closed", "Report Exported"]
    assert [one.name for one in found.log_ins] == ["userLoggedIn"]
    assert [(one.name, why) for one, why in found.passed] == [
        ("Signed Out", "looks like a log-out"),
        ("userLoggedIn", "looks like a log-in"),
    ]
    many = [replace(GOOD, name=f"Used {letter}") for letter in "abcdefghijklmnop"]
    assert len(suggest(many, [], TOTALS).key_features) == MOST_FEATURES


def test_staff_and_robots_are_pointed_at() -> None:
    usual = UserSeen(user="u1_usual", events=50, accounts=1, days=20, hours_a_day=4.0)
    staff = replace(usual, user="u1_staff", accounts=9)
    robot = replace(usual, user="u1_robot", hours_a_day=23.5)
    found = suggest([GOOD], [usual, staff, robot], TOTALS)
    assert ([one.user for one in found.staff], [one.user for one in found.robots]) == (["u1_staff"], ["u1_robot"])


def test_counting_knows_who_came_back_and_when() -> None:
    # day        0        1        2
    # ann        Export   Export
    # bob        Export            (log-in)
    # nobody              Export
    counts = Counts(since=0)
    for user, name, at in (
        ("ann", "Export", 0),
        ("ann", "Export", DAY_MS + HOUR_MS),
        ("bob", "Export", 5),
        ("bob", None, 2 * DAY_MS),
        (None, "Export", DAY_MS),
        ("ann", "Export", -1),
    ):
        counts.take(Seen(account=f"of {user}", user=user, name=name, at=at))
    (export,) = counts.names()
    assert export == Counted(name="Export", events=4, by_users=3, users=2, accounts=3, days=2, returned=1)
    assert counts.totals() == Totals(events=5, users=2, accounts=3, days=3)
    assert counts.users()[0] == UserSeen(user="ann", events=2, accounts=1, days=2, hours_a_day=1.0)


@pytest.mark.parametrize("source", [None, "web-app"])
def test_the_page_is_yaml_that_the_services_read(source: str | None) -> None:
    odd = replace(GOOD, name="Note: #1 'done'")
    log_in = replace(GOOD, name="ログイン: web")
    personal = replace(GOOD, name="Invited dana@example.com")
    found = suggest([GOOD, odd, log_in, personal], [], TOTALS)
    lines = "\n".join(page(found, TOTALS, source=source, known=["Report Exported"]))
    scorecard, sources = lines.split("# config/sources.yaml")
    assert yaml.safe_load(scorecard) == {"key_features": ["Note: #1 'done'", "Report Exported"]}
    assert "already there; 80 users, 62 % came back; 40 accounts (67 %); 20 days" in scorecard
    rules = read_sources(yaml.safe_load(sources.split("\n", 1)[1]))
    assert rules.of(source or "any").events == {"ログイン: web": "Signed In"}
    assert "dana@example.com" not in lines
    assert "rename these events" in lines
