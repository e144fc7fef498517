"""Make, store and check the keys of the HTTP APIs: `ck_<id>_<secret>`, of which only a keyed hash is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from shared.contracts.topics import KEYS
from shared.kafka import read_to_end

ID_BYTES: Final = 6
SECRET_BYTES: Final = 32
PREFIX: Final = "ck"


class Scope(StrEnum):
    """What a key may do: send events, import history, read health and alerts, act on alerts."""

    INGEST = "ingest"
    IMPORT = "import"
    READ = "read"
    ACT = "act"


class Mode(StrEnum):
    """Whether what is sent with a key counts; events of a test key are judged and answered, never kept."""

    LIVE = "live"
    TEST = "test"


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One key as `churn.keys.v1` keeps it, under its id; `source` names the app whose events it sends."""

    id: str
    hash: str
    scopes: frozenset[Scope]
    source: str
    mode: Mode = Mode.LIVE
    revoked: bool = False


class BadSource(ValueError):
    """A source's name that can't be part of a URI and of a Kafka key."""


def create(*, scopes: Collection[Scope], source: str, pepper: bytes, mode: Mode = Mode.LIVE) -> tuple[str, KeyRecord]:
    """Return a new key, to be shown once, and the record to publish; raise BadSource for a name like "My App"."""
    if not 0 < len(source) <= 64 or not all(c.isascii() and (c.isalnum() or c in "._-") for c in source):
        raise BadSource(f"source {source!r}: use 1 to 64 letters, digits, '.', '_' or '-'")
    key_id = secrets.token_hex(ID_BYTES)
    key = f"{PREFIX}_{key_id}_{secrets.token_hex(SECRET_BYTES)}"
    record = KeyRecord(id=key_id, hash=hash_key(key, pepper), scopes=frozenset(scopes), source=source, mode=mode)
    return key, record


def revoked(record: KeyRecord) -> KeyRecord:
    """Return the record that, once published, ends a key."""
    return msgspec.structs.replace(record, revoked=True)


def hash_key(key: str, pepper: bytes) -> str:
    """Return what is kept of a key: HMAC-SHA256 under the pepper, in hex."""
    return hmac.new(pepper, key.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def looks_like_key(text: str) -> bool:
    """Tell whether a text has the form of a key, be it known or not."""
    return text.startswith(f"{PREFIX}_") and text.count("_") == 2


def verify(presented: str, records: Mapping[str, KeyRecord], pepper: bytes) -> KeyRecord | None:
    """Return the record of a presented key, or None when it is unknown, wrong or revoked.

    Takes the same steps in each case: an unknown id is compared with a hash that nothing has.
    """
    key_id = presented.split("_")[1] if looks_like_key(presented) else ""
    record = records.get(key_id)
    kept = record.hash if record else "0" * 64
    right = hmac.compare_digest(hash_key(presented, pepper), kept)
    return record if record and right and not record.revoked else None


class KeyRing:
    """Hold the records of `churn.keys.v1` as they arrive, and check keys against them."""

    def __init__(self, pepper: bytes) -> None:
        self.records: dict[str, KeyRecord] = {}
        self.unreadable = 0
        self._pepper = pepper

    def apply(self, record: ConsumerRecord[bytes | None, bytes | None]) -> None:
        """Take one record of the topic: the last one of a key holds; what can't be read is counted, not obeyed."""
        if record.key is None:
            return
        key_id = record.key.decode("utf-8", "replace")
        if record.value is None:
            self.records.pop(key_id, None)
            return
        try:
            self.records[key_id] = _DECODER.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1

    def check(self, presented: str) -> KeyRecord | None:
        """Return the record of a key that is known, right and not revoked."""
        return verify(presented, self.records, self._pepper)


async def publish(producer: AIOKafkaProducer, record: KeyRecord) -> None:
    """Write a record durably; every process that follows the topic obeys it within seconds."""
    await producer.send_and_wait(KEYS, _ENCODER.encode(record), key=record.id.encode(), partition=0)


async def load(bootstrap: str) -> dict[str, KeyRecord]:
    """Return every key's record by id, as the topic holds them now."""
    ring = KeyRing(b"")
    async for record in read_to_end(bootstrap, KEYS):
        ring.apply(record)
    return ring.records


_DECODER: Final = msgspec.json.Decoder(KeyRecord)
_ENCODER: Final = msgspec.json.Encoder()
