"""Read what was known of an account at a moment of the past from `churn.scores.v1`.

Of an account the topic has a record whenever its health moved, and one each day. So its last one before a moment lies
within the 25 hours before it, among those of every other account of the partition. They are searched backwards:

    |<-------------- 25 h --------------->| as_of
    |        4th       |   3rd  |  2nd|1st|    each four times as long, until one has a record of it
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
from aiokafka import TopicPartition

from shared.contracts.health import AccountHealth
from shared.contracts.partition import partition_of
from shared.contracts.topics import SCORES, TOPICS
from shared.key_search import Hit, KeySearch

DAILY_MS: Final = 25 * 3_600_000
"""Every account publishes once a day, at a moment that an account-day and a late tick may shift by an hour at most."""
BEHIND_MS: Final = 600_000
"""How far apart partitions of the event log may be that share one of the scores."""
FIRST_RECORDS: Final = 4096
GROWTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A health as it was published: `raw` is the record, byte for byte."""

    raw: bytes
    health: AccountHealth


class Scores:
    """The published healths of accounts."""

    def __init__(self, search: KeySearch, *, topic: str = SCORES, partitions: int = TOPICS[SCORES].partitions) -> None:
        self._search = search
        self._topic = topic
        self._partitions = partitions

    async def known_at(self, account: str, as_of: int) -> Recorded | None:
        """Return the last health published of an account at or before `as_of` (epoch ms), None if there is none.

        Where nothing at all was published up to `as_of`, because the scorers stood still, the 25 hours are those before
        the last record of anybody. Raises KafkaError.
        """
        key = account.encode()
        tp = TopicPartition(self._topic, partition_of(key, partitions=self._partitions))
        end = await self._search.offset_at(tp, as_of + BEHIND_MS + 1)
        floor = await self._search.begin(tp)
        newest, records = -1, FIRST_RECORDS
        while end > floor:
            start = max(floor, end - records)
            found = await self._search.all_between(tp, key, start=start, end=end)
            if last := _last(found.hits, as_of):
                return last
            if found.newest > newest:
                newest = found.newest
                floor = max(floor, await self._search.offset_at(tp, min(newest, as_of) - DAILY_MS))
            end, records = start, records * GROWTH
        return None


def _last(hits: Iterable[Hit], as_of: int) -> Recorded | None:
    """Return the latest by time: after a crash, what was published before it is published again."""
    latest = max((hit for hit in hits if hit.timestamp <= as_of and _is_live(hit)), default=None, key=_when)
    if latest is None or latest.value is None:
        return None
    return Recorded(raw=latest.value, health=msgspec.json.decode(latest.value, type=AccountHealth))


def _when(hit: Hit) -> tuple[int, int]:
    return hit.timestamp, hit.offset


def _is_live(hit: Hit) -> bool:
    """Say whether it was known at the time; a day reconstructed from an imported history was not."""
    return hit.value is not None and not msgspec.json.decode(hit.value, type=_Kind).reconstructed


class _Kind(msgspec.Struct):
    reconstructed: bool = False
