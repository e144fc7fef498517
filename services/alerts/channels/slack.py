"""Tell alerts in Slack: one message an alert, edited in place, with thread replies where an edit is not enough."""

from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from services.alerts.channels.buttons import Buttons
from services.alerts.channels.channel import Broken, Busy, ChannelProblem, Doubtful, Order, Receipt, Refused
from services.alerts.channels.slack_blocks import EVENT_TYPE, payload, reply
from services.alerts.core.message import Message
from services.alerts.core.people import People

TIMEOUT_S: Final = 10
MAX_WAIT_S: Final = 900.0
DEFAULT_WAIT_S: Final = 5.0
LOOK_BACK_MS: Final = 120_000
"""Slack's clock and ours may differ by this much."""
LOOK_UP_PAGES: Final = 20
PERSON_KEPT_S: Final = 600.0
_TRANSIENT: Final = frozenset(
    {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
_GONE: Final = frozenset({"message_not_found", "thread_not_found"})


def slack_session() -> aiohttp.ClientSession:
    """Return a session for calls to Slack: it keeps their time, and no call leaves the host we were told.

    slack_sdk heeds its own timeout only in sessions it makes itself, and offers no way to refuse redirects.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trace_configs=[trace])


class SlackChannel:
    """Slack as a channel. Targets: `#name` or an id of a channel, `@mail` for a direct message to a person."""

    def __init__(
        self, client: AsyncWebClient, people: People, *, clock_s: Callable[[], float], buttons: Buttons | None = None
    ) -> None:
        self._client = client
        self._buttons = buttons
        self._people = people.by_email()
        self._clock_s = clock_s
        self._users: dict[str, tuple[float, str | None]] = {}
        self._rooms: dict[str, str] = {}

    async def tell(self, order: Order) -> Receipt:
        """Post, edit or reply. Raises ChannelProblem; an uncertain post is looked up before it is repeated."""
        mention = await self._mention(order.message.owner)
        if order.reply:
            return await self._reply(order, mention)
        if order.handle is not None:
            try:
                return await self._edit(order, order.handle, mention)
            except _Gone:
                pass  # somebody deleted it: the alert is told anew
        return await self._post(order, mention)

    async def _edit(self, order: Order, handle: str, mention: str | None) -> Receipt:
        room, _, ts = handle.partition("/")
        said = payload(order.message, revision=order.revision, mention=mention, buttons=self._buttons)
        arguments = {name: value for name, value in said.items() if not name.startswith("unfurl")}
        await self._call(self._client.chat_update(channel=room, ts=ts, **arguments), repeatable=True)
        return Receipt(handle=handle)

    async def _post(self, order: Order, mention: str | None) -> Receipt:
        room = await self._room(order.target)
        if order.doubtful and (found := await self._find(await self._id_of(room), order)):
            edited = await self._edit(order, found, mention)
            return Receipt(handle=edited.handle, found=True)
        answer = await self._call(
            self._client.chat_postMessage(
                channel=room, **payload(order.message, revision=order.revision, mention=mention, buttons=self._buttons)
            ),
            repeatable=False,
        )
        self._rooms[order.target] = str(answer["channel"])
        return Receipt(handle=f"{answer['channel']}/{answer['ts']}")

    async def _reply(self, order: Order, mention: str | None) -> Receipt:
        room, _, ts = (order.handle or "").partition("/")
        if order.doubtful and await self._replied(room, ts, order):
            return Receipt(handle=order.handle or "", found=True)
        if not isinstance(order.message, Message):
            raise Refused("a notice has no replies")
        try:
            await self._call(
                self._client.chat_postMessage(
                    channel=room, thread_ts=ts, **reply(order.message, revision=order.revision, mention=mention)
                ),
                repeatable=False,
            )
        except _Gone:
            raise Refused("the message to reply to is gone") from None
        return Receipt(handle=order.handle or "")

    async def _find(self, room: str, order: Order) -> str | None:
        """Return the handle of a post of this alert that lies in the channel, looking back to when it was intended."""
        oldest = f"{(order.since - LOOK_BACK_MS) / 1000:.6f}"
        cursor = ""
        for _ in range(LOOK_UP_PAGES):
            answer = await self._call(
                self._client.conversations_history(
                    channel=room, oldest=oldest, include_all_metadata=True, limit=200, cursor=cursor or None
                ),
                repeatable=True,
            )
            for said in answer.get("messages", []):
                if _is_about(said, order, kind="alert"):
                    return f"{room}/{said['ts']}"
            cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor:
                return None
        return None

    async def _replied(self, room: str, ts: str, order: Order) -> bool:
        answer = await self._call(
            self._client.conversations_replies(channel=room, ts=ts, include_all_metadata=True, limit=200),
            repeatable=True,
        )
        return any(_is_about(said, order, kind="reply") for said in answer.get("messages", []))

    async def _room(self, target: str) -> str:
        if target in self._rooms or not target.startswith("@"):
            return self._rooms.get(target, target)
        user = await self._user(target[1:])
        if user is None:
            raise Refused("users_not_found", person=True)
        answer = await self._call(self._client.conversations_open(users=[user]), repeatable=True)
        self._rooms[target] = str(answer["channel"]["id"])
        return self._rooms[target]

    async def _id_of(self, room: str) -> str:
        """Return a channel's id: chat.postMessage takes names, conversations.history does not."""
        cursor = ""
        for _ in range(LOOK_UP_PAGES):
            if not room.startswith("#"):
                break
            answer = await self._call(
                self._client.conversations_list(limit=1000, exclude_archived=True, cursor=cursor or None),
                repeatable=True,
            )
            named = {f"#{channel['name']}": str(channel["id"]) for channel in answer.get("channels", [])}
            room = named.get(room, room)
            cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor:
                break
        return room

    async def _mention(self, owner: str | None) -> str | None:
        return await self._user(owner) if owner else None

    async def _user(self, email: str) -> str | None:
        """Return the Slack id of a person, or None if neither we nor Slack know one; asked again after ten minutes."""
        known = self._people.get(email.lower())
        if known is not None and known.slack is not None:
            return known.slack
        asked_at, user = self._users.get(email, (float("-inf"), None))
        if self._clock_s() - asked_at < PERSON_KEPT_S:
            return user
        try:
            answer = await self._call(self._client.users_lookupByEmail(email=email), repeatable=True)
            user = str(answer["user"]["id"])
        except Refused as refusal:
            if str(refusal) not in {"users_not_found", "invalid_arguments"}:
                raise
            user = None
        self._users[email] = (self._clock_s(), user)
        return user

    async def _call(self, call: Awaitable[Any], *, repeatable: bool) -> Mapping[str, Any]:
        """Await a call of the SDK and translate its failures; one that can be repeated is never doubtful."""
        uncertain: type[ChannelProblem] = Broken if repeatable else Doubtful
        try:
            answer = await call
        except SlackApiError as error:
            raise _problem(error, uncertain) from error
        except (aiohttp.ClientConnectorError, ConnectionRefusedError) as error:
            raise Broken(f"no connection: {type(error).__name__}") from error
        except (
            TimeoutError,
            aiohttp.ClientError,
            SlackClientError,
            OSError,
            ValueError,
        ) as error:
            raise uncertain(f"no answer: {type(error).__name__}") from error
        data = answer.data
        if not isinstance(data, dict) or data.get("ok") is not True:
            raise uncertain("the answer is not Slack's")
        return data


class Redirected(aiohttp.ClientError):
    """Slack doesn't redirect: something else answered, and what we say is not for whomever it names."""


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, sent: aiohttp.TraceRequestRedirectParams
) -> None:
    raise Redirected(f"redirected by {sent.url.host}")


class _Gone(ChannelProblem):
    """The message to edit is no more."""


def _problem(error: SlackApiError, uncertain: type[ChannelProblem]) -> ChannelProblem:
    response = error.response
    status = getattr(response, "status_code", 200)
    data = getattr(response, "data", None)
    reason = data.get("error") if isinstance(data, dict) else None
    if status == 429 or reason == "ratelimited":
        return Busy("ratelimited", wait_s=_wait_s(getattr(response, "headers", {}) or {}))
    if status >= 500 or reason is None:
        return uncertain(f"http {status}")
    if reason in _GONE:
        return _Gone(reason)
    if reason in _TRANSIENT:
        return uncertain(str(reason)[:100])
    return Refused(str(reason)[:100])


def _wait_s(headers: Mapping[str, Any]) -> float:
    """Return Retry-After in seconds, within 1 s and 15 min; 5 s when it is absent or no number."""
    raw: object = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if isinstance(raw, list):
        raw = raw[0] if raw else None
    try:
        wait = float(str(raw))
    except ValueError:
        return DEFAULT_WAIT_S
    return min(max(wait, 1.0), MAX_WAIT_S) if wait == wait else DEFAULT_WAIT_S  # noqa: PLR0124  NaN


def _is_about(said: Mapping[str, Any], order: Order, *, kind: str) -> bool:
    carried = said.get("metadata") or {}
    values = carried.get("event_payload") or {}
    return (
        carried.get("event_type") == EVENT_TYPE
        and values.get("alert_id") == order.message.alert
        and values.get("kind") == kind
        and (kind == "alert" or values.get("revision") == order.revision)
    )
