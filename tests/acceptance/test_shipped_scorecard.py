"""The shipped scorecard says of a customer what a customer success manager would say who watched every day."""

from collections.abc import Iterable
from pathlib import Path

from lab.feature_history import configuration
from lab.importing.records import Held
from lab.score_history.cutoffs import Cutoff
from lab.score_history.replay import Score, scores_at
from shared.contracts.health import Band
from tests.support.log import DAY, HOUR, START

BUNDLE = configuration(Path(__file__).parents[2] / "config")
LAST = 250
"""The day of the last activity of all."""
BETTER = (Band.CRITICAL, Band.AT_RISK, Band.WATCH, Band.HEALTHY)


def scored(days: Iterable[int], *, after: Iterable[int], users: int = 4) -> list[Score]:
    """Return the scores of one account, active on `days` from START on, at moments so many days after LAST."""
    held = Held()
    for day in days:
        for n in range(users * 3):
            at = START + day * DAY + 9 * HOUR + n * HOUR // 2
            held.take((0, "acme", at, "usage", "app", f"u{n % users}", "Report", None))
    cutoffs = [Cutoff(account="acme", at=START + (LAST + 1 + since) * DAY, text="") for since in after]
    return [score for _, score in scores_at(cutoffs, history=held, bundle=BUNDLE, tell=lambda _: None)]


def workdays(until: int) -> list[int]:
    return [day for day in range(until + 1) if day % 7 < 5]


def test_a_daily_customer_who_goes_quiet_falls_from_healthy_to_critical() -> None:
    #       0   7   14  28  56  91 days of silence
    found = scored(workdays(LAST), after=(0, 7, 14, 28, 56, 91))
    health = [score.health or 0 for score in found]
    assert health == sorted(health, reverse=True)
    assert found[0].band is Band.HEALTHY
    assert BETTER.index(found[1].band) <= BETTER.index(Band.WATCH)
    assert BETTER.index(found[3].band) <= BETTER.index(Band.AT_RISK)
    assert found[5].band is Band.CRITICAL


def test_a_weekly_customer_is_not_blamed_for_six_quiet_days_but_for_a_month() -> None:
    weekly = range(LAST % 7, LAST + 1, 7)
    ordinary, month = scored(weekly, after=(6, 30))
    assert BETTER.index(ordinary.band) >= BETTER.index(Band.WATCH)
    assert BETTER.index(month.band) <= BETTER.index(Band.AT_RISK)


def test_fewer_active_days_cost_health_before_anybody_is_silent() -> None:
    (as_ever,) = scored(workdays(LAST), after=(0,))
    (slower,) = scored([*workdays(LAST - 28), *range(LAST - 25, LAST + 1, 5)], after=(0,))
    assert slower.health is not None
    assert as_ever.health is not None
    assert slower.health < as_ever.health - 5_000


def test_a_new_customer_in_full_use_is_far_from_one_who_left() -> None:
    (new,) = scored(range(LAST - 20, LAST + 1), after=(0,))
    (left,) = scored(workdays(LAST), after=(60,))
    assert new.band in (Band.WATCH, Band.HEALTHY)
    assert new.health is not None
    assert left.health is not None
    assert new.health > left.health + 30_000
