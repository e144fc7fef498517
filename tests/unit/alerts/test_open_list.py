"""What the scorer's list of open episodes lacks is withdrawn, and nothing else."""

from msgspec.structs import replace

from services.alerts.core.alert import Outcome, Position, fold, withdraw
from services.alerts.core.open_list import Gathered, OpenList, absent, gather, is_listed, withdrawal
from shared.contracts.alerts import Alert, AlertState
from shared.contracts.partition import partition_of
from shared.contracts.risk import Change, OpenEpisodes, Severity, Transition
from tests.support.risk import T0, transition

HOME = partition_of(b"acme", partitions=12)
SILENCE = transition()
DROP = transition(rule="usage_drop", severity=Severity.CRITICAL, at=T0 + 5, opened_at=T0 + 5)


def alert_of(*transitions: Transition) -> Alert:
    alert = None
    for offset, one in enumerate(transitions):
        alert = fold(alert, one, position=Position(topic="risk", partition=0, offset=offset)).alert
    assert alert is not None
    return alert


def listing(*episodes: str, at: int = T0 + 10, partition: int = HOME, partitions: int = 12) -> OpenList:
    return OpenList(partition=partition, partitions=partitions, offset=7, at=at, episodes=frozenset(episodes))


def part(number: int, *, offset: int = 7, parts: int = 2) -> OpenEpisodes:
    return OpenEpisodes(
        partition=HOME, partitions=12, offset=offset, at=T0, part=number, parts=parts, episodes=[f"{offset}.{number}"]
    )


def test_a_reason_that_is_not_listed_is_absent_unless_it_was_heard_of_since() -> None:
    alert = alert_of(SILENCE, DROP)
    assert absent(alert, listing(SILENCE.episode, DROP.episode)) == []
    assert [reason.rule for reason in absent(alert, listing(SILENCE.episode))] == ["usage_drop"]
    assert len(absent(alert, listing())) == 2
    # T0        T0 + 4     T0 + 5
    # silence   the list   usage_drop opened
    assert [reason.rule for reason in absent(alert, listing(at=T0 + 4))] == ["silence"]
    assert [reason.rule for reason in absent(alert, listing(at=T0 + 5))] == ["usage_drop", "silence"]
    worse = transition(Change.WORSENED, severity=Severity.CRITICAL, at=T0 + 11)
    assert [reason.rule for reason in absent(alert_of(SILENCE, DROP, worse), listing())] == ["usage_drop"]


def test_a_list_speaks_of_open_alerts_of_its_own_partition() -> None:
    alert = alert_of(SILENCE)
    assert is_listed(alert, listing())
    assert is_listed(replace(alert, state=AlertState.ACKNOWLEDGED), listing())
    assert not is_listed(alert, listing(partition=HOME + 1))
    assert not is_listed(alert, listing(partition=(HOME + 1) % 5, partitions=5))
    assert not is_listed(alert_of(SILENCE, transition(Change.RESOLVED, at=T0 + 1)), listing())


def test_a_withdrawn_reason_leaves_and_the_last_one_ends_the_alert_as_a_transition_would() -> None:
    alert = alert_of(SILENCE, DROP)
    listed = listing()
    one, other = absent(alert, listed)
    left = withdraw(alert, withdrawal(alert, one, listed=listed))
    assert left.outcome is Outcome.LEFT
    assert left.alert is not None
    assert [reason.rule for reason in left.alert.reasons] == ["silence"]
    ended = withdraw(left.alert, withdrawal(left.alert, other, listed=listed))
    assert ended.outcome is Outcome.ENDED
    assert ended.alert is not None
    assert (ended.alert.state, ended.alert.ended_at, ended.alert.revision) == (AlertState.WITHDRAWN, T0 + 10, 4)
    drop_gone = transition(Change.WITHDRAWN, at=T0 + 10, rule="usage_drop", opened_at=T0 + 5)
    told = alert_of(SILENCE, DROP, drop_gone, transition(Change.WITHDRAWN, at=T0 + 10))
    assert replace(ended.alert, positions={}) == replace(told, positions={})
    again = transition(Change.WORSENED, at=T0 + 11)
    repeated = fold(ended.alert, again, position=Position(topic="risk", partition=0, offset=9))
    assert repeated.outcome is Outcome.REPEATED


def test_a_list_is_whole_when_its_last_part_came_in_any_order_and_repeated() -> None:
    gathered, found = gather(None, part(1), lies_at=100)
    assert (gathered.first, gathered.is_whole, found) == (100, False, None)
    gathered, found = gather(gathered, part(1), lies_at=101)
    assert found is None
    gathered, found = gather(gathered, part(0), lies_at=102)
    assert found is not None
    assert found.episodes == {"7.0", "7.1"}
    assert gathered.is_whole


def test_a_newer_list_drops_the_parts_of_an_older_one_and_an_older_one_is_let_go() -> None:
    gathered, _ = gather(None, part(0, offset=7), lies_at=100)
    gathered, _ = gather(gathered, part(0, offset=9), lies_at=101)
    assert gathered.first == 101
    same, found = gather(gathered, part(1, offset=7), lies_at=102)
    assert (same, found) == (gathered, None)
    _, found = gather(gathered, part(1, offset=9), lies_at=103)
    assert found is not None
    assert found.episodes == {"9.0", "9.1"}


def test_a_list_that_another_owner_writes_again_is_gathered_again() -> None:
    gathered: Gathered | None = None
    for lies_at in (100, 102):
        gathered, found = gather(gathered, part(0), lies_at=lies_at)
        assert (found, gathered.first) == (None, lies_at)
        gathered, found = gather(gathered, part(1), lies_at=lies_at + 1)
        assert found is not None
