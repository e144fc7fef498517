"""Know the people of the vendor: who may be written to, who they are in Slack, when they work, who stands in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from shared.contracts.fault import Fault


class Leave(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"first": "from", "last": "to"}
):
    """Days on which somebody is away, both included."""

    first: date
    last: date


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody responsible for accounts. Others are named by their address."""

    email: str
    name: str | None = None
    slack: str | None = None
    """Slack user id; without it Slack is asked for the address."""
    language: Literal["en", "ja"] = "en"
    zone: str = "UTC"
    hours: str = "09:00-18:00"
    capacity: int | None = None
    """Alerts a day."""
    segments: list[str] = []
    backup: str | None = None
    manager: str | None = None
    leave: list[Leave] = []

    def begins(self) -> time:
        """Return when the working day begins, in their zone."""
        return time.fromisoformat(self.hours.partition("-")[0])

    def is_away(self, day: date) -> bool:
        """Return whether they are on leave on a day of their zone."""
        return any(leave.first <= day <= leave.last for leave in self.leave)


class People(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `people.yaml`: whoever is named here, or has an address in one of the domains, is staff."""

    domains: list[str] = []
    people: list[Person] = []

    def by_email(self) -> Mapping[str, Person]:
        """Return the people by lower-case address."""
        return {person.email.lower(): person for person in self.people}

    def stand_ins(self, now: datetime) -> Mapping[str, str]:
        """Return who is told instead of whoever is on leave, by lower-case address; a backup on leave has one too.

        Nobody is on the list for whom no one is left: they are told themselves.
        """
        known = self.by_email()
        away = {a for a, p in known.items() if p.leave and p.is_away(now.astimezone(ZoneInfo(p.zone)).date())}
        return {address: found for address in away if (found := _stand_in(address, known, away)) is not None}

    def is_staff(self, email: str) -> bool:
        """Return whether mail may go there: owners come from events, which anyone with a write key can send."""
        address = email.lower()
        domain = address.rpartition("@")[2]
        return address in self.by_email() or domain in {d.lower() for d in self.domains}


def _stand_in(address: str, known: Mapping[str, Person], away: set[str]) -> str | None:
    asked = address
    for _ in range(len(away)):
        person = known.get(asked)
        if person is None or person.backup is None:
            return None
        asked = person.backup.lower()
        if asked not in away:
            return asked
    return None  # they stand in for one another


def faults_of(people: People) -> Sequence[Fault]:
    """Return everything wrong with the people that their types don't tell."""
    addresses = [person.email.lower() for person in people.people]
    found = []
    for number, person in enumerate(people.people):
        place = ("people", number)
        if addresses[number] in addresses[:number]:
            found.append(Fault((*place, "email"), f"{addresses[number]} stands twice"))
        found += [Fault((*place, key), f"{person.email}: {text}") for key, text in _faults(person, set(addresses))]
    return found


def _faults(person: Person, known: set[str]) -> Iterator[tuple[str, str]]:
    if person.email.count("@") != 1:
        yield "email", "is no mail address"
    yield from _time_faults(person)
    for role, other in (("backup", person.backup), ("manager", person.manager)):
        if other is not None and other.lower() not in known:
            yield role, f"{other} is none of the people"
        elif other is not None and other.lower() == person.email.lower():
            yield role, "is the person itself"
    if person.capacity is not None and person.capacity < 1:
        yield "capacity", f"{person.capacity} is less than 1"


def _time_faults(person: Person) -> Iterator[tuple[str, str]]:
    try:
        ZoneInfo(person.zone)
    except (KeyError, ValueError, OSError):
        yield "zone", f"no time zone is called {person.zone!r}; write it like Asia/Tokyo"
    try:
        begins, ends = (time.fromisoformat(text) for text in person.hours.split("-"))
    except ValueError:
        yield "hours", f"{person.hours!r} is not like 09:00-18:00"
    else:
        if begins >= ends:
            yield "hours", f"{person.hours} ends before it begins"
    for leave in person.leave:
        if leave.first > leave.last:
            yield "leave", f"from {leave.first} comes after to {leave.last}"
