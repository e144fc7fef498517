"""Compare what a file tells of accounts with what is known of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from lab.accounts.reading import Account, Trait
from shared.contracts.health import Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An account that is new (`known` None) or told something else than is known; `told` holds only what differs."""

    account: Account
    known: Mapping[str, Trait] | None
    told: Mapping[str, Trait]

    def words(self) -> str:
        """Say it in one line."""
        before = self.known or {}
        parts = [
            f"{name} {value}" if before.get(name) is None else f"{name} {before[name]} → {value}"
            for name, value in self.told.items()
        ]
        state = "new" if self.known is None else "changed"
        return f"{state:8} {self.account.id}  {', '.join(parts) or 'only its id is told'}"


def changes(accounts: Iterable[Account], known: Mapping[str, Attributes]) -> Iterator[Change]:
    """Yield the accounts that are to be sent, in the file's order; an absent trait leaves what is known."""
    for account in accounts:
        held = known.get(account.id)
        before = None if held is None else _traits(held)
        told = {name: value for name, value in account.traits.items() if (before or {}).get(name) != value}
        if before is None or told:
            yield Change(account=account, known=before, told=told)


def _traits(attributes: Attributes) -> dict[str, Trait]:
    held = msgspec.structs.asdict(attributes)
    return {name: value for name, value in held.items() if value is not None}
