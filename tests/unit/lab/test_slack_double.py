"""The Slack double answers like Slack where it matters, counts duplicates, and shows what it got."""

from pathlib import Path
from typing import Any

import pytest

from lab.slack_double.__main__ import arguments
from lab.slack_double.faults import Fault, FaultKind, FaultPlan
from lab.slack_double.page import mrkdwn, render
from lab.slack_double.server import SlackDouble
from lab.slack_double.workspace import Workspace


def workspace(folder: Path | None = None) -> Workspace:
    return Workspace(now_s=lambda: 1_795_000_000.0, domains=frozenset({"example.com"}), folder=folder)


def answer(double: SlackDouble, method: str, **said: Any) -> dict[str, Any]:
    return double._answer(method, said, token="Bearer x")


def about(alert: str, kind: str = "alert", revision: int = 1) -> dict[str, Any]:
    return {"event_type": "churn_alert", "event_payload": {"alert_id": alert, "kind": kind, "revision": revision}}


def test_messages_get_rising_timestamps_though_the_clock_stands_still() -> None:
    double = SlackDouble(workspace())
    stamps = [answer(double, "chat.postMessage", channel="#a", text=str(n))["ts"] for n in range(3)]
    assert stamps == sorted(set(stamps))


def test_the_same_alert_twice_in_a_channel_is_a_duplicate_and_an_edit_is_not() -> None:
    double = SlackDouble(workspace())
    first = answer(double, "chat.postMessage", channel="#a", text="x", metadata=about("ep_1"))
    answer(double, "chat.update", channel=first["channel"], ts=first["ts"], text="y", metadata=about("ep_1"))
    answer(double, "chat.postMessage", channel="#b", text="x", metadata=about("ep_1"))
    assert double.counts()["duplicates"] == 0
    answer(double, "chat.postMessage", channel="#a", text="x", metadata=about("ep_1"))
    assert double.counts()["duplicates"] == 1


@pytest.mark.parametrize(
    ("method", "said", "error"),
    [
        ("chat.postMessage", {"channel": "C404", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "#a"}, "no_text"),
        ("chat.postMessage", {"channel": "#a", "text": "x", "thread_ts": "1.0"}, "thread_not_found"),
        ("chat.postMessage", {"channel": "#a", "text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ("chat.update", {"channel": "C1", "ts": "1.0", "text": "x"}, "message_not_found"),
        ("conversations.history", {"channel": "#a"}, "channel_not_found"),
        ("conversations.open", {"users": "U404"}, "user_not_found"),
        ("users.lookupByEmail", {"email": "who@elsewhere.example"}, "users_not_found"),
        ("chat.nothing", {}, "unknown_method"),
    ],
)
def test_it_refuses_what_slack_refuses(method: str, said: dict[str, Any], error: str) -> None:
    assert answer(SlackDouble(workspace()), method, **said) == {"ok": False, "error": error}


def test_nobody_else_reads_along_unless_it_is_told_to_listen_elsewhere() -> None:
    assert arguments().parse_args(["--port", "8804"]).host == "127.0.0.1"
    assert arguments().parse_args(["--port", "8804", "--host", "0.0.0.0"]).host == "0.0.0.0"  # noqa: S104  parsed only


def test_without_a_token_nothing_is_told() -> None:
    assert SlackDouble(workspace())._answer("auth.test", {}, token="")["error"] == "not_authed"


def test_what_was_said_survives_a_restart(tmp_path: Path) -> None:
    double = SlackDouble(workspace(tmp_path))
    user = answer(double, "users.lookupByEmail", email="dana@example.com")["user"]["id"]
    room = answer(double, "conversations.open", users=user)["channel"]["id"]
    sent = answer(double, "chat.postMessage", channel=room, text="x", metadata=about("ep_1"))
    answer(double, "chat.update", channel=room, ts=sent["ts"], text="y")
    later = workspace(tmp_path)
    later.load()
    again = SlackDouble(later)
    found = answer(again, "conversations.history", channel=room)["messages"]
    assert [(message["text"], message["edits"]) for message in found] == [("y", 1)]
    assert later.name_of(room) == "dana@example.com"
    assert answer(again, "chat.postMessage", channel=room, text="z")["ts"] > sent["ts"]


def test_faults_are_used_up_in_order_and_only_for_their_method_and_channel() -> None:
    plan = FaultPlan(
        [
            Fault(kind=FaultKind.HTML, method="chat.update"),
            Fault(kind=FaultKind.HTTP, times=2, channel="#a"),
        ]
    )
    here, there = frozenset({"#a"}), frozenset({"#b"})
    kinds = [plan.next("chat.postMessage", names) for names in (there, here, here, here)]
    assert [fault.kind if fault else None for fault in kinds] == [None, "http", "http", None]
    assert plan.next("chat.update", there) is not None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*b* _i_ ~s~ `c`", "<strong>b</strong> <em>i</em> <s>s</s> <code>c</code>"),
        ("2 * 3 * 4, snake_case_name", "2 * 3 * 4, snake_case_name"),
        ("&lt;b&gt; &amp;", "&lt;b&gt; &amp;"),
        ("<https://x.io/?a=1&amp;b=2|there>", '<a href="https://x.io/?a=1&amp;b=2">there</a>'),
        ("<javascript:alert(1)|x>", '<a href="#">x</a>'),
        ("<!channel>", '<span class="mention">@channel</span>'),
        ('<script src="x">', '<a href="#">script src=&quot;x&quot;</a>'),
        ("a\nb", "a<br>b"),
    ],
)
def test_slacks_markup_becomes_html_and_nothing_else_does(text: str, shown: str) -> None:
    assert str(mrkdwn(workspace(), text)) == shown


def test_the_page_shows_the_last_channel_with_its_replies() -> None:
    double = SlackDouble(workspace())
    sent = answer(double, "chat.postMessage", channel="#a", text="Acme <script>", metadata=about("ep_1"))
    answer(double, "chat.postMessage", channel="#a", text="got worse", thread_ts=sent["ts"])
    page = render(double.workspace, channel=None)
    assert "# a</a>" in page
    assert "got worse" in page
    assert "<script>" not in page
    assert "Nothing has been said" in render(workspace(), channel=None)
