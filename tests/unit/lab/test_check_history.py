"""History is sent as it was, shifted by whole weeks."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab.check_history import CUTOFF, DAYS, messages_of

NOW = datetime(2026, 11, 22, 7, tzinfo=UTC)


def test_only_the_days_before_the_cut_off_are_sent_and_end_now(tmp_path: Path) -> None:
    times = [CUTOFF - timedelta(days=DAYS, seconds=1), CUTOFF - timedelta(days=DAYS), CUTOFF - timedelta(1), CUTOFF]
    file = tmp_path / "events.csv.gz"
    with gzip.open(file, "wt", encoding="utf-8") as rows:
        rows.write("ts,account,kind,user,product,event\n")
        rows.writelines(f"{at:%Y-%m-%dT%H:%M:%SZ},o1,org,u1,nova,code\n" for at in times)
    sent = list(messages_of(file, now=NOW))
    assert [message["messageId"] for message in sent] == ["row-1", "row-2"]
    last = datetime.fromisoformat(sent[-1]["timestamp"])
    assert (last - times[2]) % timedelta(weeks=1) == timedelta(0)
    assert NOW - timedelta(days=8) <= last <= NOW
    assert sent[0]["context"] == {"groupId": "o1"}
