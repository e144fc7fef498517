"""Take somebody's word that a milestone is reached: an event, durable before it is answered, then told in its alert."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import APIRouter, Body, Header, Response, params
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Limited

from services.alerts.answer import Refused, answer, answers
from services.alerts.core.milestone import Word, event_of, has, open_names
from services.alerts.core.stage import unmet
from shared.contracts.alerts import Alert, Command, CommandKind
from shared.contracts.health import AccountHealth
from shared.contracts.topics import EVENTS
from shared.publish import NotDurable, Record


class Assertion(BaseModel):
    """Which milestone of the account's stage is reached, who says so, and what else they say."""

    model_config = ConfigDict(extra="forbid")

    name: str = Limited(min_length=1, max_length=100)
    by: str = Limited(min_length=1, max_length=200)
    text: str | None = Limited(None, max_length=1000)


class Asserted(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word that is durable as an event; health and alert follow within seconds."""

    event: str
    account: str
    milestone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestones:
    """Where words go. `publish` puts events into their log, `send` commands; both return when they are durable."""

    publish: Callable[[Sequence[Record]], Awaitable[None]]
    send: Callable[[Command], Awaitable[None]]
    alert_of: Callable[[str], Alert | None]
    """The open alert of an account."""

    async def take(self, word: Word) -> Asserted:
        """Return when a word is durable; raises Refused when that is not known, and then it may be said again."""
        event = event_of(word)
        record = Record(topic=EVENTS, key=word.account.encode(), value=msgspec.json.encode(event))
        try:
            await self.publish([record])
        except NotDurable as fault:
            said = f"not durable, repeat it: {fault}"
            raise Refused(503, "unavailable", said, retry_after_s=fault.retry_after_s) from fault
        alert = self.alert_of(word.account)
        if alert is not None and any(one.milestone == word.milestone for one in unmet(alert.reasons)):
            await self.send(_told(word, alert, event.id))
        return Asserted(event=event.id, account=word.account, milestone=word.milestone)


def take_assertions(
    milestones: Milestones,
    routes: APIRouter,
    *,
    acts: params.Depends,
    known: Callable[[str], Awaitable[AccountHealth]],
    now_ms: Callable[[], int],
    new_id: Callable[[], str],
) -> None:
    """Add the route on which somebody says that a milestone is reached."""

    @routes.post(
        "/accounts/{account:path}/milestones",
        dependencies=[acts],
        status_code=202,
        responses=answers(Asserted, 404, 413, status=202),
    )
    async def assert_milestone(
        account: str,
        said: Annotated[Assertion, Body()],
        idempotency_key: Annotated[str | None, Header(min_length=8, max_length=64)] = None,
    ) -> Response:
        """Say that a milestone of the account's stage is reached, as of now. It can't be taken back.

        Repeating it is harmless, also once the milestone is met. A name the stage doesn't have is refused with those
        that are still open.
        """
        journey = (await known(account)).journey
        if not has(journey, said.name):
            raise Refused(422, "unknown_milestone", _unknown(said.name, open_names(journey)))
        once = idempotency_key or new_id()
        word = Word(account=account, milestone=said.name, by=said.by, at=now_ms(), once=once, text=said.text)
        return answer(await milestones.take(word), status=202)


def _told(word: Word, alert: Alert, event: str) -> Command:
    """Return the command by which an alert that lacks the milestone says whose word there is."""
    return Command(
        id=event,
        kind=CommandKind.MILESTONE,
        alert=alert.id,
        account=word.account,
        by=word.by,
        at=word.at,
        text=word.text,
        milestone=word.milestone,
    )


def _unknown(name: str, still_open: Sequence[str]) -> str:
    names = ", ".join(map(repr, still_open))
    return f"the account's stage has no milestone {name!r}; open are: {names or 'none'}"
