"""The rows of accounts are found whatever the length of their chains."""

import numpy as np
import pytest

from services.scorer.core import activity as module
from services.scorer.core.activity import Activity, Applied
from services.scorer.core.decode import Code
from services.scorer.core.table import Ints

USERS = (3, 200, 0, 64, 65, 1)


@pytest.fixture
def activity() -> Activity:
    """Return six accounts with as many users as USERS says, each of whom used a key feature."""
    found = Activity()
    hashes = np.arange(1, len(USERS) + 1).astype(np.uint64)
    found.add_accounts([f"a{n}" for n in range(len(USERS))], hashes=hashes)
    signal = found.signal("Export")
    account = np.repeat(np.arange(len(USERS)), USERS)
    order = np.random.default_rng(5).permutation(len(account))
    full = np.ones(len(account), np.int64)
    found.fold(
        Applied(
            account=account[order],
            at=full,
            code=full.astype(np.int8) * np.int8(Code.USAGE),
            signal=full * signal,
            source=full * 0,
            user=(np.arange(len(account)) + 1).astype(np.uint64)[order],
        )
    )
    return found


@pytest.mark.parametrize("long_chain", [1, 4, 64, 1000])
@pytest.mark.parametrize("head", ["first_user", "first_use"])
def test_all_rows_of_the_accounts_asked_for(
    activity: Activity, monkeypatch: pytest.MonkeyPatch, long_chain: int, head: str
) -> None:
    monkeypatch.setattr(module, "LONG_CHAIN", long_chain)
    columns = activity.users if head == "first_user" else activity.uses
    asked = np.array([4, 0, 2, 1])
    where, rows = activity.rows_of(columns, head=head, accounts=asked)
    owners = activity.users["account"][rows if head == "first_user" else activity.uses["user"][rows]]
    assert (owners == asked[where]).all()
    assert len(set(rows.tolist())) == len(rows)
    assert np.bincount(where, minlength=len(asked)).tolist() == [USERS[account] for account in asked.tolist()]


def test_nothing_of_no_accounts(activity: Activity) -> None:
    nobody: Ints = np.zeros(0, np.int64)
    where, rows = activity.rows_of(activity.users, head="first_user", accounts=nobody)
    assert (where.size, rows.size) == (0, 0)
