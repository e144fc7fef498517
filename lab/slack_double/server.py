"""Answer Slack's Web API, with the limits and the strictness of the real one where they matter to us."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from lab.slack_double.faults import Fault, FaultKind, FaultPlan
from lab.slack_double.page import render
from lab.slack_double.press import Interactivity
from lab.slack_double.workspace import Said, Workspace

HANG_S: Final = 60.0
Arguments = Mapping[str, Any]
Answer = dict[str, Any]


class SlackDouble:
    """A Slack of one workspace. Faults come from `faults`, over HTTP (`POST /faults`) or set by a test."""

    def __init__(
        self,
        workspace: Workspace,
        faults: FaultPlan | None = None,
        *,
        hang_s: float = HANG_S,
        interactivity: Interactivity | None = None,
    ) -> None:
        self.workspace = workspace
        self.faults = faults or FaultPlan()
        self.calls: Counter[str] = Counter()
        self.interactivity = interactivity
        self._hang_s = hang_s
        self._methods: Mapping[str, Callable[[Arguments], Answer]] = {
            "auth.test": lambda _said: {"ok": True, "team": "Churnwatch", "user": "churnwatch", "bot_id": "B1"},
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.open": self._open,
            "conversations.list": self._list,
            "users.info": self._info,
            "users.lookupByEmail": self._lookup,
        }

    def app(self) -> web.Application:
        """Return the HTTP application: the API under /api/, the page at /, counts and faults."""
        app = web.Application(client_max_size=1 << 20)
        app.add_routes(
            [
                web.route("*", "/api/{method}", self._call),
                web.get("/", self._page),
                web.get("/healthz", _alive),
                web.get("/counts", self._counts),
                web.get("/messages", self._messages),
                web.post("/faults", self._set_faults),
                web.post("/press", self._press),
            ]
        )
        return app

    def counts(self) -> Mapping[str, Any]:
        """Return what was got: calls by method, messages, edits and duplicates by alert id."""
        messages = self.workspace.messages.values()
        return {
            "calls": dict(self.calls),
            "messages": sum(not message.thread_ts for message in messages),
            "replies": sum(bool(message.thread_ts) for message in messages),
            "edits": sum(message.edits for message in messages),
            "duplicates": self.workspace.duplicates(),
        }

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        said = await _arguments(request)
        self.calls[method] += 1
        fault = self.faults.next(method, self._names(str(said.get("channel", ""))))
        if fault is not None and fault.kind is not FaultKind.TIMEOUT_AFTER:
            return await self._fail(fault)
        answer = self._answer(method, said, token=request.headers.get("Authorization", ""))
        if fault is not None:
            await asyncio.sleep(self._hang_s)
        return web.json_response(answer)

    def _answer(self, method: str, said: Arguments, *, token: str) -> Answer:
        if not token.startswith("Bearer "):
            return _no("not_authed")
        handler = self._methods.get(method)
        return handler(said) if handler else _no("unknown_method")

    async def _fail(self, fault: Fault) -> web.StreamResponse:
        match fault.kind:
            case FaultKind.RATE_LIMITED:
                headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                return web.json_response(_no("ratelimited"), status=429, headers=headers)
            case FaultKind.ERROR:
                return web.json_response(_no(fault.error))
            case FaultKind.HTML:
                return web.Response(text="<html><body>Welcome to the proxy</body></html>", content_type="text/html")
            case FaultKind.HTTP:
                headers = {"Location": fault.location} if fault.location else {}
                down = "<html>down</html>"
                return web.Response(status=fault.status, text=down, content_type="text/html", headers=headers)
        await asyncio.sleep(self._hang_s)
        return web.json_response(_no("request_timeout"), status=504)

    def _post(self, said: Arguments) -> Answer:
        channel = self.workspace.channel_of(str(said.get("channel", "")))
        if channel is None:
            return _no("channel_not_found")
        if error := _fault_of(said):
            return _no(error)
        thread = said.get("thread_ts")
        if thread and (channel, thread) not in self.workspace.messages:
            return _no("thread_not_found")
        message = self.workspace.post(channel, said)
        return {"ok": True, "channel": channel, "ts": message.ts, "message": _shown(message)}

    def _update(self, said: Arguments) -> Answer:
        message = self.workspace.messages.get((str(said.get("channel")), str(said.get("ts"))))
        if message is None:
            return _no("message_not_found")
        if error := _fault_of(said):
            return _no(error)
        self.workspace.edit(message, said)
        return {"ok": True, "channel": message.channel, "ts": message.ts, "text": message.text}

    def _history(self, said: Arguments) -> Answer:
        channel = str(said.get("channel", ""))
        if channel.startswith("#") or self.workspace.channel_of(channel) is None:
            return _no("channel_not_found")  # like the real one: this method takes ids only
        found = self.workspace.in_channel(channel, oldest=float(said.get("oldest") or 0))
        start, limit = int(said.get("cursor") or 0), int(said.get("limit") or 100)
        following = str(start + limit) if start + limit < len(found) else ""
        return {
            "ok": True,
            "messages": [_shown(message) for message in found[start : start + limit]],
            "has_more": bool(following),
            "response_metadata": {"next_cursor": following},
        }

    def _replies(self, said: Arguments) -> Answer:
        found = self.workspace.replies(str(said.get("channel")), str(said.get("ts")))
        if not found:
            return _no("thread_not_found")
        return {"ok": True, "messages": [_shown(message) for message in found], "has_more": False}

    def _open(self, said: Arguments) -> Answer:
        user = str(said.get("users", "")).split(",")[0]
        if user not in self.workspace.email_ids():
            return _no("user_not_found")
        return {"ok": True, "channel": {"id": self.workspace.room_of(user)}}

    def _list(self, _said: Arguments) -> Answer:
        found = [{"id": channel, "name": name} for name, channel in self.workspace.channels.items()]
        return {"ok": True, "channels": found, "response_metadata": {"next_cursor": ""}}

    def _lookup(self, said: Arguments) -> Answer:
        email = str(said.get("email", ""))
        user = self.workspace.user_of(email)
        if user is None or user in self.workspace.deactivated:
            return _no("users_not_found")  # like the real one: by address only those who are active are found
        return {"ok": True, "user": {"id": user, "name": email.partition("@")[0], "deleted": False}}

    def _info(self, said: Arguments) -> Answer:
        user = str(said.get("user", ""))
        if user not in self.workspace.email_ids():
            return _no("user_not_found")
        return {"ok": True, "user": {"id": user, "deleted": user in self.workspace.deactivated}}

    def _names(self, channel: str) -> frozenset[str]:
        return frozenset({channel, self.workspace.name_of(channel)})

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=render(self.workspace, channel=request.query.get("channel")), content_type="text/html")

    async def _counts(self, _request: web.Request) -> web.Response:
        return web.json_response(self.counts())

    async def _messages(self, _request: web.Request) -> web.Response:
        found = [
            {**_shown(message), "channel": message.channel, "name": self.workspace.name_of(message.channel)}
            for message in self.workspace.messages.values()
        ]
        return web.json_response(found)

    async def _press(self, request: web.Request) -> web.StreamResponse:
        """Press a button of the page: as the person whose direct messages they are, or else as whoever looks on."""
        said = await request.post()
        channel = str(said.get("channel", ""))
        message = self.workspace.messages.get((channel, str(said.get("ts", ""))))
        if message is None or self.interactivity is None:
            why = "no such message" if message is None else "no interactions URL was given to this Slack"
            return web.json_response({"error": why}, status=404)
        name = self.workspace.name_of(channel)
        name = "you" if name.startswith("#") else name.partition("@")[0].title()
        user = next((user for user, room in self.workspace.rooms.items() if room == channel), "U0")
        status, text = await self.interactivity.press(message, str(said.get("action_id", "")), user=user, name=name)
        if status == 200:
            raise web.HTTPSeeOther(f"/?channel={channel}")
        return web.json_response({"error": text[:300], "status": status}, status=502)

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            self.faults.set(msgspec.json.decode(await request.read(), type=list[Fault]))
        except msgspec.DecodeError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"ok": True})


async def _alive(_request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _arguments(request: web.Request) -> Arguments:
    """Merge query, form and JSON: slack_sdk uses all three."""
    said: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.json() if request.can_read_body else {}
        said.update(body if isinstance(body, dict) else {})
    else:
        said.update(await request.post())
    return {name: _decoded(name, value) for name, value in said.items()}


def _decoded(name: str, value: Any) -> Any:
    return json.loads(value) if name in {"blocks", "metadata"} and isinstance(value, str) else value


def _no(error: str) -> Answer:
    return {"ok": False, "error": error}


def _shown(message: Said) -> Answer:
    shown: Answer = {
        "type": "message",
        "ts": message.ts,
        "text": message.text,
        "blocks": message.blocks,
        "metadata": message.metadata,
        "edits": message.edits,
    }
    return {**shown, "thread_ts": message.thread_ts} if message.thread_ts else shown


def _fault_of(said: Arguments) -> str | None:
    """Return the error that Slack would answer for what a message says, or None."""
    blocks = said.get("blocks") or []
    if not said.get("text") and not blocks:
        return "no_text"
    if len(blocks) > 50 or any(_too_long(block) for block in blocks):
        return "invalid_blocks"
    return "msg_blocks_too_long" if len(json.dumps(blocks)) > 40_000 or _characters(blocks) > 13_200 else None


def _too_long(block: Mapping[str, Any]) -> bool:
    limit = {"header": 150, "section": 3000}.get(block.get("type", ""), 3000)
    if block.get("type") == "actions":
        return len(block["elements"]) > 25 or any(
            len(button["text"]["text"]) > 75 or len(button.get("value", "")) > 2000 for button in block["elements"]
        )
    parts = [*block.get("fields", ()), *block.get("elements", ())]
    text = (block.get("text") or {}).get("text", "")
    return len(text) > limit or len(parts) > 10 or any(len(part.get("text", "")) > 2000 for part in parts)


def _characters(blocks: list[Mapping[str, Any]]) -> int:
    texts = (part for block in blocks for part in (block.get("text"), *block.get("fields", ())) if part)
    return sum(len(part.get("text", "")) for part in texts)
