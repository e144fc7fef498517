"""Lists and incidents on real Kafka through the Slack double: one message each, whatever dies on the way."""

import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from lab.slack_double.faults import Fault, FaultKind
from services.alerts.notices import read_notices
from shared.contracts.alerts import DeliveryState
from shared.contracts.context import ContextKind, Guard, GuardState
from shared.contracts.health import Attributes
from tests.support.alerting import Service, Slack, service, slack_double
from tests.support.risk import OWNER, transition
from tests.support.servers import Mailbox
from tests.support.waiting import soon


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with slack_double(hang_s=30) as double:
        yield double


async def at_risk_already(alerts: Service) -> None:
    """Tell of 400 accounts of six owners, 90 of them at risk when judging began."""
    for number in range(90):
        attributes = Attributes(name=f"Customer {number}", owner=f"csm{number % 6}@example.com", arr=1000 * number)
        await alerts.put(transition(account=f"a{number}", attributes=attributes, standing=True))


async def test_ninety_standing_risks_of_six_owners_are_six_messages_and_no_pings(kafka: str, slack: Slack) -> None:
    async with service(kafka, slack=slack.url) as alerts:
        await at_risk_already(alerts)

        async def listed() -> bool:
            return sum(header.count("15 accounts") for header in slack.headers()) == 6

        await soon(listed, within_s=30)
        assert sorted(map(slack.where, slack.messages)) == [f"csm{n}@example.com" for n in range(6)]
        assert len(slack.messages) == 6
        assert slack.replies == []
        assert "<@" not in str([said.blocks for said in slack.messages])
        assert slack.double.counts()["duplicates"] == 0


async def test_a_process_that_dies_in_the_call_does_not_tell_a_list_twice(kafka: str, slack: Slack) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.TIMEOUT_AFTER, method="chat.postMessage")])
    async with service(kafka, slack=slack.url) as alerts:
        await at_risk_already(alerts)

        async def posted() -> bool:
            return len(slack.messages) == 1

        await soon(posted)
        await alerts.kill()
        intended = list((await read_notices(kafka, alerts.alerts.names.notices)).values())
        assert len(intended) == 6
        assert {notice.delivery.state for notice in intended} == {DeliveryState.INTENDED}
        await alerts.start()

        async def listed() -> bool:
            kept = await read_notices(kafka, alerts.alerts.names.notices)
            return {notice.delivery.state for notice in kept.values()} == {DeliveryState.DELIVERED}

        await soon(listed)
        assert sorted(map(slack.where, slack.messages)) == [f"csm{n}@example.com" for n in range(6)]
        assert slack.double.counts()["duplicates"] == 0
        assert alerts.calls("slack", "found") == 1


async def test_where_only_mail_is_set_up_the_list_is_a_mail(kafka: str, smtp: Mailbox) -> None:
    async with service(kafka, slack=None, smtp_port=smtp.port) as alerts:
        await alerts.put(*[transition(account=f"a{number}", standing=True) for number in range(3)])

        async def mailed() -> bool:
            return len(smtp.messages) == 1

        await soon(mailed)
        assert (smtp.messages[0]["To"], smtp.messages[0]["Subject"]) == (OWNER, "3 accounts were at risk already")
        assert "EUR 48,000 a year" in smtp.messages[0].as_string()


async def test_two_workers_that_miss_one_source_are_one_incident(kafka: str, slack: Slack) -> None:
    async with service(kafka, slack=slack.url) as alerts:

        async def say(state: GuardState, partitions: list[int], at: int) -> None:
            guard = Guard(source="/sources/web", partitions=partitions, state=state, at=at, accounts=20)
            topic = alerts.alerts.names.context
            await alerts.producer.send_and_wait(topic, msgspec.json.encode(guard), key=ContextKind.GUARD.encode())

        now = time.time_ns() // 1_000_000
        await say(GuardState.HELD, [0, 1], now)
        await say(GuardState.HELD, [2, 3], now + 1)

        async def told() -> bool:
            return slack.headers() == ["Source web fell silent"]

        await soon(told, within_s=20)
        assert slack.where(slack.messages[0]) == "#churn-ops"
        await say(GuardState.OVER, [0, 1], now + 2)
        await say(GuardState.OVER, [2, 3], now + 3)

        async def over() -> bool:
            return slack.headers() == ["Source web is back"]

        await soon(over, within_s=20)
        assert len(slack.messages) == 1
