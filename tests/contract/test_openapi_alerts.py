"""The API that is served is the one that is published; a change of either shows in review.

Write it anew with `python tests/contract/test_openapi_alerts.py`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.alerts.api import Api
from services.alerts.app import http_app
from services.alerts.book import Book, NoticeBook
from services.alerts.openapi import text
from shared.contracts.alerts import Command
from shared.health_store import HealthStore

PUBLISHED = Path(__file__).parents[2] / "docs" / "openapi.json"


async def _never(_command: Command) -> None:
    raise AssertionError


async def _ready() -> Mapping[str, bool]:
    return {}


def described() -> str:
    api = Api(
        store=HealthStore(Redis()),
        book=Book(),
        notices=NoticeBook(),
        find_key=lambda _key: None,
        loaded=lambda: False,
        send=_never,
        now_ms=lambda: 0,
        new_id=lambda: "",
    )
    return text(http_app(api, _ready, registry=CollectorRegistry()))


def test_the_published_description_is_the_one_served() -> None:
    assert PUBLISHED.read_text("utf-8") == described()


def test_every_reference_leads_somewhere_and_every_route_asks_for_a_key() -> None:
    document = json.loads(described())
    for reference in [part.split('"')[0] for part in described().split('"$ref": "#/components/schemas/')[1:]]:
        assert reference in document["components"]["schemas"]
    assert document["security"] == [{"key": []}]
    assert sorted(document["paths"]) == [
        "/v1/accounts",
        "/v1/accounts/{account}",
        "/v1/alerts",
        "/v1/alerts/{alert_id}",
        "/v1/alerts/{alert_id}/ack",
        "/v1/alerts/{alert_id}/verdict",
        "/v1/notices",
    ]


if __name__ == "__main__":
    PUBLISHED.write_text(described(), "utf-8")
