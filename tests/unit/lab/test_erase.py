"""The day that is printed is never too early, and the right records are found."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.erase import OF_ACCOUNTS, last_days
from lab.traces import Subject, event_of
from shared.contracts.topics import ALERTS, CONTEXT, EVENTS, KEYS, SCORES, TOPICS

NOW = datetime(2026, 1, 1, 23, 59, tzinfo=UTC)


def test_the_last_day_counts_retention_a_week_for_closing_a_segment_and_a_day_for_deleting_it() -> None:
    days = last_days(OF_ACCOUNTS, now=NOW)
    assert (days[EVENTS], days[SCORES], days[ALERTS]) == ("2026-05-09", "2028-03-19", "2026-01-09")


def test_no_topic_that_knows_accounts_is_left_out() -> None:
    assert set(TOPICS) - set(OF_ACCOUNTS) == {CONTEXT, KEYS}


def test_compacted_topics_that_know_accounts_forget_within_a_week() -> None:
    compacted = {topic.name: topic.config() for topic in TOPICS.values() if topic.compacted}
    assert {name for name, config in compacted.items() if "max.compaction.lag.ms" not in config} == {KEYS}


ACME = Subject(account="acme")
USER = Subject(source="web", user="u1_ab")


@pytest.mark.parametrize(
    ("subject", "value", "theirs"),
    [
        (ACME, b'{"subject":"acme"}', True),
        (ACME, b'{"subject":"acme2"}', False),
        (ACME, b'{"subject":"b","data":{"parent":"acme"}}', False),
        (Subject(account='a"b'), b'{"subject":"a\\"b"}', True),
        (ACME, b'{"subject":"\\u0061cme"}', True),
        (Subject(account="\u00fc"), b'{"subject":"\\u00fc"}', True),
        (USER, b'{"subject":"acme","source":"/sources/web","data":{"user":"u1_ab"}}', True),
        (USER, b'{"subject":"acme","source":"/sources/app","data":{"user":"u1_ab"}}', False),
        (USER, b'{"subject":"acme","source":"/sources/web","data":{"user":"u1_abc"}}', False),
        (USER, b'{"source":"/sources/web","data":{"user":"u1_ab"}}', False),
        (ACME, b"\xffacme", False),
        (ACME, b"[" * 5000 + b"acme", False),
        (ACME, None, False),
    ],
)
def test_only_the_subjects_own_events_are_found(subject: Subject, value: bytes | None, theirs: bool) -> None:  # noqa: FBT001
    record = cast("Any", SimpleNamespace(value=value))
    assert (event_of(record, subject) is not None) is theirs
