"""Read what is known of every account from the alert service's API."""

from collections.abc import Iterator
from typing import Final

import msgspec

from lab.service import Service
from shared.contracts.health import AccountHealth

PAGE: Final = 500


def read_known(api: Service) -> Iterator[AccountHealth]:
    """Yield every account by name. Raises Trouble."""
    cursor: str | None = None
    while True:
        page = api.get("/v1/accounts", sort="name", limit=PAGE, cursor=cursor)
        yield from msgspec.convert(page["accounts"], list[AccountHealth])
        cursor = page.get("cursor")
        if cursor is None:
            return
