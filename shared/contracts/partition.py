"""Say which partition an account belongs to: Kafka's murmur2, as the Java client and aiokafka compute it."""

from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 of `data` (unsigned), the algorithm of `org.apache.kafka.common.utils.Utils`."""
    length = len(data)
    h = _SEED ^ length
    body = length & ~3
    for i in range(0, body, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k ^= k >> 24
        h = (h * _M & _MASK) ^ (k * _M & _MASK)
    rest = data[body:]
    if rest:
        h ^= int.from_bytes(rest, "little")
        h = h * _M & _MASK
    h ^= h >> 13
    h = h * _M & _MASK
    return h ^ (h >> 15)


def partition_of(account: bytes, *, partitions: int) -> int:
    """Return the partition of an account id (raw UTF-8) among `partitions`."""
    return (murmur2(account) & 0x7FFFFFFF) % partitions


def roll_ms(account: bytes) -> int:
    """Return how long after 00:00 UTC an account's day begins, in ms: a whole second below one hour."""
    return (murmur2(account) & 0x7FFFFFFF) % 3600 * 1000
