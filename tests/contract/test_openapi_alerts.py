"""The API that is served is the one that is published; a change of either shows in review.

Write it anew with `python tests/contract/test_openapi_alerts.py`.
"""

import json
from pathlib import Path

from services.alerts.openapi import text
from tests.support.alerts_api import unconnected_app

PUBLISHED = Path(__file__).parents[2] / "docs" / "openapi.json"


def described() -> str:
    return text(unconnected_app(loaded=False))


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
        "/v1/accounts/{account}/changes",
        "/v1/accounts/{account}/family",
        "/v1/accounts/{account}/milestones",
        "/v1/alerts",
        "/v1/alerts/{alert_id}",
        "/v1/alerts/{alert_id}/ack",
        "/v1/alerts/{alert_id}/verdict",
        "/v1/notices",
    ]


if __name__ == "__main__":
    PUBLISHED.write_text(described(), "utf-8")
