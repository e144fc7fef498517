"""Keep what a Slack workspace knows: people, channels and messages, on disk if a folder is given."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True, kw_only=True)
class Said:
    """One message; `thread_ts` names the message it replies to."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]
    thread_ts: str | None = None
    edits: int = 0
    posted_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class Workspace:
    """A workspace. `now_s` gives wall time; people with an address in one of the domains exist without being named."""

    now_s: Callable[[], float]
    domains: frozenset[str] = frozenset()
    emails: dict[str, str] = field(default_factory=dict)
    deactivated: set[str] = field(default_factory=set)
    channels: dict[str, str] = field(default_factory=dict)
    rooms: dict[str, str] = field(default_factory=dict)
    messages: dict[tuple[str, str], Said] = field(default_factory=dict)
    folder: Path | None = None
    last_us: int = 0

    def user_of(self, email: str) -> str | None:
        """Return the id of the person with an address, or None."""
        address = email.lower()
        if address not in self.emails and address.rpartition("@")[2] in self.domains:
            return self.know(address)
        return self.emails.get(address)

    def know(self, email: str) -> str:
        """Let a person exist and return the id."""
        address = email.lower()
        return self.emails.setdefault(address, _id("U", address))

    def email_of(self, user: str) -> str | None:
        """Return the address of a person."""
        return next((email for email, known in self.emails.items() if known == user), None)

    def channel_of(self, target: str) -> str | None:
        """Return the id of a channel given as `#name` (made if new), or as an id; None when no such id is known."""
        if target.startswith("#"):
            return self.channels.setdefault(target[1:], _id("C", target[1:]))
        if target in self.email_ids():
            return self.room_of(target)
        return target if target in {*self.channels.values(), *self.rooms.values()} else None

    def email_ids(self) -> frozenset[str]:
        """Return the ids of all people."""
        return frozenset(self.emails.values())

    def room_of(self, user: str) -> str:
        """Return the id of the direct messages with a person."""
        return self.rooms.setdefault(user, _id("D", user))

    def name_of(self, channel: str) -> str:
        """Return how a channel is called: `#name`, or the address of the person."""
        for name, known in self.channels.items():
            if known == channel:
                return f"#{name}"
        user = next((user for user, room in self.rooms.items() if room == channel), "")
        return self.email_of(user) or channel

    def post(self, channel: str, said: Mapping[str, Any]) -> Said:
        """Keep a new message and return it."""
        now = self.now_s()
        self.last_us = max(self.last_us + 1, int(now * 1_000_000))
        message = Said(
            channel=channel,
            ts=f"{self.last_us // 1_000_000}.{self.last_us % 1_000_000:06d}",
            text=said.get("text") or "",
            blocks=said.get("blocks") or [],
            metadata=said.get("metadata") or {},
            thread_ts=said.get("thread_ts"),
            posted_at=now,
        )
        self.messages[channel, message.ts] = message
        self._save(message)
        return message

    def edit(self, message: Said, said: Mapping[str, Any]) -> None:
        """Change what a message says."""
        message.text = said.get("text") or message.text
        message.blocks = said.get("blocks") or message.blocks
        message.metadata = said.get("metadata") or message.metadata
        message.edits += 1
        self._save(message)

    def in_channel(self, channel: str, *, oldest: float = 0.0) -> Sequence[Said]:
        """Return the messages of a channel that are no replies, the newest first."""
        found = [m for m in self.messages.values() if m.channel == channel and not m.thread_ts]
        return [m for m in reversed(found) if float(m.ts) > oldest]

    def replies(self, channel: str, ts: str) -> Sequence[Said]:
        """Return a message and its replies, the oldest first."""
        return [m for m in self.messages.values() if m.channel == channel and ts in {m.ts, m.thread_ts}]

    def duplicates(self) -> int:
        """Return how many messages say what another in the same channel says already, by what their metadata tell."""
        counts = Counter(_said_once(m) for m in self.messages.values() if m.metadata)
        return sum(count - 1 for count in counts.values())

    def load(self) -> None:
        """Read what an earlier run kept in the folder."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for line in self._lines():
            kind, value = next(iter(line.items()))
            if kind == "message":
                message = Said(**value)
                self.messages[message.channel, message.ts] = message
                self.last_us = max(self.last_us, int(message.ts.replace(".", "")))
            else:
                self.channels.update(value["channels"])
                self.rooms.update(value["rooms"])
                self.emails.update(value["emails"])

    def _lines(self) -> Iterator[dict[str, Any]]:
        path = self._file()
        if path is not None and path.exists():
            for line in path.read_text("utf-8").splitlines():
                yield json.loads(line)

    def _save(self, message: Said) -> None:
        path = self._file()
        if path is None:
            return
        names = {"channels": self.channels, "rooms": self.rooms, "emails": self.emails}
        with path.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"names": names}) + "\n" + json.dumps({"message": asdict(message)}) + "\n")

    def _file(self) -> Path | None:
        return None if self.folder is None else self.folder / "workspace.jsonl"


def _said_once(message: Said) -> tuple[object, ...]:
    values = message.metadata.get("event_payload", {})
    kind = values.get("kind")
    revision = values.get("revision") if kind == "reply" else None
    return message.channel, values.get("alert_id"), kind, revision


def _id(letter: str, name: str) -> str:
    return letter + hashlib.sha256(name.encode()).hexdigest()[:10].upper()
