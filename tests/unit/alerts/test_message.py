"""A message says what changed in words, within the limits of its channel, and customers' words stay words."""

import html
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from slack_sdk.models.blocks import Block

from services.alerts.channels.buttons import Buttons
from services.alerts.channels.mail_message import Letter, mime
from services.alerts.channels.slack_blocks import MAX_TOTAL, escape, payload, reply
from services.alerts.core.alert import Position, fold
from services.alerts.core.message import Background, Message, Tone, clean, message_of
from services.alerts.core.routing import Note
from shared.contracts.alerts import Alert, Word
from shared.contracts.health import Attributes, Contribution
from shared.contracts.journey import Progress, Unmet
from shared.contracts.playbook import Playbook
from shared.contracts.risk import INCOMPLETE, Change, Evidence, ReceiverClass, Severity
from tests.support.risk import DAY_MS, T0, background, transition

AFTER = Position(topic="r", partition=0, offset=1)
EVIL = "<!channel> <@U123> <https://evil.example|click> *b* _i_ ~s~ `c` & \u202eabc\x00\r\nBcc: x@y {{7*7}} %s"
LETTER = Letter(
    sender="churnwatch@example.com",
    to="dana@example.com",
    domain="example.com",
    revision=1,
    thread=None,
    at=datetime(2026, 11, 22, tzinfo=UTC),
)


def alert(**changed: Any) -> Alert:
    opened = fold(None, transition(**changed), position=Position(topic="r", partition=0, offset=0)).alert
    assert opened is not None
    return opened


def said(**changed: Any) -> Message:
    return message_of(alert(**changed), background())


NEEDED = Progress(event="Report Shared", users=3, so_far=1)
SHARED = Unmet(
    stage="onboarding",
    milestone="first report shared",
    days=6,
    all_of=[NEEDED],
    any_of=[],
    contact="dana@example.com",
    channel="#onboarding",
)
AGREED = Unmet(stage="onboarding", milestone="kick-off held", days=1, all_of=[], any_of=[])
ASK = "Ask dana@example.com in #onboarding"
CHOSEN = Unmet(
    stage="adoption",
    milestone="in use",
    days=2,
    all_of=[Progress(event="A", users=1, so_far=0)],
    any_of=[Progress(event="B", users=1, so_far=0), Progress(event="C", users=2, so_far=0)],
)


@pytest.mark.parametrize(
    ("rule", "evidence", "words"),
    [
        (
            "silence",
            [Evidence(feature="silence", value=3 * DAY_MS + 4 * 3_600_000, normal=2 * DAY_MS)],
            (
                "No activity for 3 d 4 h",
                "By this account's own rhythm, more than 2 d without any is expected less than once in 100 months",
            ),
        ),
        (
            "users_fall",
            [Evidence(feature="users_change", value=-400), Evidence(feature=INCOMPLETE, value=5 * 3_600_000)],
            (
                "Users fall",
                "Users change: −400. Judged on incomplete data: a source of this account's events is missed for 5 h",
            ),
        ),
        (
            "usage_drop",
            [Evidence(feature="usage_change", value=-620), Evidence(feature="usage_7", value=41, normal=108)],
            ("Usage −62 %", "41 events in the last 7 full days, normally 108"),
        ),
        (
            "failed_payment",
            [Evidence(feature="payment_failed_days", value=1)],
            ("A payment failed 1 day ago", "No invoice was paid since"),
        ),
        (
            "milestone_overdue",
            [Evidence(feature="milestones_overdue", value=2, unmet=[SHARED, AGREED])],
            (
                "Onboarding: 'first report shared' is 6 days overdue: needs `Report Shared` by 3 users, 1 so far",
                "Onboarding: 'kick-off held' is 1 day overdue: needs somebody's word that it is reached; " + ASK,
            ),
        ),
        (
            "milestone_overdue",
            [Evidence(feature="milestones_overdue", value=1, unmet=[CHOSEN])],
            ("Adoption: 'in use' is 2 days overdue: needs `A`; one of `B`, or `C` by 2 users, 0 so far", None),
        ),
        (
            "goal_behind_plan",
            [Evidence(feature="goal_pace", value=545), Evidence(feature="goal_behind_days", value=30)],
            (
                "Its goal is behind plan: 54 % of what is needed by now is done",
                "At this pace it is reached 30 days late",
            ),
        ),
        (
            "goal_behind_plan",
            [Evidence(feature="goal_pace", value=0)],
            ("Its goal is behind plan: 0 % of what is needed by now is done", "Nothing is done yet"),
        ),
        ("detractor", [Evidence(feature="nps", value=3)], ("NPS score 3", "A detractor: 0 to 6 of 10")),
        ("notice_given", [Evidence(feature="contract_ok", value=0)], ("Notice is given", None)),
        (
            "champion_gone",
            [Evidence(feature="champion_silence", value=1)],
            (
                "Its most active user is gone, 1 day longer than its own week and a week off explain",
                "Others go on using it",
            ),
        ),
        (
            "exit_intent",
            [Evidence(feature="exports_spike", value=4500), Evidence(feature="removals_14", value=2)],
            ("Exports are 4 times the usual", "2 users were removed in 14 days"),
        ),
        (
            "renewal_in_doubt",
            [Evidence(feature="renewal_days", value=41), Evidence(feature="band", value=2)],
            ("At risk, and its renewal is near", "Days to the renewal: 41; Band: at risk"),
        ),
        (
            "seats_nearly_all_used",
            [Evidence(feature="seats_used", value=930)],
            ("Nearly all seats are used", "Seats used: 93 %"),
        ),
        (
            "new_rule",
            [Evidence(feature="users_28", value=9, normal=40)],
            ("New rule", "Users in 28 days: 9, normally 40"),
        ),
        ("new_rule", [], ("New rule", None)),
    ],
)
def test_evidence_is_said_in_words(rule: str, evidence: list[Evidence], words: tuple[str, str | None]) -> None:
    point = said(rule=rule, evidence=evidence).points[0]
    assert (point.headline, point.detail) == words


def test_it_says_what_is_at_stake_what_to_do_and_that_precision_is_not_measured() -> None:
    message = said()
    assert (message.title, message.worth, message.renewal) == ("Acme GmbH: at risk", "EUR 48,000 a year", "2027-01-31")
    assert (message.health, message.owner, message.steps) == ("41.2 of 100, at risk", "dana@example.com", ["Call them"])
    assert "not yet measured" in message.precision


def test_a_precision_its_author_states_is_said_to_be_no_more_than_that() -> None:
    assert said(precision_percent=60).precision == (
        "Precision of this rule: 60 %, stated by its author, not yet measured"
    )


def test_what_a_person_may_say_is_reached_is_a_button_until_somebody_did() -> None:
    lacks = [SHARED, AGREED, *(replace(CHOSEN, milestone=f"step {n}") for n in range(9))]
    evidence = [Evidence(feature="milestones_overdue", value=11, unmet=lacks)]
    opened = alert(rule="milestone_overdue", evidence=evidence)
    sealed = Buttons(b"secret")

    def labels(one: Alert) -> list[str]:
        blocks = payload(message_of(one, background()), revision=1, buttons=sealed)["blocks"]
        return [
            element["text"]["text"] for block in blocks if block["type"] == "actions" for element in block["elements"]
        ]

    assert labels(opened) == [
        "Mark 'first report shared' as reached",
        "Mark 'kick-off held' as reached",
        "Mark 'step 0' as reached",
        *("Acknowledge", "Right", "Not a risk"),
    ]
    said = replace(opened, words=[Word(milestone="kick-off held", by="Dana", at=T0)])
    assert "Mark 'kick-off held' as reached" not in labels(said)
    assert "Dana: 'kick-off held' is reached" in str(payload(message_of(said, background()), revision=1))
    for part in mime(message_of(said, background()), LETTER).iter_parts():
        assert "Dana: 'kick-off held' is reached" in html.unescape(part.get_content())
    over = fold(opened, transition(Change.RESOLVED, rule="milestone_overdue", at=T0 + 1), position=AFTER).alert
    assert over is not None
    assert labels(over) == ["Right", "Not a risk"]


def test_what_may_grow_is_called_an_opportunity() -> None:
    message = said(rule="seats", severity=Severity.OPPORTUNITY, receiver=ReceiverClass.GROWTH)
    assert (message.title, message.tone) == ("Acme GmbH: an opportunity", Tone.OPPORTUNITY)


def test_unknown_facts_are_said_to_be_unknown() -> None:
    message = said(attributes=Attributes(), health=None, contributions=[])
    assert (message.name, message.worth, message.renewal) == ("acme", "ARR not known", "not known")
    assert (message.health, message.costs, message.cost_sum) == ("not enough evidence yet", [], None)


def test_an_ended_alert_tells_how_it_ended_and_asks_for_nothing() -> None:
    over = fold(alert(), transition(Change.WITHDRAWN, at=T0 + 1), position=Position(topic="r", partition=0, offset=1))
    assert over.alert is not None
    message = message_of(over.alert, background())
    assert (message.title, message.steps) == ("Acme GmbH: withdrawn", [])
    assert (message.points[0].over, message.points[0].detail) == (True, None)
    assert "came late" in message.status


def test_a_playbook_link_is_shown_when_there_is_one() -> None:
    linked = Background(playbooks={"silence": Playbook(steps=["x"], url="https://wiki/?a=1&b")}, alpha_permille=10)
    assert "<https://wiki/?a=1&amp;b|playbook>" in str(payload(message_of(alert(), linked), revision=1)["blocks"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 40_000)), min_size=1, max_size=9))
def test_shown_costs_add_up_to_the_shown_health(parts: list[tuple[int, int]]) -> None:
    whole = sum(max(p) for p in parts) or 1
    possible = [max(p) * 100_000 // whole for p in parts]
    possible[-1] += 100_000 - sum(possible)
    points = [min(limit, min(p) * 100_000 // whole) for limit, p in zip(possible, parts, strict=True)]
    contributions = [
        Contribution(dimension="d", measure=f"m{n}", points=got, possible=limit, value=0)
        for n, (got, limit) in enumerate(zip(points, possible, strict=True))
    ]
    message = said(contributions=contributions, health=sum(points))
    shown = sum(
        int(re.findall(r"−(\d+)\.(\d)", line)[0][0] + re.findall(r"−(\d+)\.(\d)", line)[0][1]) for line in message.costs
    )
    total = 1000 - sum(points) // 100
    assert not message.costs or shown == total
    assert message.cost_sum == f"100 − {total // 10}.{total % 10} = {(1000 - total) // 10}.{(1000 - total) % 10}"


TEXT = st.one_of(st.text(max_size=60), st.sampled_from([EVIL, EVIL * 30, "&" * 3000, "<" * 3000, ""]))


@settings(max_examples=30, deadline=None)
@given(name=TEXT, owner=TEXT, rule=TEXT, date=TEXT, many=st.integers(1, 12))
def test_whatever_a_customer_is_called_slack_gets_a_message_it_accepts(
    name: str, owner: str, rule: str, date: str, many: int
) -> None:
    attributes = Attributes(name=name, owner=owner, renewal_date=date, currency=name)
    folded: Alert | None = None
    for n in range(many):
        unmet = [replace(AGREED, milestone=milestone) for milestone in (name[:100], rule)]
        evidence = [Evidence(feature=rule, value=n, unmet=unmet)]
        one = transition(account="acme", rule=f"{rule}{n}", attributes=attributes, evidence=evidence)
        folded = fold(folded, one, position=Position(topic="r", partition=0, offset=n)).alert
    assert folded is not None
    folded = replace(folded, words=[Word(milestone=rule, by=owner, at=T0)])
    message = message_of(folded, background(), note=Note.UNKNOWN_OWNER)
    assert message.assertable == [one for one in [name[:100]] if one != rule]
    for mention in (None, "U123456"):
        sent = payload(message, revision=1, mention=mention, buttons=Buttons(b"secret"))
        blocks = sent["blocks"]
        shown = [block for block in blocks if block["type"] != "actions"]
        pressed = [element for block in blocks[len(shown) :] for element in block["elements"]]
        assert all(len(element["text"]["text"]) <= 75 and len(element["value"]) <= 2000 for element in pressed)
        texts = [
            part
            for block in shown
            for part in (block.get("text"), *block.get("fields", ()), *block.get("elements", ()))
            if part
        ]
        for block in Block.parse_all(blocks):
            block.validate_json()
        assert len(blocks) <= 50
        assert sum(len(part["text"]) for part in texts) <= MAX_TOTAL
        assert all(part["text"] for part in texts)
        assert len(blocks[0]["text"]["text"]) <= 150
        marked = [part["text"] for part in texts if part["type"] == "mrkdwn"] + [sent["text"]]
        ours = "<@U123456>" if mention else "\0"
        assert all("<" not in text.replace(ours, "") and ">" not in text.replace(ours, "") for text in marked)
        assert not any(re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", part["text"]) for part in texts)
        json.dumps(sent).encode()
    again = reply(message, revision=1, mention="U1")
    assert again["text"].count("<") == 1


@settings(max_examples=20, deadline=None)
@given(name=TEXT, owner=TEXT)
def test_whatever_a_customer_is_called_a_mail_has_only_our_headers(name: str, owner: str) -> None:
    mail = mime(said(attributes=Attributes(name=name, owner=owner)), LETTER)
    mail.as_bytes()
    assert {key.lower() for key in mail} == {
        *("from", "to", "subject", "date", "message-id", "list-id", "auto-submitted", "x-churnwatch-alert"),
        *("mime-version", "content-type"),
    }
    assert mail["To"] == "dana@example.com"


def test_a_mail_is_threaded_marked_and_escaped() -> None:
    message = said(attributes=Attributes(name="<b>Acme</b> & Söhne"))
    mail = mime(message, LETTER)
    assert mail["Message-ID"] == f"<alert.{message.alert}.1@example.com>"
    assert (mail["Auto-Submitted"], mail["References"]) == ("auto-generated", None)
    body = mail.get_body(("html",))
    text = mail.get_body(("plain",))
    assert body is not None
    assert text is not None
    assert html.escape("<b>Acme</b> & Söhne") in body.get_content()
    assert "<b>Acme</b> & Söhne: at risk" in text.get_content()


@pytest.mark.parametrize("to", ["a@b\r\nBcc: c@d", "not an address", "a@b, c@d", "", "@"])
def test_no_address_gets_a_mail_that_is_none(to: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the reason is the parser's
        mime(said(), Letter(**{**{f: getattr(LETTER, f) for f in LETTER.__slots__}, "to": to}))


@settings(max_examples=50)
@given(st.text(max_size=100), st.integers(2, 80))
def test_an_entity_is_never_cut_in_two(text: str, limit: int) -> None:
    escaped = escape(text, limit)
    assert len(escaped) <= limit
    assert re.fullmatch(r"(&(amp|lt|gt);|[^&<>])*", escaped, re.DOTALL)


def test_clean_text_is_one_visible_line() -> None:
    assert clean("  a\u202e\x00b\n\tc\u2028d\ud800  ") == "ab c d"
    assert clean("x" * 200, 10) == "x" * 9 + "…"


def test_worsening_is_said_in_the_reply() -> None:
    worse = reply(said(severity=Severity.CRITICAL), revision=3, mention=None)
    assert worse["text"] == "🔴 Acme GmbH got worse: now critical"
    assert worse["metadata"]["event_payload"]["revision"] == 3
