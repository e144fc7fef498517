"""Ask Slack who somebody is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import aiohttp
from pydantic import Field, SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from lab.people.standing import Checked, SlackUser, check_person
from lab.trouble import Trouble
from services.alerts.core.people import People
from shared.settings import ServiceSettings

ATTEMPTS: Final = 5
MOST_WAIT_S: Final = 60.0
_NOBODY: Final = frozenset({"users_not_found", "user_not_found", "user_not_visible"})
_REMEDIES: Final = {
    "not_authed": "set CHURNWATCH_SLACK_TOKEN to the app's bot token (xoxb-…)",
    "invalid_auth": "CHURNWATCH_SLACK_TOKEN is not valid; copy the bot token (xoxb-…) from the app's page again",
    "token_revoked": "CHURNWATCH_SLACK_TOKEN was revoked; install the app again",
    "missing_scope": "the app needs the scopes of deploy/slack/manifest.yaml: add them and install it again",
}


class SlackSettings(ServiceSettings):
    """Where Slack is asked."""

    slack_url: str = Field("https://slack.com/api/", description="Where Slack's Web API is")
    slack_token: SecretStr = Field(SecretStr(""), description="Slack bot token (xoxb-...); without it no Slack")


class Slack:
    """The people of one workspace."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def by_email(self, email: str) -> SlackUser | None:
        """Return who has an address; Slack finds nobody deactivated so. Raises Trouble."""
        return await self._user(lambda: self._client.users_lookupByEmail(email=email))

    async def by_id(self, user: str) -> SlackUser | None:
        """Return who has an id, deactivated or not. Raises Trouble."""
        return await self._user(lambda: self._client.users_info(user=user))

    async def _user(self, ask: Callable[[], Awaitable[Any]]) -> SlackUser | None:
        for _ in range(ATTEMPTS):
            try:
                said = await _answer(ask())
            except _Later as later:
                await asyncio.sleep(later.wait_s)
                continue
            return None if said is None else SlackUser(id=str(said["id"]), is_deactivated=bool(said.get("deleted")))
        raise Trouble("slack asks to come back later again and again; try it in some minutes")


async def check_people(people: People, slack: Slack) -> list[Checked]:
    """Compare everybody of the file with Slack, in the file's order. Raises Trouble."""
    found = []
    for person in people.people:
        by_email = await slack.by_email(person.email)
        by_id = await slack.by_id(person.slack) if person.slack else None
        found.append(check_person(person, by_email=by_email, by_id=by_id))
    return found


async def unknown_to_slack(emails: Iterable[str], slack: Slack) -> frozenset[str]:
    """Return the addresses under which Slack has nobody active. Raises Trouble."""
    found = {email: await slack.by_email(email) for email in sorted(set(emails))}
    return frozenset(email for email, user in found.items() if user is None or user.is_deactivated)


def slack_client(settings: SlackSettings) -> AsyncWebClient | None:
    """Return a client, None where no token is given."""
    token = settings.slack_token.get_secret_value()
    url = settings.slack_url if settings.slack_url.endswith("/") else f"{settings.slack_url}/"
    return AsyncWebClient(token=token, base_url=url, timeout=10) if token else None


class _Later(Exception):
    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


async def _answer(call: Awaitable[Any]) -> Mapping[str, Any] | None:
    try:
        said = await call
    except SlackApiError as fault:
        reason = str(fault.response.get("error") or "")
        if reason in _NOBODY:
            return None
        if reason == "ratelimited":
            told = str(fault.response.headers.get("Retry-After", "1"))
            raise _Later(min(float(told) if told.isdecimal() else 1.0, MOST_WAIT_S)) from None
        raise Trouble(
            f"slack refuses: {reason or fault}; {_REMEDIES.get(reason, 'see api.slack.com/methods')}"
        ) from None
    except (aiohttp.ClientError, SlackClientError, OSError, TimeoutError, ValueError) as fault:
        words = f"no slack answers: {type(fault).__name__}; check CHURNWATCH_SLACK_URL and the network"
        raise Trouble(words) from None
    found: Mapping[str, Any] = said["user"]
    return found
