"""Make the keys the demo sends and reads with, as `churnwatch key create` does, and wait until they are obeyed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from lab.trouble import Trouble
from shared import keys
from shared.kafka import producer

OBEYED_S: Final = 30.0
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """A write key for each product, one for histories, one to read with."""

    sources: Mapping[str, str]
    history: str
    read: str


async def make_keys(
    kafka: str, session: aiohttp.ClientSession, *, pepper: bytes, ingest: str, api: str | None, sources: Sequence[str]
) -> Keys:
    """Make every key and return when the ingest takes them, and the API where one is given. Raises Trouble."""
    wanted = {
        **dict.fromkeys(sources, keys.Scope.INGEST),
        "history": keys.Scope.IMPORT,
        "page": keys.Scope.READ,
    }
    made = {name: keys.create(scopes=[scope], source=name, pepper=pepper) for name, scope in wanted.items()}
    async with producer(kafka) as sender:
        for _, record in made.values():
            await keys.publish(sender, record)
    found = Keys(sources={s: made[s][0] for s in sources}, history=made["history"][0], read=made["page"][0])
    try:
        async with asyncio.timeout(OBEYED_S):
            for key in found.sources.values():
                await _until_taken(session, f"{ingest}/v1/batch", key, body=b'{"batch":[]}')
            await _until_taken(session, f"{ingest}/v1/import/hello/rows", found.history, body=b"[]")
            if api is not None:
                await _until_taken(session, f"{api}/v1/accounts?limit=1", found.read)
    except (aiohttp.ClientError, TimeoutError):
        raise Trouble(f"{ingest} or {api} does not take the keys that were made: look at the services' logs") from None
    return found


async def _until_taken(session: aiohttp.ClientSession, url: str, key: str, *, body: bytes | None = None) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    while True:
        async with session.request("GET" if body is None else "POST", url, data=body, headers=headers) as answer:
            if answer.status == 200:
                return
        await asyncio.sleep(POLL_S)
