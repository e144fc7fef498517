"""Count events an account and five seconds with Faust as it comes: an agent, a table, its changelog, at-least-once.

The negative control. It is what Faust's own guide shows, with the session of our scorer and a try around the parser.
"""

import json
import os
import sys
from typing import Final

import faust

NAME: Final = "plain-scorer"
TABLE: Final = "counts"
WINDOW_S: Final = 5
CHANGELOG: Final = f"{NAME}-{TABLE}-changelog"

app = faust.App(
    NAME,
    broker=f"kafka://{os.environ.get('CHURNWATCH_KAFKA', '127.0.0.1:9092')}",
    store="memory://",
    datadir=os.environ.get("CHURNWATCH_DATA", ".data") + "/plain",
    topic_partitions=12,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=1.5,
    consumer_auto_offset_reset="earliest",
)
events = app.topic("churn.events.v1", value_serializer="raw")
counts = app.Table(TABLE, default=int, partitions=12)


@app.agent(events)
async def count(stream: "faust.StreamT[bytes]") -> None:
    """Count what can be read."""
    async for event in stream.events():
        try:
            account = json.loads(event.value)["subject"]
        except (ValueError, KeyError):
            continue
        counts[f"{account} {int(event.message.timestamp) // WINDOW_S}"] += 1


if __name__ == "__main__":
    sys.argv += ["worker", "--without-web", "--loglevel", "warn"]
    app.main()
