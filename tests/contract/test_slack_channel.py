"""What our Slack channel does with each answer Slack can give, through the real SDK against the double."""

import time
from collections.abc import AsyncIterator

import pytest
import yaml
from slack_sdk.web.async_client import AsyncWebClient

from lab.slack_double.faults import Fault, FaultKind
from services.alerts.channels.channel import Broken, Busy, ChannelProblem, Doubtful, Order, Refused
from services.alerts.channels.slack import SlackChannel, slack_session
from services.alerts.core.alert import Position, fold
from services.alerts.core.message import message_of
from services.alerts.core.people import People
from tests.support.alerting import Slack, slack_double
from tests.support.risk import CONFIG, OWNER, background, transition

POST = "chat.postMessage"


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with slack_double() as double:
        yield double


@pytest.fixture
async def channel(slack: Slack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackChannel]:
    monkeypatch.setattr("services.alerts.channels.slack.TIMEOUT_S", 0.5)
    async with slack_session() as session:
        client = AsyncWebClient(token="xoxb-x", base_url=f"{slack.url}api/", session=session, retry_handlers=[])
        yield SlackChannel(client, People(), clock_s=time.monotonic)


def order(**changed: object) -> Order:
    alert = fold(None, transition(), position=Position(topic="r", partition=0, offset=0)).alert
    assert alert is not None
    values = {
        "message": message_of(alert, background()),
        "revision": 1,
        "target": "#churn-alerts",
        "handle": None,
        "reply": False,
        "doubtful": False,
        "since": int(time.time() * 1000),
    }
    return Order(**{**values, **changed})  # type: ignore[arg-type]  # the caller's fields replace ours


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (Fault(kind=FaultKind.RATE_LIMITED, method=POST, retry_after="7"), Busy),
        (Fault(kind=FaultKind.HTTP, status=500, method=POST), Doubtful),
        (Fault(kind=FaultKind.HTTP, status=503, method=POST), Doubtful),
        (Fault(kind=FaultKind.HTML, method=POST), Doubtful),
        (Fault(kind=FaultKind.TIMEOUT_BEFORE, method=POST), Doubtful),
        (Fault(kind=FaultKind.TIMEOUT_AFTER, method=POST), Doubtful),
        (Fault(kind=FaultKind.TIMEOUT_BEFORE, method="users.lookupByEmail"), Broken),
        (Fault(kind=FaultKind.ERROR, error="internal_error", method=POST), Doubtful),
        (Fault(kind=FaultKind.ERROR, error="channel_not_found", method=POST), Refused),
        (Fault(kind=FaultKind.ERROR, error="invalid_auth"), Refused),
        (Fault(kind=FaultKind.ERROR, error="msg_blocks_too_long", method=POST), Refused),
        (Fault(kind=FaultKind.ERROR, error="some_new_error", method=POST), Refused),
    ],
    ids=lambda value: f"{value.kind}-{value.status}-{value.error}" if isinstance(value, Fault) else value.__name__,
)
async def test_each_failure_is_told_apart(
    slack: Slack, channel: SlackChannel, fault: Fault, problem: type[ChannelProblem]
) -> None:
    slack.double.faults.set([fault])
    with pytest.raises(problem):
        await channel.tell(order())


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("7", 7.0), ("0", 1.0), ("1e9", 900.0), ("soon", 5.0), ("nan", 5.0), (None, 5.0), ("-1", 1.0)],
)
async def test_retry_after_is_honoured_within_reason(
    slack: Slack, channel: SlackChannel, header: str | None, wait_s: float
) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.RATE_LIMITED, method=POST, retry_after=header)])
    with pytest.raises(Busy) as busy:
        await channel.tell(order())
    assert busy.value.wait_s == wait_s


@pytest.mark.parametrize("target", ["#churn-alerts", f"@{OWNER}"])
async def test_a_post_whose_answer_was_lost_is_found_by_its_metadata(
    slack: Slack, channel: SlackChannel, target: str
) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.TIMEOUT_AFTER, method=POST)])
    with pytest.raises(Doubtful):
        await channel.tell(order(target=target))
    receipt = await channel.tell(order(target=target, doubtful=True))
    assert receipt.found
    assert len(slack.messages) == 1
    assert receipt.handle == f"{slack.messages[0].channel}/{slack.messages[0].ts}"


async def test_a_reply_whose_answer_was_lost_is_not_repeated(slack: Slack, channel: SlackChannel) -> None:
    receipt = await channel.tell(order())
    slack.double.faults.set([Fault(kind=FaultKind.TIMEOUT_AFTER, method=POST)])
    with pytest.raises(Doubtful):
        await channel.tell(order(handle=receipt.handle, reply=True))
    assert (await channel.tell(order(handle=receipt.handle, reply=True, doubtful=True))).found
    assert len(slack.replies) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(slack: Slack, channel: SlackChannel, status: int) -> None:
    async with slack_double() as elsewhere:
        location = f"{elsewhere.url}api/{POST}"
        slack.double.faults.set([Fault(kind=FaultKind.HTTP, method=POST, status=status, location=location)])
        with pytest.raises(Doubtful):
            await channel.tell(order())
        assert not elsewhere.double.calls


async def test_a_message_somebody_deleted_is_posted_anew(slack: Slack, channel: SlackChannel) -> None:
    receipt = await channel.tell(order())
    slack.double.workspace.messages.clear()
    again = await channel.tell(order(handle=receipt.handle))
    assert again.handle != receipt.handle
    assert len(slack.messages) == 1


async def test_slack_is_asked_for_a_person_once_in_a_while(slack: Slack, channel: SlackChannel) -> None:
    for _ in range(3):
        await channel.tell(order())
    assert slack.double.calls["users.lookupByEmail"] == 1


async def test_the_manifest_asks_for_every_scope_our_calls_need() -> None:
    manifest = yaml.safe_load((CONFIG.parent / "deploy" / "slack" / "manifest.yaml").read_text("utf-8"))
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == {
        *("chat:write", "chat:write.public", "im:write", "users:read", "users:read.email", "channels:read"),
        *("channels:history", "groups:history", "im:history", "metadata.message:read"),
    }
