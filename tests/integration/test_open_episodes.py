"""After a scorer was loaded it lists its open episodes, and the alert service withdraws what it lacks."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from services.alerts.consumer import Names
from services.alerts.core.routing import Receiver
from shared import clock
from shared.contracts.alerts import AlertState
from shared.contracts.partition import partition_of
from shared.contracts.risk import OpenEpisodes, Severity
from shared.contracts.topics import PARTITIONS, RISK
from tests.support.alerting import Service, Slack, service, slack_double
from tests.support.risk import T0, routes, transition
from tests.support.scoring import (
    ScorerProcess,
    event,
    last_context,
    published_lists,
    ticks,
    write,
)
from tests.support.waiting import soon

IN_SLACK = routes(receivers={"owner": Receiver(slack=["owner"])})
OWNER = {"owner": "dana@example.com", "name": "Acme GmbH"}


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with slack_double() as double:
        yield double


async def test_an_alert_that_the_scorer_does_not_have_is_withdrawn_after_a_restart(
    scorer: ScorerProcess, slack: Slack
) -> None:
    scorer.start_ready()
    now = clock.now_ms()
    context = await last_context(scorer.kafka)
    failed = event("acme", "billing", at=now - 3000, number=1, data={"status": "payment_failed"})
    await write(scorer.kafka, [event("acme", "account", at=now - 3000, number=2, data=OWNER), failed])
    await write(scorer.kafka, ticks(now - 2000, context=context))
    await soon(lambda: _listed(scorer.kafka, PARTITIONS))
    async with service(scorer.kafka, slack=slack.url, names=Names(), told=IN_SLACK) as alerts:
        await _put(alerts, "ghost", rule="silence", at=now - 1500)
        await _put(alerts, "acme", rule="silence", at=now - 1500)
        await soon(lambda: _reasons(alerts, {"acme": ["failed_payment", "silence"], "ghost": ["silence"]}))
        assert (await alerts.kept())["acme"].severity is Severity.CRITICAL
        await soon(lambda: _told(slack, 2))

        await asyncio.to_thread(scorer.stop)  # aside: the alert service must not look suspended
        await asyncio.to_thread(scorer.start_ready)
        await write(scorer.kafka, ticks(now - 1000, context=context))
        await soon(lambda: _listed(scorer.kafka, 2 * PARTITIONS))

        await soon(lambda: _reasons(alerts, {"acme": ["failed_payment"], "ghost": []}))
        kept = await alerts.kept()
        assert (kept["acme"].state, kept["ghost"].state) == (AlertState.OPEN, AlertState.WITHDRAWN)
        await soon(lambda: _says(slack, "withdrawn"))
        assert len(slack.messages) == 2
        assert slack.replies == []
        assert alerts.alerts.registry.get_sample_value("churn_alerts_reasons_absent_total") == 2
        assert alerts.alerts.registry.get_sample_value("churn_alerts_episodes_unheard_total") == 0
    (episode,) = [reason.episode for reason in kept["acme"].reasons]
    home = partition_of(b"acme", partitions=PARTITIONS)
    listed = [part for part in await published_lists(scorer.kafka) if part.partition == home]
    assert [(part.at, part.episodes) for part in listed] == [(now - 2000, [episode]), (now - 1000, [episode])]


async def test_a_list_survives_the_end_of_the_alert_service_between_its_parts(kafka: str, slack: Slack) -> None:
    async with service(kafka, slack=slack.url, told=IN_SLACK) as alerts:
        for account in ("acme", "ghost"):
            await alerts.put(transition(account=account))
        await soon(lambda: _reasons(alerts, {"acme": ["silence"], "ghost": ["silence"]}))
        first, last = _parts(transition(account="acme").episode)
        await _send_list(alerts, first)
        await _put_later(alerts, "one")
        await _put_later(alerts, "two")  # by now the offsets after the first part and "one" are committed

        await alerts.kill()
        await alerts.start()
        await _send_list(alerts, last)

        await soon(lambda: _reasons(alerts, {"acme": ["silence"], "ghost": []}))
        assert await _reasons(alerts, {"one": ["silence"], "two": ["silence"]})


def _parts(episode: str) -> tuple[OpenEpisodes, OpenEpisodes]:
    one = OpenEpisodes(partition=0, partitions=1, offset=9, at=T0, part=0, parts=2, episodes=[episode])
    return one, msgspec.structs.replace(one, part=1, episodes=[])


async def _send_list(alerts: Service, part: OpenEpisodes) -> None:
    await alerts.producer.send_and_wait(alerts.alerts.names.risk, msgspec.json.encode(part), partition=0)


async def _put_later(alerts: Service, account: str) -> None:
    """Put a transition into the list's partition that happened after it, and return when it is kept."""
    value = msgspec.json.encode(transition(account=account, opened_at=T0 + 1))
    await alerts.producer.send_and_wait(alerts.alerts.names.risk, value, key=account.encode(), partition=0)
    await soon(lambda: _reasons(alerts, {account: ["silence"]}))


async def _put(alerts: Service, account: str, *, rule: str, at: int) -> None:
    value = msgspec.json.encode(transition(account=account, rule=rule, opened_at=at))
    home = partition_of(account.encode(), partitions=PARTITIONS)
    await alerts.producer.send_and_wait(RISK, value, key=account.encode(), partition=home)


async def _reasons(alerts: Service, wanted: dict[str, list[str]]) -> bool:
    kept = await alerts.kept()
    return all(a in kept and sorted(r.rule for r in kept[a].reasons) == rules for a, rules in wanted.items())


async def _told(slack: Slack, count: int) -> bool:
    return len(slack.messages) == count


async def _says(slack: Slack, word: str) -> bool:
    return any(word in header for header in slack.headers())


async def _listed(kafka: str, parts: int) -> bool:
    return len(await published_lists(kafka)) >= parts
