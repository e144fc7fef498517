"""Records become columns without losing anything, and the feed notices when Faust has changed."""

import faust
import pytest
from aiokafka.structs import ConsumerRecord

from services.scorer.core.batch import Batch
from services.scorer.feed import FeedMismatch, batch_of, check_faust


def record(
    offset: int, *, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()
) -> ConsumerRecord[bytes | None, bytes | None]:
    return ConsumerRecord("events", 3, offset, 1000 + offset, 1, key, value, None, 0, 0, headers)


def keys_and_values(batch: Batch) -> list[tuple[bytes | None, bytes | None]]:
    return [(batch.key(row), batch.value(row)) for row in range(len(batch))]


def test_every_key_value_and_header_is_in_the_batch() -> None:
    batch = batch_of(
        [
            record(7, key=b"acme", value=b'{"a":1}'),
            record(8, key=None, value=b"tick"),
            record(12, key=b"", value=None, headers=(("moved", b"1"),)),
            record(13, key=None, value=b""),
        ],
        generation=5,
    )
    assert (batch.topic, batch.partition, batch.generation) == ("events", 3, 5)
    assert batch.offsets.tolist() == [7, 8, 12, 13]
    assert batch.timestamps.tolist() == [1007, 1008, 1012, 1013]
    assert keys_and_values(batch) == [(b"acme", b'{"a":1}'), (None, b"tick"), (b"", None), (None, b"")]
    assert batch.headers == {2: (("moved", b"1"),)}


def test_a_single_record_is_a_batch() -> None:
    assert keys_and_values(batch_of([record(0, key=b"k", value=b"v")], generation=1)) == [(b"k", b"v")]


def test_the_faust_installed_is_the_one_the_feed_stands_on() -> None:
    check_faust()


def test_a_changed_name_or_signature_is_refused_by_name() -> None:
    with pytest.raises(FeedMismatch) as refused:
        check_faust([(faust.App, "renamed", "self"), (faust.App, "on_stop", "self reason")])
    assert refused.value.differences == ["App.renamed is missing", "App.on_stop(self), not (self reason)"]
