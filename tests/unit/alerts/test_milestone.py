"""Somebody's word is an event of its own, the same one whenever it is said again."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from services.alerts.core.alert import Position, fold
from services.alerts.core.milestone import Word, event_of, has, open_names
from services.alerts.milestones import Milestones
from shared.contracts.alerts import Command
from shared.contracts.events import source_of
from shared.contracts.journey import Journey, Milestone, MilestoneState, Unmet
from shared.contracts.risk import Evidence
from shared.publish import Record
from tests.support.risk import T0, transition

WORD = Word(account="acme", milestone="kick-off held", by="Dana", at=T0, once="ep_1", text="on site")


def test_a_word_is_an_event_of_kind_milestone() -> None:
    event = event_of(WORD)
    assert (event.type, event.subject, event.time) == ("churn.milestone.v1", "acme", "2026-11-18T11:06:40.000Z")
    assert msgspec.json.decode(event.data) == {"name": "kick-off held", "by": "Dana", "text": "on site"}
    assert not event.source.startswith(source_of(""))


def test_said_again_later_or_by_somebody_else_it_is_the_same_event() -> None:
    assert event_of(replace(WORD, at=T0 + 1, by="Ken", text=None)).id == event_of(WORD).id


@pytest.mark.parametrize("other", [{"account": "acme2"}, {"milestone": "live"}, {"once": "ep_2"}])
def test_another_word_is_another_event(other: dict[str, str]) -> None:
    assert event_of(replace(WORD, **other)).id != event_of(WORD).id  # type: ignore[arg-type]  # texts, all of them


@pytest.mark.parametrize(("milestone", "told"), [("kick-off held", ["kick-off held"]), ("live", [])])
async def test_only_an_alert_that_lacks_the_milestone_tells_whose_word_there_is(
    milestone: str, told: list[str]
) -> None:
    lacked = Unmet(stage="onboarding", milestone="kick-off held", days=1, all_of=[], any_of=[])
    evidence = [Evidence(feature="milestones_overdue", value=1, unmet=[lacked])]
    late = transition(rule="milestone_overdue", evidence=evidence)
    alert = fold(None, late, position=Position(topic="r", partition=0, offset=0)).alert
    published: list[Record] = []
    sent: list[Command] = []

    async def publish(records: Sequence[Record]) -> None:
        published.extend(records)

    async def send(command: Command) -> None:
        sent.append(command)

    milestones = Milestones(publish=publish, send=send, alert_of={"acme": alert}.get)
    await milestones.take(replace(WORD, milestone=milestone))
    assert [record.key for record in published] == [b"acme"]
    assert [command.milestone for command in sent] == told


def test_a_journey_names_what_is_still_to_be_reached() -> None:
    journey = Journey(
        stage="onboarding",
        goal="In use",
        contact=None,
        channel=None,
        since=None,
        milestones=[
            Milestone(name=state.value, state=state, met_at=None, due=None, all_of=[], any_of=[])
            for state in MilestoneState
        ],
    )
    assert open_names(journey) == ["open", "overdue"]
    assert has(journey, "met")
    assert not has(journey, "else")
    assert (open_names(None), has(None, "met")) == ([], False)
