"""A body larger than the API takes is refused before it is read, before any key is looked at."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.alerts.body_limit import MAX_BODY_BYTES
from tests.support.alerts_api import unconnected_app

ACK = "/v1/alerts/ep_1/ack"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = unconnected_app(loaded=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://alerts") as found:
        yield found


def said(size: int) -> bytes:
    """Return a JSON body of this many bytes."""
    return b'{"text":"' + b"x" * (size - 11) + b'"}'


async def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    at_limit = await client.post(ACK, content=said(MAX_BODY_BYTES), headers=headers)
    assert at_limit.status_code == 401
    above = await client.post(ACK, content=said(MAX_BODY_BYTES + 1), headers=headers)
    assert (above.status_code, above.json()["code"]) == (413, "too_large")


async def test_a_body_without_a_length_is_read_no_further_than_the_limit(client: httpx.AsyncClient) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 100 * MAX_BODY_BYTES:
            taken += 1 << 12
            yield b" " * (1 << 12)

    answer = await client.post(ACK, content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, set(answer.json())) == (413, {"code", "message", "detail"})
    assert taken == MAX_BODY_BYTES + (1 << 12)
