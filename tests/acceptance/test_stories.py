"""Stories as a product owner would tell them: what happens to a customer, and who hears of it."""

from tests.support.log import HOUR
from tests.support.scenario import Scenario, day

DANA = "@dana@example.com"
EVE = "@eve@example.com"


def test_an_account_that_goes_quiet_alerts_its_owner_once() -> None:
    story = Scenario(rules="silence", routes="owner_in_slack")
    story.every_workday(weeks=6, logins=5)
    story.silence_until(day=60)
    story.expect(slack=DANA, rule="silence", between=(day(42), day(48)), times=1)
    story.expect_nothing_else()


def test_two_calls_give_a_message() -> None:
    story = Scenario()
    story.happens("billing", status="payment_failed")
    story.silence_until(day=1)
    within_the_hour = (day(0) + 10 * HOUR, day(0) + 11 * HOUR + 1)
    story.expect(slack=DANA, rule="failed_payment", between=within_the_hour)
    story.expect(mail=DANA, rule="failed_payment", between=within_the_hour)
    story.expect_nothing_else()


def test_a_milestone_that_is_late_is_told_to_whom_its_stage_names() -> None:
    kick_off = {"name": "kick-off held", "asserted": True, "within": {"days": 10}}
    stage = {"name": "onboarding", "goal": "In use", "contact": EVE[1:], "channel": "#onboarding"}
    story = Scenario(journey={"stages": [{**stage, "milestones": [kick_off]}]})
    # day: 0 ......... 10 overdue | 13 a detractor | 14 reached
    story.silence_until(day=13)
    story.happens("survey", kind="nps", score=3)
    story.silence_until(day=14)
    story.happens("milestone", name="kick-off held", by="Eve")
    story.silence_until(day=15)
    for place in (EVE, "#onboarding"):
        story.expect(slack=place, rule="milestone_overdue", between=(day(10), day(11)))
    story.expect(mail=EVE, rule="milestone_overdue", between=(day(10), day(11)))
    within_the_hour = (day(13) + 10 * HOUR, day(13) + 11 * HOUR + 1)
    story.expect(slack=DANA, rule="detractor", between=within_the_hour)
    story.expect(mail=DANA, rule="detractor", between=within_the_hour)
    story.expect_nothing_else()
    assert [reason.rule for reason in story.alert().reasons] == ["detractor"]


def test_a_customer_who_works_as_always_alerts_nobody() -> None:
    story = Scenario()
    story.every_workday(weeks=20, logins=5)
    story.expect_nothing_else()
    assert story.health().band == "healthy"


def test_a_customer_of_three_days_is_not_judged() -> None:
    story = Scenario()
    for _ in range(3):
        story.happens("login", user="u1")
        story.days += 1
    story.silence_until(day=13)
    story.expect_nothing_else()
    assert story.health().band == "unknown"
    assert story.health().health is None


def test_a_customer_who_comes_back_ends_the_alert_without_another_message() -> None:
    story = Scenario(rules="silence", routes="owner_in_slack")
    story.every_workday(weeks=6, logins=5)
    story.silence_until(day=49)
    story.every_workday(weeks=1, logins=5)
    story.expect(slack=DANA, rule="silence", between=(day(42), day(49)), times=1)
    story.expect_nothing_else()
    assert [told.is_edit for told in story.told()] == [False, True]
    assert story.alert().state == "resolved"


def test_a_payment_that_arrives_ends_its_alert() -> None:
    story = Scenario(rules="failed_payment", routes="owner_in_slack")
    story.happens("billing", status="payment_failed")
    story.silence_until(day=3)
    story.happens("billing", status="invoice_paid")
    story.silence_until(day=4)
    story.expect(slack=DANA, rule="failed_payment", between=(day(0), day(1)))
    story.expect_nothing_else()
    assert story.is_over


def test_a_second_trouble_joins_the_first_and_its_message() -> None:
    story = Scenario(routes="owner_in_slack")
    story.happens("survey", kind="nps", score=2)
    story.silence_until(day=2)
    story.happens("billing", status="payment_failed")
    story.silence_until(day=3)
    story.expect(slack=DANA, rule="detractor", between=(day(0), day(1)), times=1)
    assert len({told.target for told in story.told()}) == 1
    assert [reason.rule for reason in story.alert().reasons] == ["failed_payment", "detractor"]
    assert story.alert().severity == "critical"


def test_an_account_without_an_owner_is_told_to_the_default_channel() -> None:
    story = Scenario(rules="failed_payment", routes="owner_in_slack", owner=None)
    story.happens("billing", status="payment_failed")
    story.silence_until(day=1)
    story.expect(slack="#churn-alerts", rule="failed_payment", between=(day(0), day(1)), note="no_owner")
    story.expect_nothing_else()


def test_a_customer_who_cancelled_is_not_reported_silent() -> None:
    story = Scenario(rules="silence")
    story.every_workday(weeks=6, logins=5)
    story.happens("subscription", status="cancelled")
    story.silence_until(day=90)
    story.expect_nothing_else()
    assert story.health().band == "unknown"


def test_half_the_usage_is_noticed_while_it_falls() -> None:
    story = Scenario(rules="usage_drop", routes="owner_in_slack")
    story.every_workday(weeks=8, logins=10)
    story.every_workday(weeks=2, logins=3)
    story.expect(slack=DANA, rule="usage_drop", between=(day(57), day(64)), times=1)


def test_a_champion_who_leaves_is_missed_by_its_own_deadline_while_as_much_is_done_as_ever() -> None:
    others = {"ben": (0, 2, 4), "cleo": (1, 2, 3)}
    story = Scenario(routes="owner_in_slack")
    story.users_on_their_days({"ana": range(5), **others}, weeks=8, logins=6)
    story.users_on_their_days(others, weeks=4, logins=6)
    last, own_week, week_off = 53, 7, 7  # a Friday; who comes every workday is missed on the fifth; nobody's leave
    missed_on = last + own_week + week_off + 1
    story.expect(slack=DANA, rule="champion_gone", between=(day(missed_on), day(missed_on + 1)), times=1)
    story.expect_nothing_else()
    assert story.health().band == "healthy"


def test_who_gave_notice_is_told_of_though_it_works_as_ever() -> None:
    story = Scenario(routes="owner_in_slack")
    story.every_workday(weeks=6, logins=5)
    story.happens("subscription", status="notice_given")
    story.every_workday(weeks=2, logins=5)
    story.expect(slack=DANA, rule="notice_given", between=(day(42), day(43)), times=1)
    story.expect_nothing_else()


def test_sending_everything_twice_changes_nothing() -> None:
    once, twice = Scenario(), Scenario()
    for story in (once, twice):
        story.every_workday(weeks=6, logins=2)
        story.happens("billing", status="payment_failed")
        story.silence_until(day=50)
    twice.everything_is_sent_again()
    assert [told.at for told in once.told()] == [told.at for told in twice.told()]
    assert once.health().health == twice.health().health
