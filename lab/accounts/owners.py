"""Find the address of an owner: as it stands, or by the name of somebody in people.yaml."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.alerts.core.people import People

_ADDRESS: Final = re.compile(r"[^@\s<>,;\"]{1,64}@[^@\s<>,;\"]{1,189}")
_NAMED: Final = re.compile(r"(?P<name>[^<]*)<(?P<address>[^<>]+)>")


class BadOwner(ValueError):
    """An owner of whom no address is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The addresses of people by their names."""

    by_name: Mapping[str, str] = field(default_factory=dict)

    def address(self, text: str) -> str:
        """Return an address in lower case; raises BadOwner, with the remedy."""
        named = _NAMED.fullmatch(text)
        said = (named["address"] if named else text).strip()
        if _ADDRESS.fullmatch(said):
            return said.lower()
        found = self.by_name.get(plain_name(said))
        if found is None:
            remedy = f"add a person with `name: {said[:40]}` to people.yaml, or export a column with addresses"
            raise BadOwner(f"{said[:40]!r} is no address and no name of people.yaml: {remedy}")
        if not found:
            raise BadOwner(f"{said[:40]!r}: several people of people.yaml are called so; export addresses")
        return found


def owners_of(people: People) -> Owners:
    """Return the owners by the names of people.yaml; a name that two people have leads to nobody."""
    found: dict[str, str] = {}
    for person in people.people:
        if person.name:
            name = plain_name(person.name)
            found[name] = "" if name in found else person.email.lower()
    return Owners(by_name=found)


def plain_name(text: str) -> str:
    """Return a name without case and spaces: Japanese names are written with and without one."""
    return "".join(text.split()).casefold()
