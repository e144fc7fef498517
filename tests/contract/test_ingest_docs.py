"""docs/sending-events.md says what the ingest does."""

from pathlib import Path

from services.ingest.core.fields import Field
from services.ingest.core.item import REMEDY, Reason
from services.ingest.core.kinds import BY_NAME
from services.ingest.core.sources import ACCOUNT_FROM

TEXT = (Path(__file__).parents[2] / "docs" / "sending-events.md").read_text("utf-8")


def test_every_reason_is_listed_with_its_remedy() -> None:
    assert set(REMEDY) == set(Reason)
    for reason, remedy in REMEDY.items():
        assert f"| `{reason}` | {remedy} |" in TEXT


def test_every_field_every_event_and_every_place_of_the_account_is_named() -> None:
    for field in Field:
        assert f"`{field}`" in TEXT, field
    for path in ACCOUNT_FROM:
        assert f"`{path}`" in TEXT, path
    for name in set(BY_NAME) - {"Subscription Canceled"}:
        said = name if f'"{name}"' in TEXT else f"… {name.split()[-1]}"
        assert said in TEXT, name
