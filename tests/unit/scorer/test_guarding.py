"""What a watch is told of the accounts of several partitions."""

from collections.abc import Mapping

from lab.oracle import Bundle
from services.scorer.core.absence import SAMPLED, Absence
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from services.scorer.guarding import Feeds
from tests.support.histories import calendars, shipped
from tests.support.log import DAY, HOUR, START, Configurations, Log, batch_of

WEB, APP = "/sources/web", "/sources/app"
LAST = START + 35 * DAY + 10 * HOUR


class Asked(Partition):
    """A partition that notes how many accounts it was to look at."""

    most = 0

    def absence(self, source: str, *, ends: Mapping[str, int], until: int, most: int) -> Absence:
        self.most = most
        return super().absence(source, ends=ends, until=until, most=most)


def partition(number: int, *, accounts: int, source: str, last: int) -> Partition:
    """Return a partition whose accounts were there at 10:00 on five Mondays and then on a sixth, at `last`."""
    log = Log()
    for account in (f"{number}-{n}" for n in range(accounts)):
        log.event(account, "account", at=START, data={"country": "US", "timezone": "America/New_York"}, source="crm")
        for at in (*(START + 7 * week * DAY + 10 * HOUR for week in range(5)), last):
            log.event(account, "login", at=at, ts=LAST, source=source)
    log.tick(LAST + HOUR)
    scorecard, rules = shipped()
    known = Configurations({0: Bundle(version="b", scorecard=scorecard, rules=rules, calendars=calendars())})
    state = Partition.empty(partition=0, partitions=1, seed=7)
    step(state, batch_of(log.records, partition=0), known_at=known)
    return state


def test_partitions_are_taken_together() -> None:
    states = [
        partition(0, accounts=3, source="web", last=LAST - HOUR),
        partition(1, accounts=4, source="web", last=LAST),
        partition(2, accounts=5, source="app", last=LAST),
    ]
    feeds = Feeds(states=states, imported=0)
    assert feeds.lasts() == {WEB: LAST, APP: LAST}
    assert feeds.accounts(WEB) == 7
    missed = feeds.absence(WEB, ends=feeds.lasts(), until=LAST + 6 * DAY)
    assert missed.accounts == 7
    assert missed.hazard == sum(
        state.absence(WEB, ends=feeds.lasts(), until=LAST + 6 * DAY, most=7).hazard for state in states
    )


def test_all_of_them_look_at_so_many_accounts_together() -> None:
    states = [Asked.empty(partition=number, partitions=4, seed=7) for number in range(4)]
    Feeds(states=states, imported=0).absence(WEB, ends={WEB: 0}, until=DAY)
    assert [state.most for state in states if isinstance(state, Asked)] == [SAMPLED // 4] * 4


def test_before_there_is_a_bundle_nobody_is_missed() -> None:
    state = Partition.empty(partition=0, partitions=1, seed=7)
    assert state.absence(WEB, ends={WEB: 0}, until=DAY, most=7).accounts == 0
