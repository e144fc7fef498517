"""Segment's SDK for Node sends to the real ingest in front of real Kafka."""

from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from tests.support import node_sdk
from tests.support.ingest import data
from tests.support.ingest_process import IngestProcess, events, make_topics, new_key
from tests.support.servers import running


@pytest.mark.proof
async def test_segments_node_sdk_is_served(own_kafka: LocalKafka, tmp_path: Path) -> None:
    await make_topics(own_kafka.bootstrap)
    key = await new_key(own_kafka.bootstrap)
    with running(IngestProcess(tmp_path, own_kafka.bootstrap)) as ingest:
        node_sdk.send(ingest.url, key)
    found = await events(own_kafka.bootstrap)
    assert {event.subject for event in found} == {"acme"}
    assert sorted(event.type for event in found) == [
        "churn.account.v1",
        "churn.billing.v1",
        "churn.usage.v1",
        "churn.usage.v1",
        "churn.user.v1",
    ]
    account = next(event for event in found if event.type == "churn.account.v1")
    assert data(account) == {"name": "Acme", "owner": "dana@vendor.test", "arr": 48000, "renewal_date": "2027-01-31"}
