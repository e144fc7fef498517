"""What `churnwatch rebuild` decides for a partition."""

import msgspec
import pytest

from lab.rebuild import Found, Way, way_of
from lab.snapshots import oldest
from services.scorer.core import chunks, pack
from services.scorer.core.cycles import Snapshot, checkpoint_of, snapshots_of
from services.scorer.core.partition import Partition


@pytest.mark.parametrize(
    ("fault", "begin", "snapshot", "is_named", "accept_loss", "way"),
    [
        (None, 50, 60, False, True, Way.KEEP),
        (None, 0, None, True, False, Way.FROM_START),
        (None, 50, 60, True, False, Way.FROM_SNAPSHOT),
        ("damaged", 0, 60, False, True, Way.FROM_START),
        ("damaged", 50, 60, False, True, Way.FROM_SNAPSHOT),
        ("damaged", 50, None, False, False, Way.NONE),
        (None, 50, None, True, False, Way.NONE),
        ("damaged", 50, None, False, True, Way.WITH_LOSS),
    ],
)
def test_as_much_as_possible_is_brought_back(
    *, fault: str | None, begin: int, snapshot: int | None, is_named: bool, accept_loss: bool, way: Way
) -> None:
    found = Found(fault=fault, log=(begin, 100), snapshot=snapshot)
    assert way_of(found, is_named=is_named, accept_loss=accept_loss) is way


def test_the_log_of_a_later_generation_is_never_replayed_from_its_first_record() -> None:
    # it goes on from a state that was moved: only the snapshot has that
    found = Found(fault="damaged", log=(0, 100), snapshot=25, is_first=False)
    assert way_of(found, is_named=False, accept_loss=True) is Way.FROM_SNAPSHOT
    lost = Found(fault="damaged", log=(0, 100), snapshot=None, is_first=False)
    assert way_of(lost, is_named=False, accept_loss=False) is Way.NONE


def written(bases: list[int], *, partition: int = 0, partitions: int = 1) -> list[bytes]:
    state = Partition.empty(partition=partition, partitions=partitions, seed=7)
    records: list[bytes] = []
    for state.position in bases:
        records.append(pack.begin(state, writer="us").marker(first_record=len(records)))
    return records


def snapshots(bases: list[int], *, partition: int = 0, partitions: int = 1) -> list[Snapshot]:
    return snapshots_of(list(enumerate(written(bases, partition=partition, partitions=partitions))))


def test_the_oldest_snapshot_after_which_no_event_is_missing_is_taken() -> None:
    found = snapshots([10, 30, 20, 90])
    assert [snapshot.base for snapshot in found] == [10, 20, 30, 90]
    for span, wanted in (((0, 95), 10), ((10, 95), 10), ((11, 95), 20), ((31, 90), 90), ((31, 89), None)):
        chosen = oldest(found, place=(0, 1), span=span)
        assert (chosen and chosen.base) == wanted
    foreign = snapshots([10], partition=1, partitions=2)
    assert oldest(foreign, place=(0, 1), span=(0, 95)) is None


def test_a_damaged_marker_spoils_the_checkpoint_and_one_of_a_newer_version_is_no_damage() -> None:
    records = list(enumerate(written([10, 20])))
    whole = checkpoint_of(records)
    assert whole is not None
    assert whole.marker.base == 20
    flipped = bytearray(records[0][1])
    flipped[-1] ^= 1
    with pytest.raises(chunks.CheckpointError, match="run `churnwatch rebuild`"):
        checkpoint_of([(0, bytes(flipped)), *records[1:]])
    newer = chunks.seal(msgspec.structs.replace(whole.marker, schema=chunks.SCHEMA_READ + 1))
    with pytest.raises(chunks.UnfitError, match="run the newer version"):
        checkpoint_of([(0, newer)])
