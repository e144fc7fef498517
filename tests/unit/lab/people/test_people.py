"""Everybody of people.yaml is compared with Slack, and the file with itself."""

from pathlib import Path

import pytest

from lab.people.file import file_faults, read_people
from lab.people.standing import SlackUser, Standing, check_person
from lab.trouble import Trouble
from services.alerts.core.people import People, Person

ADDRESS = "dana@example.com"


@pytest.mark.parametrize(
    ("slack", "by_email", "by_id", "standing", "words"),
    [
        (None, SlackUser(id="U1"), None, Standing.KNOWN, ""),
        ("U1", SlackUser(id="U1"), SlackUser(id="U1"), Standing.KNOWN, ""),
        ("U1", None, SlackUser(id="U1"), Standing.KNOWN, ""),
        ("U1", SlackUser(id="U2"), SlackUser(id="U1"), Standing.ID_DIFFERS, "write `slack: U2`"),
        ("U1", SlackUser(id="U2"), None, Standing.ID_DIFFERS, "write `slack: U2`"),
        (None, None, None, Standing.NOT_FOUND, "Slack knows nobody of this address"),
        ("U1", None, None, Standing.NOT_FOUND, "Slack knows no user U1"),
        ("U1", None, SlackUser(id="U1", is_deactivated=True), Standing.DEACTIVATED, "give their accounts"),
        (None, SlackUser(id="U1", is_deactivated=True), None, Standing.DEACTIVATED, "give their accounts"),
    ],
)
def test_each_standing_has_its_remedy(
    slack: str | None, by_email: SlackUser | None, by_id: SlackUser | None, standing: Standing, words: str
) -> None:
    checked = check_person(Person(email=ADDRESS, slack=slack), by_email=by_email, by_id=by_id)
    assert checked.standing is standing
    assert words in checked.remedy
    assert bool(checked.remedy) is (standing is not Standing.KNOWN)


def test_segments_are_compared_with_those_of_the_accounts_if_they_are_told() -> None:
    people = People(people=[Person(email=ADDRESS, segments=["SMB", "vip"])])
    assert file_faults(people) == []
    assert file_faults(people, segments=["smb"]) == [f"{ADDRESS}: segments: no account is of segment 'vip'"]


def test_the_shipped_file_has_no_faults() -> None:
    assert file_faults(read_people(Path("config/people.yaml"))) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [("people: [{name: A}]", "email"), ("people: [", "parsing"), ("persons: []", "persons"), (None, "--people")],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "people.yaml"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(Trouble) as fault:
        read_people(path)
    assert words in str(fault.value)
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)
