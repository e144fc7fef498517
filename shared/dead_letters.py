"""Seal what could not be read, so that it can be kept and repaired although it may hold personal data.

A dead letter on `churn.dlq.v1` has the original key, the original bytes sealed with the dead-letter key (AES-256-GCM),
and headers that say why, where and what it was:

    dlq-reason     enum value, also the metric label        src-topic, src-partition, src-offset
    dlq-detail     for people, at most 500 bytes            src-timestamp   of the broker, epoch ms
    dlq-stage      ingest | scorer | alerts                 dlq-truncated   length before it was cut, if it was

A sealed value is one byte of format, 12 of nonce, and the ciphertext with its tag. Values that would not fit in a
record are compressed, and cut if that is not enough: the source then says where the whole one lies.
"""

import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.contracts.topics import MAX_MESSAGE_BYTES

NONCE_BYTES: Final = 12
DETAIL_BYTES: Final = 500
PLAIN, COMPRESSED = b"\x01", b"\x02"
ROOM: Final = MAX_MESSAGE_BYTES - 16_384
"""What a sealed value may take of a record; the rest is for key and headers."""
FEWEST_BYTES: Final = 1 + NONCE_BYTES + 16


class Unsealable(ValueError):
    """A sealed value that this key does not open, or that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a dead letter came from; `timestamp` is the broker's, epoch ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a value is dead: an enum value, words for people, which service says so, and where it lay."""

    reason: str
    detail: str
    stage: str
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """The value and headers of a record for `churn.dlq.v1`."""

    value: bytes | None
    headers: list[tuple[str, bytes]]


def dead_letter(value: bytes | None, cause: Cause, *, key: bytes) -> DeadLetter:
    """Seal `value` with the 32-byte `key` and say why it is dead. An absent value stays absent."""
    headers = [
        ("dlq-reason", cause.reason.encode()),
        ("dlq-detail", cause.detail.encode(errors="replace")[:DETAIL_BYTES]),
        ("dlq-stage", cause.stage.encode()),
    ]
    source = cause.source
    if source is not None:
        headers += [
            ("src-topic", source.topic.encode()),
            ("src-partition", b"%d" % source.partition),
            ("src-offset", b"%d" % source.offset),
            ("src-timestamp", b"%d" % source.timestamp),
        ]
    if value is None:
        return DeadLetter(value=None, headers=headers)
    sealed = seal(value, key=key)
    if len(sealed) > ROOM:
        sealed = seal(value[: ROOM - FEWEST_BYTES], key=key)
        headers.append(("dlq-truncated", b"%d" % len(value)))
    return DeadLetter(value=sealed, headers=headers)


def seal(value: bytes, *, key: bytes) -> bytes:
    """Encrypt bytes with a 32-byte key; compressed first when they would not fit in a record."""
    form, inner = PLAIN, value
    if len(value) + FEWEST_BYTES > ROOM:
        form, inner = COMPRESSED, zlib.compress(value, 1)
    nonce = os.urandom(NONCE_BYTES)
    return form + nonce + AESGCM(key).encrypt(nonce, inner, form)


def unseal(sealed: bytes, *, key: bytes) -> bytes:
    """Return what was sealed; raise Unsealable when the key is another one or the bytes were changed."""
    form, nonce, ciphertext = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if form not in {PLAIN, COMPRESSED} or len(sealed) < FEWEST_BYTES:
        raise Unsealable("not a sealed value")
    try:
        inner = AESGCM(key).decrypt(nonce, ciphertext, form)
    except InvalidTag:
        raise Unsealable("the dead-letter key does not open it") from None
    return zlib.decompress(inner) if form == COMPRESSED else inner


def source_of(headers: Iterable[tuple[str, bytes]]) -> Source | None:
    """Read where a dead letter came from out of its headers, or None if they don't say."""
    found: Mapping[str, bytes] = dict(headers)
    try:
        return Source(
            topic=found["src-topic"].decode(),
            partition=int(found["src-partition"]),
            offset=int(found["src-offset"]),
            timestamp=int(found["src-timestamp"]),
        )
    except (KeyError, ValueError):
        return None
