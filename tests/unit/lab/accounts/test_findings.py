"""What is missing or doubtful in the accounts is named once each, and ids that are one account are recognised."""

from datetime import date

import pytest

from lab.accounts.aliases import aliases
from lab.accounts.findings import REMEDY, Problem, findings
from services.alerts.core.people import People, Person
from shared.contracts.health import AccountHealth, Attributes, Band

TODAY = date(2026, 11, 24)
PEOPLE = People(domains=["vendor.example"], people=[Person(email="dana@example.com")])
GOOD = Attributes(name="A", owner="dana@example.com", arr=5, renewal_date="2026-11-24")


def account(name: str, facts: Attributes = GOOD, *, last_activity: int | None = 1) -> AccountHealth:
    return AccountHealth(
        account=name,
        at=2,
        partition=0,
        offset=1,
        generation=1,
        bundle="b",
        health=None,
        band=Band.UNKNOWN,
        evidence_days=0,
        evidence_needed=14,
        active_days=0,
        active_days_needed=3,
        last_activity=last_activity,
        silence_deadline=None,
        contributions=[],
        episodes=[],
        attributes=facts,
    )


def problems(*known: AccountHealth, unknown_to_slack: tuple[str, ...] = ()) -> list[tuple[Problem, tuple[str, ...]]]:
    found = findings(known, people=PEOPLE, unknown_to_slack=unknown_to_slack, today=TODAY)
    return [(one.problem, tuple(one.accounts)) for one in found]


def test_a_whole_account_has_nothing() -> None:
    assert problems(account("whole")) == []
    assert problems(account("trial", Attributes(name="T", owner="x@vendor.example", trial=True))) == []


@pytest.mark.parametrize(
    ("facts", "last_activity", "problem"),
    [
        (Attributes(name="A", arr=5), 1, Problem.NO_OWNER),
        (Attributes(name="A", owner="dana@example.com"), 1, Problem.NO_ARR),
        (Attributes(name="A", owner="dana@example.com", arr=5, renewal_date="2026-11-23"), 1, Problem.RENEWAL_PAST),
        (Attributes(name="A", owner="x@else.example", arr=5), 1, Problem.OWNER_UNKNOWN),
        (GOOD, None, Problem.NO_EVENTS),
        (Attributes(), 1, Problem.NOT_TOLD),
        (Attributes(subscription="renewed"), 1, Problem.NOT_TOLD),
    ],
)
def test_each_problem_is_found_alone(facts: Attributes, last_activity: int | None, problem: Problem) -> None:
    assert problems(account("one", facts, last_activity=last_activity)) == [(problem, ("one",))]


def test_an_owner_slack_does_not_know_is_found() -> None:
    assert problems(account("one"), unknown_to_slack=("dana@example.com",)) == [(Problem.OWNER_UNKNOWN, ("one",))]


def test_nothing_is_asked_of_accounts_that_are_over() -> None:
    over = [Attributes(deleted=True), Attributes(name="C", subscription="cancelled", owner="x@else.example")]
    assert problems(*(account(f"over-{n}", facts) for n, facts in enumerate(over)), unknown_to_slack=()) == []


def test_every_problem_has_a_remedy() -> None:
    assert set(REMEDY) == set(Problem)


@pytest.mark.parametrize(
    "group",
    [
        ("acme", "ACME", "acme-inc", "acme.com", "www.acme.com", "Acme, Inc.", "https://acme.com/"),
        ("42", "0042", "account-42"),
        ("株式会社アクメ", "アクメ"),
        ("acme.co.jp", "acme"),
        ("001A000000abcde", "001A000000abcdeIAC"),
        ("acme-0012", "acme-12"),
        ("a_b", "a-b"),
    ],
)
def test_ids_of_one_account_are_recognised(group: tuple[str, ...]) -> None:
    assert aliases([*group, "somebody-else"]) == [sorted(group)]
    assert problems(*(account(name) for name in group)) == [(Problem.ALIAS, tuple(sorted(group)))]


@pytest.mark.parametrize(
    "ids",
    [
        ("acme", "acme-eu", "acme2"),
        ("10", "100", "1"),
        ("cisco", "cis"),
        ("001A000000abcde", "001A000000aBcde"),
        ("income", "tesco", "te"),
        ("inc", "ltd"),
    ],
)
def test_ids_of_several_accounts_are_left_alone(ids: tuple[str, ...]) -> None:
    assert aliases(ids) == []
