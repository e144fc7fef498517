"""Hold which account each user belongs to, as `churn.identity.v1` says, and tell who has been learned."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from aiokafka.structs import ConsumerRecord

from services.ingest.core.identity import Belonging, newer
from shared.contracts.topics import IDENTITY
from shared.publish import Record


class IdentityMap:
    """The account of every user this deployment knows, by `user_key`; fed by a follower of the topic.

    Several processes agree because each obeys the topic: what one learns, all read. The later in
    time wins, whatever the order of arrival.
    """

    def __init__(self) -> None:
        self.unreadable = 0
        self.on_learned: Callable[[str], None] = lambda _user: None
        self._belonging: dict[str, Belonging] = {}

    def __len__(self) -> int:
        return len(self._belonging)

    def get(self, user: str) -> Belonging | None:
        """Return where a user belongs, or None."""
        return self._belonging.get(user)

    def learn(self, learned: Mapping[str, Belonging]) -> None:
        """Take what a request taught, once it is durable."""
        for user, told in learned.items():
            if newer(self._belonging.get(user), told):
                self._belonging[user] = told
                self.on_learned(user)

    def apply(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        """Take one record of the topic; an empty one forgets the user, one that can't be read is counted."""
        if record.key is None:
            return
        user = record.key.decode("utf-8", "replace")
        if record.value is None:
            self._belonging.pop(user, None)
            return
        try:
            told = _DECODER.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1
            return
        self.learn({user: told})


def identity_record(user: str, told: Belonging) -> Record:
    """Return the record that makes a belonging durable."""
    return Record(topic=IDENTITY, key=user.encode(), value=_ENCODER.encode(told))


_DECODER: Final = msgspec.json.Decoder(Belonging)
_ENCODER: Final = msgspec.json.Encoder()
