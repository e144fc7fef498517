"""The roll-up of a family, each number worked out by hand."""

from services.alerts.core.family import Amount, RollUp, roll_up
from shared.contracts.health import AccountHealth, Attributes, Band

BANDS = ((70_000, Band.HEALTHY), (50_000, Band.WATCH), (30_000, Band.AT_RISK), (0, Band.CRITICAL))


def child(
    account: str, health: int | None, arr: int | None = None, *, currency: str | None = "EUR", **told: object
) -> tuple[int, AccountHealth]:
    attributes = Attributes(arr=arr, currency=currency, parent="holding", **told)  # type: ignore[arg-type]
    found = AccountHealth(
        account=account,
        at=0,
        partition=0,
        offset=0,
        generation=1,
        bundle="b_0",
        health=health,
        band=Band.UNKNOWN if health is None else next(band for least, band in BANDS if health >= least),
        evidence_days=14,
        evidence_needed=14,
        active_days=3,
        active_days_needed=3,
        last_activity=None,
        silence_deadline=None,
        contributions=[],
        episodes=[],
        attributes=attributes,
    )
    return 1, found


def weights(found: RollUp) -> dict[str, int]:
    return {member.account: member.weight for member in found.members}


def test_healths_are_weighted_by_arr_and_rounded_down() -> None:
    found = roll_up([child("a", 90_001, 200), child("b", 20_000, 100), child("c", 50_000, 50)])
    assert found.health == (90_001 * 200 + 20_000 * 100 + 50_000 * 50) // 350
    assert found.worst is not None
    assert (found.worst.account, [member.account for member in found.members]) == ("b", ["b", "c", "a"])
    assert found.arr == [Amount(currency="EUR", arr=350, at_risk=100)]
    assert found.bands == {Band.HEALTHY: 1, Band.CRITICAL: 1, Band.WATCH: 1}


def test_without_arr_an_account_weighs_as_the_smallest_of_the_others() -> None:
    found = roll_up([child("a", 90_000, 200), child("b", 10_000, 40), child("c", 10_000), child("d", 0, -5)])
    assert weights(found) == {"a": 200, "b": 40, "c": 40, "d": 40}
    assert found.health == (90_000 * 200 + 10_000 * 80) // 320


def test_without_any_arr_or_in_several_currencies_all_weigh_the_same() -> None:
    found = roll_up([child("a", 90_000), child("b", 10_000, 0)])
    assert (found.by_arr, found.health, found.arr) == (False, 50_000, [])
    found = roll_up([child("a", 90_000, 10), child("b", 40_000, 900_000, currency="JPY"), child("c", 50_000, 5)])
    assert (found.by_arr, found.health) == (False, 60_000)
    assert found.arr == [
        Amount(currency="JPY", arr=900_000, at_risk=900_000),
        Amount(currency="EUR", arr=15, at_risk=0),
    ]


def test_unknown_accounts_are_left_out_of_the_mean_and_counted() -> None:
    found = roll_up([child("a", 60_000, 100), child("new", None, 900)])
    assert (found.health, found.accounts, found.unknown) == (60_000, 2, 1)
    assert found.arr == [Amount(currency="EUR", arr=1000, at_risk=0)]
    assert weights(found) == {"a": 100, "new": 0}


def test_who_is_a_customer_no_more_is_only_counted() -> None:
    gone = [child("x", None, 500, deleted=True), child("y", None, 500, subscription="cancelled")]
    found = roll_up([*gone, child("a", 60_000, 100)])
    assert (found.accounts, found.ended, found.unknown, weights(found)) == (3, 2, 0, {"a": 100})
    assert found.arr == [Amount(currency="EUR", arr=100, at_risk=0)]


def test_nothing_below_has_no_health() -> None:
    found = roll_up([])
    assert (found.health, found.worst, found.accounts, found.bands, found.arr) == (None, None, 0, {}, [])
    assert roll_up([child("new", None, 900)]).worst is None
