"""Say how a person of people.yaml stands in Slack."""

from dataclasses import dataclass
from enum import StrEnum

from services.alerts.core.people import Person


class Standing(StrEnum):
    """How somebody stands; only `known` needs nothing done."""

    KNOWN = "known"
    ID_DIFFERS = "id differs"
    NOT_FOUND = "not found"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackUser:
    """Somebody as Slack knows them."""

    id: str
    is_deactivated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A person, how they stand, and what to do about it (empty if nothing)."""

    email: str
    standing: Standing
    remedy: str = ""


def check_person(person: Person, *, by_email: SlackUser | None, by_id: SlackUser | None) -> Checked:
    """Compare a person with whom Slack has under the address, and under the id given in the file (None without one)."""
    user = by_id if person.slack else by_email
    if user is not None and user.is_deactivated:
        gone = f"{user.id} is deactivated: take them out of people.yaml and give their accounts to somebody else"
        return Checked(email=person.email, standing=Standing.DEACTIVATED, remedy=gone)
    if person.slack and by_email is not None and by_email.id != person.slack:
        remedy = (
            f"the file says {person.slack}, Slack has {by_email.id} under this address: write `slack: {by_email.id}`"
        )
        return Checked(email=person.email, standing=Standing.ID_DIFFERS, remedy=remedy)
    if user is None:
        what = f"Slack knows no user {person.slack}" if person.slack else "Slack knows nobody of this address"
        remedy = f"{what}: correct it, or write their user id as `slack: U…` (Slack: profile, ⋮, Copy member ID)"
        return Checked(email=person.email, standing=Standing.NOT_FOUND, remedy=remedy)
    return Checked(email=person.email, standing=Standing.KNOWN)
