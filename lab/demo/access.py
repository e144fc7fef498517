"""Make the keys the demo sends and reads with, as `churnwatch key create` does, and wait until they are obeyed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from lab.demo.stage import Stage
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


async def make_keys(stage: Stage, session: aiohttp.ClientSession, *, sources: Sequence[str]) -> Keys:
    """Make every key and return when ingest and API take them. Raises Trouble."""
    pepper = stage.secret("key_pepper")
    wanted = {
        **dict.fromkeys(sources, keys.Scope.INGEST),
        "history": keys.Scope.IMPORT,
        "page": keys.Scope.READ,
    }
    made = {name: keys.create(scopes=[scope], source=name, pepper=pepper) for name, scope in wanted.items()}
    async with producer(stage.kafka) as sender:
        for _, record in made.values():
            await keys.publish(sender, record)
    found = Keys(sources={s: made[s][0] for s in sources}, history=made["history"][0], read=made["page"][0])
    try:
        async with asyncio.timeout(OBEYED_S):
            for key in found.sources.values():
                await _until_taken(session, f"{stage.url('ingest')}/v1/batch", key, body=b'{"batch":[]}')
            await _until_taken(session, f"{stage.url('ingest')}/v1/import/hello/rows", found.history, body=b"[]")
            await _until_taken(session, f"{stage.url('alerts')}/v1/accounts?limit=1", found.read)
    except TimeoutError:
        raise Trouble(f"the services don't take the demo's keys; their logs are in {stage.data / 'logs'}") from None
    return found


async def _until_taken(session: aiohttp.ClientSession, url: str, key: str, *, body: bytes | None = None) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    while True:
        async with session.request("GET" if body is None else "POST", url, data=body, headers=headers) as answer:
            if answer.status == 200:
                return
        await asyncio.sleep(POLL_S)
