"""Transitions on real Kafka become one Slack message and one mail thread, whatever fails on the way."""

from collections.abc import AsyncIterator

import pytest

from lab.slack_double.faults import Fault, FaultKind
from services.alerts.book import Book
from services.alerts.core.routing import Receiver, Route
from shared.contracts.alerts import AlertState, Command, CommandKind, DeliveryState
from shared.contracts.health import Attributes
from shared.contracts.journey import Unmet
from shared.contracts.risk import Change, Evidence, Severity
from shared.kafka import read_to_end
from tests.support.alerting import Service, Slack, service, slack_double
from tests.support.risk import OWNER, T0, routes, transition
from tests.support.servers import Mailbox
from tests.support.waiting import soon

MINUTE = 60_000


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with slack_double(hang_s=30) as double:
        yield double


async def test_a_transition_reaches_its_owner_in_slack_and_by_mail(kafka: str, slack: Slack, smtp: Mailbox) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        await alerts.put(transition())

        async def told() -> bool:
            return len(slack.messages) == 1 and len(smtp.messages) == 1

        await soon(told)
        assert slack.headers() == ["🟠 Acme GmbH: at risk"]
        assert slack.where(slack.messages[0]) == OWNER
        mail = smtp.messages[0]
        assert mail["To"] == OWNER
        assert "Acme GmbH" in mail["Subject"]


async def test_the_message_is_edited_for_its_whole_life_and_the_mails_are_one_thread(
    kafka: str, slack: Slack, smtp: Mailbox
) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        await alerts.put(transition())

        async def opened() -> bool:
            return len(slack.messages) == 1 and len(smtp.messages) == 1

        await soon(opened)
        alert_id = transition().episode
        ack = Command(id="c1", kind=CommandKind.ACK, alert=alert_id, account="acme", by="Dana", at=T0 + 1)
        await alerts.say(ack)

        async def acknowledged() -> bool:
            return "Acknowledged by Dana" in str(slack.messages[0].blocks)

        await soon(acknowledged)
        await alerts.put(transition(Change.WORSENED, severity=Severity.CRITICAL, at=T0 + MINUTE))

        async def worse() -> bool:
            return slack.headers() == ["🔴 Acme GmbH: critical"] and len(slack.replies) == 1 and len(smtp.messages) == 2

        await soon(worse)
        assert slack.replies[0].text.startswith("<@U")
        await alerts.put(transition(Change.RESOLVED, at=T0 + 2 * MINUTE))

        async def over() -> bool:
            return slack.headers() == ["✅ Acme GmbH: resolved"] and len(smtp.messages) == 3

        await soon(over)
        sent = [mail["Message-ID"] for mail in smtp.messages]
        assert len(set(sent)) == 3
        first = sent[0]
        assert [mail["References"] for mail in smtp.messages] == [None, first, first]
        assert slack.double.counts()["duplicates"] == 0


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.RATE_LIMITED, method="chat.postMessage", times=2, retry_after="1"),
        Fault(kind=FaultKind.HTTP, status=503, method="chat.postMessage", times=3),
        Fault(kind=FaultKind.HTML, method="chat.postMessage", times=2),
        Fault(kind=FaultKind.ERROR, error="internal_error", method="chat.postMessage", times=2),
        Fault(kind=FaultKind.HTTP, status=500, method="users.lookupByEmail"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.method}",
)
async def test_a_passing_fault_of_slack_delays_the_message_and_not_the_mail(
    kafka: str, slack: Slack, smtp: Mailbox, fault: Fault
) -> None:
    slack.double.faults.set([fault])
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        await alerts.put(transition())

        async def told() -> bool:
            return len(slack.messages) == 1 and len(smtp.messages) == 1

        await soon(told)
        assert slack.double.counts()["duplicates"] == 0


async def test_nothing_waits_with_a_process_that_is_active_no_more(kafka: str, slack: Slack) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.HTTP, status=503, method="chat.postMessage", times=10_000)])
    async with service(kafka, slack=slack.url) as alerts:
        await alerts.put(transition())

        async def waits() -> bool:
            return waiting(alerts) == 1

        await soon(waits)
        await alerts.kill()
        assert waiting(alerts) == 0


def waiting(alerts: Service) -> float | None:
    return alerts.alerts.registry.get_sample_value("churn_alerts_deliveries_waiting", {"channel": "slack"})


async def test_slack_being_down_does_not_hold_up_mail(kafka: str, slack: Slack, smtp: Mailbox) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.TIMEOUT_BEFORE, times=10_000)])
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        await alerts.put(*[transition(account=f"a{n}") for n in range(20)])

        async def mailed() -> bool:
            return len(smtp.messages) == 20

        await soon(mailed, within_s=10)
        assert slack.messages == []


async def test_a_post_whose_answer_was_lost_is_found_instead_of_repeated(
    kafka: str, slack: Slack, smtp: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alerts.channels.slack.TIMEOUT_S", 1)
    slack.double.faults.set([Fault(kind=FaultKind.TIMEOUT_AFTER, method="chat.postMessage")])
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        await alerts.put(transition())

        async def known() -> bool:
            return alerts.calls("slack", "found") == 1

        await soon(known)
        assert len(slack.messages) == 1
        assert alerts.calls("slack", "doubtful") == 1


async def test_a_process_that_dies_between_call_and_answer_does_not_post_twice(
    kafka: str, slack: Slack, smtp: Mailbox
) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.TIMEOUT_AFTER, method="chat.postMessage")])
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        await alerts.put(transition())

        async def posted() -> bool:
            return len(slack.messages) == 1

        await soon(posted)
        await alerts.kill()
        kept = await alerts.kept()
        states = {delivery.channel: delivery.state for delivery in kept["acme"].deliveries}
        assert states["slack"] is DeliveryState.INTENDED
        await alerts.start()
        await alerts.put(transition(Change.RESOLVED, at=T0 + MINUTE))

        async def over() -> bool:
            return slack.headers() == ["✅ Acme GmbH: resolved"]

        await soon(over)
        assert len(slack.messages) == 1


async def test_a_restart_and_a_replay_change_nothing(kafka: str, slack: Slack, smtp: Mailbox) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        log = [transition(), transition(rule="usage_drop", at=T0)]
        await alerts.put(*log)

        async def told() -> bool:
            kept = (await alerts.kept()).get("acme")
            return kept is not None and len(kept.reasons) == 2 and all(d.state == "delivered" for d in kept.deliveries)

        await soon(told)
        before, counts, mails = await alerts.kept(), slack.double.counts(), len(smtp.messages)
        await alerts.kill()
        await alerts.start()
        await alerts.put(*log, transition(account="last"))  # the scorer writes again after a crash of its own

        async def passed() -> bool:
            return "last" in await alerts.kept() and len(slack.messages) == 2 and len(smtp.messages) == mails + 1

        await soon(passed)
        assert (await alerts.kept())["acme"] == before["acme"]
        assert slack.double.counts()["edits"] == counts["edits"]


@pytest.mark.parametrize(
    ("owner", "words"), [(None, "has no owner"), ("who@elsewhere.example", "who@elsewhere.example, is unknown")]
)
async def test_without_a_known_owner_the_default_channel_is_told_and_told_why(
    kafka: str, slack: Slack, smtp: Mailbox, owner: str | None, words: str
) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        some = transition()
        attributes = type(some.attributes)(name="Acme GmbH", owner=owner)
        await alerts.put(transition(attributes=attributes))

        async def told() -> bool:
            return [slack.where(said) for said in slack.messages] == ["#churn-alerts"]

        await soon(told)
        assert words in str(slack.messages[0].blocks)
        assert smtp.messages == []


async def test_a_stage_whose_contact_nobody_knows_is_told_of_in_the_default_channel(
    kafka: str, slack: Slack, smtp: Mailbox
) -> None:
    stage = Receiver(slack=["stage_contact"], mail=["stage_contact"])
    told = routes(receivers={"stage": stage}, route=Route(receivers=["stage"]))
    unmet = Unmet(stage="onboarding", milestone="live", days=1, all_of=[], any_of=[], contact="eve@elsewhere.example")
    evidence = [Evidence(feature="milestones_overdue", value=1, unmet=[unmet])]
    async with service(kafka, slack=slack.url, smtp_port=smtp.port, told=told) as alerts:
        await alerts.put(transition(rule="milestone_overdue", evidence=evidence))

        async def said() -> bool:
            is_refused = alerts.calls("mail", "refused") == 1
            return is_refused and [slack.where(one) for one in slack.messages] == ["#churn-alerts"]

        await soon(said)
        assert "the contact of its stage, eve@elsewhere.example, is unknown here" in str(slack.messages[0].blocks)
        assert smtp.messages == []


async def test_what_slack_refuses_for_good_goes_to_the_default_mail(kafka: str, slack: Slack, smtp: Mailbox) -> None:
    slack.double.faults.set([Fault(kind=FaultKind.ERROR, error="invalid_auth", times=100)])
    told = routes(route=Route(receivers=["team"]))
    async with service(kafka, slack=slack.url, smtp_port=smtp.port, told=told) as alerts:
        await alerts.put(transition())

        async def mailed() -> bool:
            return [mail["To"] for mail in smtp.messages] == ["lead@example.com"]

        await soon(mailed)
        kept = (await alerts.kept())["acme"]
        assert {d.target: d.error for d in kept.deliveries}["#team"] == "invalid_auth"


async def test_a_mail_server_that_is_busy_is_asked_again_and_one_refusal_harms_nobody_else(
    kafka: str, slack: Slack, smtp: Mailbox
) -> None:
    smtp.refuse = lambda address: "550 no such user" if address == OWNER else None
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        other = type(transition().attributes)(name="Other", owner="sam@example.com")
        await alerts.put(transition(), transition(account="other", attributes=other))

        async def told() -> bool:
            # the refusal may come after both of the others are through
            return len(slack.messages) == 2 and len(smtp.messages) == 1 and alerts.calls("mail", "refused") == 1

        await soon(told)


async def test_a_record_that_cannot_be_read_is_dead_lettered_and_the_next_one_counts(
    kafka: str, slack: Slack, smtp: Mailbox
) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        for bad in (b"{", b"\xff", b'{"id":1}', None, b"[" * 100_000):
            await alerts.producer.send_and_wait(alerts.alerts.names.risk, bad, key=b"acme")
        await alerts.put(transition())

        async def told() -> bool:
            return len(slack.messages) == 1

        await soon(told)
        dead = [record async for record in read_to_end(kafka, alerts.alerts.names.dead_letters)]
        assert len(dead) == 5


async def test_after_a_stay_longer_than_the_topic_keeps_it_goes_on_with_what_is_left(
    kafka: str, slack: Slack, smtp: Mailbox
) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:

        async def told_of(names: set[str]) -> bool:
            return set(await alerts.kept()) == names and len(slack.messages) == len(names)

        await alerts.put(transition())
        await soon(lambda: told_of({"acme"}))
        await alerts.kill()
        await alerts.put(*[transition(account=f"lost{n}") for n in range(8)])
        await alerts.forget()
        await alerts.start()
        await alerts.put(transition(account="later"))
        await soon(lambda: told_of({"acme", "later"}))


async def test_a_new_alert_does_not_leave_the_old_message_as_it_was(kafka: str, slack: Slack, smtp: Mailbox) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        await alerts.put(transition())

        async def opened() -> bool:
            return len(slack.messages) == 1

        await soon(opened)
        slack.double.faults.set([Fault(kind=FaultKind.HTTP, status=503, method="chat.update", times=3)])
        again = T0 + 5 * MINUTE
        await alerts.put(transition(Change.RESOLVED, at=T0 + MINUTE), transition(opened_at=again))

        async def both() -> bool:
            return sorted(slack.headers()) == ["✅ Acme GmbH: resolved", "🟠 Acme GmbH: at risk"]

        await soon(both)

        async def settled() -> bool:
            return not (await alerts.kept())["acme"].earlier

        await soon(settled)
        assert (await alerts.kept())["acme"].state is AlertState.OPEN


def erasure(at: int = T0 + MINUTE) -> Command:
    return Command(id=f"erase-{at}", kind=CommandKind.ERASE, alert="", account="acme", by="churnwatch erase", at=at)


async def test_an_erased_account_is_let_go_of_once_its_message_says_that_it_ended(
    kafka: str, slack: Slack, smtp: Mailbox
) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:

        async def opened() -> bool:
            return len(slack.messages) == 1

        async def edited() -> bool:
            return [header.endswith(" acme: closed") for header in slack.headers()] == [True]

        await alerts.put(transition())
        await soon(opened)
        slack.double.faults.set([Fault(kind=FaultKind.HTTP, status=503, method="chat.update", times=10_000)])
        ended = transition(Change.EXPIRED, at=T0 + 2 * MINUTE, attributes=Attributes(), contributions=[], evidence=[])
        await alerts.put(ended)
        await alerts.say(erasure())

        async def asked() -> bool:
            kept = (await alerts.kept())["acme"]
            return kept.erased and kept.state is AlertState.EXPIRED

        await soon(asked)
        await alerts.kill()
        slack.double.faults.set([])
        await alerts.start()
        await soon(edited)
        await soon(lambda: nothing_kept(alerts))
        await alerts.kill()
        await alerts.start()
        await alerts.put(ended, transition(account="other"))

        async def other() -> bool:
            return len(slack.messages) == 2

        await soon(other)
        assert set(await alerts.kept()) == {"other"}
        assert "Acme GmbH" not in str(slack.messages[0].blocks)
        assert slack.double.counts()["duplicates"] == 0
        book = Book()
        async for record in read_to_end(kafka, alerts.alerts.names.alerts):
            book.apply(record)
        assert book.get(transition().episode) is None
        assert [alert.account for alert in book.page(None, after=None, limit=9)] == ["other"]


async def nothing_kept(alerts: Service) -> bool:
    return not await alerts.kept()


async def test_what_ended_before_its_account_was_erased_goes_and_what_comes_later_stays(
    kafka: str, slack: Slack, smtp: Mailbox
) -> None:
    async with service(kafka, slack=slack.url, smtp_port=smtp.port) as alerts:
        await alerts.put(transition(), transition(Change.RESOLVED, at=T0 + 1))

        async def over() -> bool:
            return slack.headers() == ["✅ Acme GmbH: resolved"]

        await soon(over)
        await alerts.say(erasure())
        await soon(lambda: nothing_kept(alerts))
        await alerts.put(transition(opened_at=T0 + 5 * MINUTE))

        async def anew() -> bool:
            return len(slack.messages) == 2

        await soon(anew)
        await alerts.say(erasure())
        await alerts.put(transition(Change.RESOLVED, opened_at=T0 + 5 * MINUTE, at=T0 + 6 * MINUTE))

        async def resolved() -> bool:
            return slack.headers() == ["✅ Acme GmbH: resolved"] * 2

        await soon(resolved)
        kept = (await alerts.kept())["acme"]
        assert (kept.opened_at, kept.erased, kept.attributes.name) == (T0 + 5 * MINUTE, False, "Acme GmbH")
