"""Bodies packed as clients pack them, and bombs."""

import gzip
import zlib

import pytest

from services.ingest.answer import Refused
from services.ingest.body import inflate

JSON = b'{"batch":[]}'


def test_members_one_after_the_other_are_one_body() -> None:
    assert inflate(gzip.compress(JSON[:5]) + gzip.compress(JSON[5:])) == JSON


def test_padding_behind_the_last_member_is_ignored() -> None:
    assert inflate(gzip.compress(JSON) + b"\0\0") == JSON


@pytest.mark.parametrize("copies", [1, 3])
def test_a_bomb_is_refused_before_it_unfolds(copies: int) -> None:
    bomb = gzip.compress(b"\0" * (50 << 20), 1) if copies == 1 else gzip.compress(b"\0" * (2 << 20)) * copies
    with pytest.raises(Refused) as caught:
        inflate(bomb)
    assert caught.value.status == 413


def test_exactly_the_cap_is_let_through() -> None:
    assert len(inflate(gzip.compress(b"x" * 100), cap=100)) == 100
    with pytest.raises(Refused):
        inflate(gzip.compress(b"x" * 101), cap=100)


PACKED = gzip.compress(JSON, mtime=0)


@pytest.mark.parametrize("damaged", [PACKED[:-6], PACKED[:5], b"\x1f\x8bjunk", b"\x1f\x8b"])
def test_damaged_gzip_is_refused(damaged: bytes) -> None:
    with pytest.raises(Refused) as caught:
        inflate(damaged)
    assert (caught.value.status, caught.value.code) == (400, "malformed_gzip")


def test_the_checksum_is_checked() -> None:
    damaged = bytearray(gzip.compress(JSON))
    damaged[-5] ^= 1
    with pytest.raises(Refused):
        inflate(bytes(damaged))
    assert zlib.crc32(JSON) != 0
