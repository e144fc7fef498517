"""Keys: shown once, kept as a hash, obeyed as the topic says."""

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from shared.keys import BadSource, KeyRecord, KeyRing, Mode, Scope, create, looks_like_key, revoked, verify

PEPPER = b"p" * 32


def record(key: bytes | None, value: bytes | None) -> "ConsumerRecord[bytes | None, bytes | None]":
    return ConsumerRecord("t", 0, 0, 0, 0, key, value, None, 0, 0, ())


def test_a_new_key_is_found_and_nothing_of_it_is_kept_in_clear() -> None:
    key, kept = create(scopes={Scope.INGEST, Scope.READ}, source="web-app", pepper=PEPPER)
    assert looks_like_key(key)
    assert key.split("_")[2].encode() not in msgspec.json.encode(kept)
    assert verify(key, {kept.id: kept}, PEPPER) == kept
    assert len(bytes.fromhex(key.split("_")[2])) == 32


@pytest.mark.parametrize("presented", ["", "ck_", "ck__", "wk_test_123", "ck_0_0", "\ud800", "ck_a_b_c", "x" * 10_000])
def test_what_is_no_key_of_ours_is_unknown(presented: str) -> None:
    _, kept = create(scopes={Scope.INGEST}, source="web", pepper=PEPPER)
    assert verify(presented, {kept.id: kept}, PEPPER) is None


def test_a_wrong_secret_another_pepper_and_a_revoked_key_are_refused() -> None:
    key, kept = create(scopes={Scope.INGEST}, source="web", pepper=PEPPER)
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert verify(wrong, {kept.id: kept}, PEPPER) is None
    assert verify(key, {kept.id: kept}, b"q" * 32) is None
    assert verify(key, {kept.id: revoked(kept)}, PEPPER) is None


def test_the_ring_obeys_the_last_record_and_counts_what_it_can_not_read() -> None:
    ring = KeyRing(PEPPER)
    key, kept = create(scopes={Scope.ACT}, source="web", pepper=PEPPER, mode=Mode.TEST)
    ring.apply(record(kept.id.encode(), msgspec.json.encode(kept)))
    assert ring.check(key) == kept
    ring.apply(record(kept.id.encode(), b"junk"))
    ring.apply(record(b"\xff", b"junk"))
    ring.apply(record(None, b"junk"))
    assert ring.check(key) == kept
    assert ring.unreadable == 2
    ring.apply(record(kept.id.encode(), msgspec.json.encode(revoked(kept))))
    assert ring.check(key) is None
    ring.apply(record(kept.id.encode(), None))
    assert ring.records == {}


@pytest.mark.parametrize("source", ["", "My App", "a/b", "ä", "x" * 65])
def test_a_source_is_a_plain_name(source: str) -> None:
    with pytest.raises(BadSource):
        create(scopes={Scope.INGEST}, source=source, pepper=PEPPER)


def test_a_record_survives_the_wire() -> None:
    _, kept = create(scopes={Scope.READ, Scope.ACT}, source="web", pepper=PEPPER)
    assert msgspec.json.decode(msgspec.json.encode(kept), type=KeyRecord) == kept
