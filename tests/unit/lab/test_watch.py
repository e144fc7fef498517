"""What a product engineer reads while plugging in."""

from lab.watch import account_line, event_line, news

EVENT = {
    "at": 1_795_000_000_000,
    "id": "m1",
    "fate": "accepted",
    "stage": "ingest",
    "kind": "usage",
    "name": "Exported",
}
STANDING = {"evidence_days": 3, "evidence_needed": 14, "active_days": 2, "active_days_needed": 3, "health": None}


def test_an_event_is_shown_once_for_each_fate() -> None:
    shown: dict[str, str] = {}
    found = {"events": [EVENT], "accounts": []}
    assert len(list(news(found, shown=shown, standing={}))) == 1
    assert list(news(found, shown=shown, standing={})) == []
    applied = {**EVENT, "fate": "applied", "account": "acme"}
    (line,) = news({"events": [applied], "accounts": []}, shown=shown, standing={})
    assert line.endswith("✓ applied        usage Exported  acme")


def test_what_is_wrong_is_said_with_its_remedy() -> None:
    event = {"at": 0, "id": "m2", "fate": "unattributed", "remedy": "no account: call group(userId, accountId)"}
    assert event_line(event) == "00:00:00  ! unattributed   m2    no account: call group(userId, accountId)".replace(
        "m2    ", "m2  "
    )


def test_an_account_says_how_much_evidence_is_missing() -> None:
    assert account_line({"account": "acme", "band": "unknown", **STANDING}) == (
        "account acme: unknown: 3 of 14 days of evidence, 2 of 3 active days"
    )
    assert (
        account_line({"account": "acme", "band": "healthy", **STANDING, "health": 83_400}) == "account acme: healthy 83"
    )
    assert account_line({"account": "acme", "band": None}) == "account acme: not scored yet"
    standing: dict[str, str] = {}
    found = {"events": [], "accounts": [{"account": "acme", "band": "unknown", **STANDING}]}
    assert len(list(news(found, shown={}, standing=standing))) == 1
    assert list(news(found, shown={}, standing=standing)) == []
