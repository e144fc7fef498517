"""Know the people of the vendor: who may be written to, and who they are in Slack."""

from collections.abc import Mapping

import msgspec


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody responsible for accounts."""

    email: str
    name: str | None = None
    slack: str | None = None
    """Slack user id; without it Slack is asked for the address."""


class People(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `people.yaml`: whoever is named here, or has an address in one of the domains, is staff."""

    domains: list[str] = []
    people: list[Person] = []

    def by_email(self) -> Mapping[str, Person]:
        """Return the people by lower-case address."""
        return {person.email.lower(): person for person in self.people}

    def is_staff(self, email: str) -> bool:
        """Return whether mail may go there: owners come from events, which anyone with a write key can send."""
        address = email.lower()
        domain = address.rpartition("@")[2]
        return address in self.by_email() or domain in {d.lower() for d in self.domains}
