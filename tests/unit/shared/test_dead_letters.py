"""Dead letters keep every byte, for whoever has the key and nobody else."""

import os

import pytest

from shared.contracts.topics import MAX_MESSAGE_BYTES
from shared.dead_letters import Cause, Source, Unsealable, dead_letter, seal, source_of, unseal

KEY = bytes(range(32))


@pytest.mark.parametrize("value", [b"", b"{", b'{"email":"a@b.c"}' * 99, b"x" * (8 << 20)])
def test_what_is_sealed_comes_back_byte_for_byte(value: bytes) -> None:
    sealed = seal(value, key=KEY)
    assert unseal(sealed, key=KEY) == value
    assert len(value) < 9 or value[:9] not in sealed


def test_another_key_or_a_flipped_bit_is_refused() -> None:
    sealed = seal(b"secret", key=KEY)
    with pytest.raises(Unsealable):
        unseal(sealed, key=KEY[::-1])
    for position in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[position] ^= 1
        with pytest.raises(Unsealable):
            unseal(bytes(flipped), key=KEY)
    with pytest.raises(Unsealable):
        unseal(b"", key=KEY)


def test_the_headers_say_why_and_where() -> None:
    source = Source(topic="churn.events.v1", partition=3, offset=17, timestamp=1_700_000_000_000)
    letter = dead_letter(b"{", Cause(reason="bad_json", detail="é" * 999, stage="scorer", source=source), key=KEY)
    assert source_of(letter.headers) == source
    assert dict(letter.headers)["dlq-reason"] == b"bad_json"
    assert len(dict(letter.headers)["dlq-detail"]) <= 500


def test_an_absent_value_stays_absent() -> None:
    assert dead_letter(None, Cause(reason="no_value", detail="", stage="scorer"), key=KEY).value is None


def test_what_can_not_fit_is_cut_and_says_so() -> None:
    value = os.urandom(MAX_MESSAGE_BYTES + 4000)
    letter = dead_letter(value, Cause(reason="bad_json", detail="", stage="scorer"), key=KEY)
    assert letter.value is not None
    assert len(letter.value) < MAX_MESSAGE_BYTES
    kept = unseal(letter.value, key=KEY)
    assert value.startswith(kept)
    assert len(kept) > MAX_MESSAGE_BYTES // 2
    assert dict(letter.headers)["dlq-truncated"] == b"%d" % len(value)
