"""A record on which the core raises is found after two exits, and nothing else is lost with it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from services.scorer.core.batch import Batch
from services.scorer.core.known import Known, KnownAt
from services.scorer.core.partition import Partition
from services.scorer.core.step import Outputs
from services.scorer.cores import Columnar
from services.scorer.quarantine import culprit, note_crash, readable
from shared.contracts.context import Crash, Quarantine
from tests.support.fake_core import FakeCore, as_any, batch, fake_step
from tests.support.log import START, Log, batch_of


class Notes:
    """The context topic as far as it is asked here."""

    def __init__(self) -> None:
        self.entries: list[Crash | Quarantine] = []
        self.is_down = False

    def quarantined(self, topic: str, partition: int) -> Sequence[Quarantine]:
        assert (topic, partition) == ("events", 0)
        return [entry for entry in self.entries if isinstance(entry, Quarantine)]

    def crashes(self, topic: str, partition: int) -> Sequence[Crash]:
        assert (topic, partition) == ("events", 0)
        return [entry for entry in self.entries if isinstance(entry, Crash)]

    def known_at(self, offset: int, partition: int) -> Known:  # noqa: ARG002  the real one's names
        return Known()

    async def tell(self, entry: Crash | Quarantine) -> None:
        if self.is_down:
            raise OSError("no broker")
        self.entries.append(entry)


def core_with_a_bug() -> FakeCore:
    core = FakeCore()

    def step(state: Partition, given: Batch, *, known_at: Callable[[int, int], object]) -> Outputs:
        state.counts["touched"] += 1
        if b"bug" in given.values():
            raise ZeroDivisionError
        return fake_step(state, given, known_at=known_at)

    core.step = step
    return core


@pytest.mark.parametrize("where", [0, 1, 7, 12])
def test_the_first_record_that_raises_is_found_on_copies(where: int) -> None:
    values = [b"bug" if row in {where, 12} else b"fine" for row in range(13)]
    core, state = core_with_a_bug(), FakeCore().empty(0)
    assert culprit(as_any(core), state, batch(100, *values), known_at=lambda _o, _p: Known()) == (
        where,
        "ZeroDivisionError",
    )
    assert state.counts["touched"] == 0


def test_a_batch_that_is_fine_by_now_has_none() -> None:
    found = culprit(
        as_any(core_with_a_bug()), FakeCore().empty(0), batch(0, b"x"), known_at=lambda _offset, _partition: Known()
    )
    assert found is None


class _PoisonedColumnar(Columnar):
    """The real core, raising on what holds `poison`."""

    def step(self, state: Partition, batch: Batch, *, known_at: KnownAt) -> Outputs:
        if any(b"poison" in (value or b"") for value in batch.values()):
            raise ZeroDivisionError
        return super().step(state, batch, known_at=known_at)


async def read(notes: Notes, given: Batch) -> Batch:
    state = FakeCore().empty(0)
    return await readable(given, core=as_any(core_with_a_bug()), state=state, context=notes, now_ms=lambda: 5)


async def test_only_the_third_start_sets_records_aside_every_one_that_raises() -> None:
    notes, given = Notes(), batch(10, b"a", b"bug", b"b", b"bug")
    for _ in range(2):
        assert not (await read(notes, given)).quarantined
        await note_crash(given, ZeroDivisionError(), context=notes, now_ms=lambda: 4)
    assert (await read(notes, given)).quarantined == {1, 3}
    assert [entry.offset for entry in notes.quarantined("events", 0)] == [11, 13]


@pytest.mark.timeout(20)
async def test_new_accounts_before_the_record_at_fault_are_no_fault() -> None:
    notes, log = Notes(), Log()
    for number in range(12):
        log.event(f"account-{number}", "login", at=START, id="poison" if number == 7 else None)
    core, given = _PoisonedColumnar(partitions=1, seed=5), replace(batch_of(log.records, partition=0), topic="events")
    for _ in range(2):
        await note_crash(given, ZeroDivisionError(), context=notes, now_ms=lambda: 4)
    found = await readable(given, core=core, state=core.empty(0), context=notes, now_ms=lambda: 5)
    assert found.quarantined == {7}
    assert [entry.offset for entry in notes.quarantined("events", 0)] == [7]


async def test_another_fault_than_the_one_that_made_us_exit_sets_nothing_aside() -> None:
    notes, given = Notes(), batch(10, b"a", b"bug", b"b")
    for _ in range(2):
        await note_crash(given, KeyError(), context=notes, now_ms=lambda: 4)
    assert not (await read(notes, given)).quarantined
    await note_crash(given, ZeroDivisionError(), context=notes, now_ms=lambda: 4)
    assert not (await read(notes, given)).quarantined
    await note_crash(given, ZeroDivisionError(), context=notes, now_ms=lambda: 4)
    assert (await read(notes, given)).quarantined == {1}


async def test_a_record_after_those_we_exited_on_is_not_set_aside_with_them() -> None:
    notes = Notes()
    for _ in range(2):
        await note_crash(batch(10, b"a", b"bug"), ZeroDivisionError(), context=notes, now_ms=lambda: 4)
    assert (await read(notes, batch(10, b"a", b"bug", b"b", b"bug"))).quarantined == {1}


async def test_a_state_that_cannot_be_copied_is_no_records_fault() -> None:
    notes, given, state = Notes(), batch(10, b"bug"), FakeCore().empty(0)
    for _ in range(2):
        await note_crash(given, TypeError(), context=notes, now_ms=lambda: 4)
    vars(state)["lock"] = threading.Lock()
    with pytest.raises(TypeError, match="cannot pickle"):
        await readable(given, core=as_any(core_with_a_bug()), state=state, context=notes, now_ms=lambda: 5)
    assert not notes.quarantined("events", 0)


async def test_exits_elsewhere_in_the_log_are_other_exits() -> None:
    notes = Notes()
    for first in (0, 100):
        await note_crash(batch(first, b"bug", b"x"), ZeroDivisionError(), context=notes, now_ms=lambda: 4)
    assert not (await read(notes, batch(100, b"bug"))).quarantined


async def test_what_was_set_aside_stays_so_in_any_batch() -> None:
    notes = Notes()
    notes.entries.append(Quarantine(topic="events", partition=0, offset=11, fault="ZeroDivisionError", at=5))
    given = await read(notes, batch(9, b"a", b"b", b"bug", b"c"))
    assert given.values() == [b"a", b"b", None, b"c"]
    assert given.value(2) == b"bug", "the dead letter holds the original bytes"
    assert given.head(2).quarantined == frozenset()
    assert np.array_equal(given.head(2).offsets, [9, 10])


async def test_a_crash_that_cannot_be_noted_hides_nothing() -> None:
    notes = Notes()
    notes.is_down = True
    await note_crash(batch(0, b"bug"), ZeroDivisionError(), context=notes, now_ms=lambda: 4)
    assert notes.entries == []
