"""What lies on churn.risk.v1 stays readable: golden files, one a message; a list is never taken for a transition."""

from pathlib import Path

import msgspec
import pytest

from shared.contracts.risk import OpenEpisodes, Transition, read_risk
from tests.support.risk import T0, transition

GOLDEN = Path(__file__).parent / "golden"
LISTED = OpenEpisodes(
    partition=3, partitions=12, offset=4711, at=T0, part=0, parts=2, episodes=["ep_mnx4hxzzyl7opu4hxzzyl7opua"]
)


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [("risk.transition.v1", b"acme", transition()), ("risk.open_episodes.v1", None, LISTED)],
)
def test_a_message_is_written_and_read_as_ever(name: str, key: bytes | None, message: msgspec.Struct) -> None:
    golden = (GOLDEN / f"{name}.json").read_bytes().strip()
    assert msgspec.json.encode(message) == golden
    assert read_risk(key, golden) == message


def test_a_transition_of_the_version_before_is_of_a_csm_and_of_no_stated_precision() -> None:
    fields = msgspec.json.decode((GOLDEN / "risk.transition.v1.json").read_bytes())
    before = {name: value for name, value in fields.items() if name not in {"receiver", "precision_percent"}}
    assert read_risk(b"acme", msgspec.json.encode(before)) == transition()


@pytest.mark.parametrize("wrong", [b"", b"{", b"[]", msgspec.json.encode(transition())])
def test_without_a_key_only_a_list_is_read(wrong: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_risk(None, wrong)
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(msgspec.json.encode(LISTED), type=Transition)
