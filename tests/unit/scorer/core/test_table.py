"""State as arrays: the hash table, growing columns and texts."""

import copy

import numpy as np
import pytest

from services.scorer.core.activity import Activity
from services.scorer.core.table import NONE, Columns, Hashes, HashTable, Ints, Names, RowIndex


@pytest.mark.timeout(20)
def test_a_table_finds_what_was_put_however_the_hashes_collide() -> None:
    table, rng = HashTable(capacity=4), np.random.default_rng(3)
    # all begin their probe at the same slot: the low bits are equal
    hashes = np.unique(rng.integers(1, 2**40, 3000).astype(np.uint64)) << np.uint64(20)
    values = np.arange(len(hashes))
    for part in np.array_split(np.arange(len(hashes)), 7):
        table.put(hashes[part], values[part])
    assert (table.find(hashes) == values).all()
    assert (table.find(hashes + np.uint64(1)) == -1).all()
    assert table.count == len(hashes)
    assert 2 * table.count <= len(table.keys)


def test_putting_a_hash_again_replaces_its_value() -> None:
    table = HashTable()
    table.put(np.array([5, 6], np.uint64), np.array([1, 2]))
    table.put(np.array([6], np.uint64), np.array([9]))
    assert table.find(np.array([5, 6, 7], np.uint64)).tolist() == [1, 9, -1]
    assert table.count == 2


def test_columns_grow_and_new_rows_hold_their_first_values() -> None:
    columns = Columns({"at": (np.int64, None, NONE), "ring": (np.uint8, 3, 0)}, capacity=2)
    columns["at"][columns.add(2)] = [7, 8]
    assert columns.add(5).tolist() == [2, 3, 4, 5, 6]
    assert columns["at"][:7].tolist() == [7, 8, *[NONE] * 5]
    assert columns["ring"].shape[1] == 3


def test_texts_are_compared_in_full() -> None:
    names = Names()
    names.append([b"acme", b"", b"\xe3\x82\xa2"])
    names.append([b"acme2" * 2000])
    rows = np.array([0, 0, 1, 2, 3, 3])
    texts = [b"acme", b"acmf", b"", b"\xe3\x82\xa2", b"acme2" * 2000, b"acme2" * 1999 + b"acme3"]
    assert names.equal(rows, texts).tolist() == [True, False, True, True, True, False]
    assert names.text(2).decode() == "ア"


def test_two_accounts_with_one_hash_stay_two_accounts() -> None:
    activity, same = Activity(), np.array([42, 42, 42], np.uint64)
    accounts = ["acme", "beta", "acme"]
    found, hashes = activity.find(same, accounts=accounts)
    assert found.tolist() == [-1, -1, -1]
    activity.add_accounts(["acme"], hashes=hashes[:1])
    found, hashes = activity.find(same, accounts=accounts)
    assert found.tolist() == [0, -1, 0]
    assert hashes[1] != 42
    activity.add_accounts(["beta"], hashes=hashes[1:2])
    assert activity.find(same, accounts=accounts)[0].tolist() == [0, 1, 0]


def test_rows_are_found_by_what_their_columns_say_while_the_index_grows() -> None:
    rng = np.random.default_rng(5)
    hashes = np.unique(rng.integers(1, 2**63, 5000).astype(np.uint64))
    rng.shuffle(hashes)
    columns = Columns({"hash": (np.uint64, None, 0)})
    index = RowIndex(columns, _hashes_in)
    for start in range(0, len(hashes), 700):
        rows = columns.add(min(700, len(hashes) - start))
        columns["hash"][rows] = hashes[rows]
        assert (index.find(hashes[rows]) == -1).all()
        index.put(hashes[rows], rows)
        assert (index.find(hashes[: rows[-1] + 1]) == np.arange(rows[-1] + 1)).all()
        assert 2 * index.count <= len(index.slots)


def test_rows_with_one_slot_are_told_apart() -> None:
    hashes = np.array([64, 128, 192, 1 << 32], np.uint64)  # all in slot 0 of 64
    index = RowIndex(columns := Columns({"hash": (np.uint64, None, 0)}), _hashes_in)
    columns["hash"][columns.add(3)] = hashes[:3]
    index.put(hashes[:3], np.arange(3))
    assert index.find(hashes).tolist() == [0, 1, 2, -1]


def test_a_deep_copy_finds_its_own_rows_and_leaves_the_original_alone() -> None:
    activity = Activity()
    hashes = np.arange(1, 401, dtype=np.uint64)
    activity.add_accounts(["first"], hashes=hashes[:1])
    other = copy.deepcopy(activity)
    names = [f"a{number}" for number in range(1, 400)]
    rows = other.add_accounts(names, hashes=hashes[1:])
    assert other.find(hashes[1:], accounts=names)[0].tolist() == rows.tolist()
    assert (activity.find(hashes[1:], accounts=names)[0] == -1).all()


def _hashes_in(columns: Columns, rows: Ints) -> Hashes:
    hashes: Hashes = columns["hash"][rows]
    return hashes
