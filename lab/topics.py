"""`churnwatch topics`: create the topics that are missing, or check that all are as agreed."""

from collections.abc import Sequence

from cyclopts import App

from shared.contracts.topics import TOPICS
from shared.contracts.topology import agreed_topics
from shared.kafka import create_topics, wait_ready
from shared.settings import ServiceSettings, load
from shared.topology import read_standing

app = App(name="topics", help="Create Kafka's topics, and check how they are set.")


@app.command
async def create(*, replication: int = 1, min_insync: int = 1) -> None:
    """Create the topics that are missing; settings of existing ones are compared, and never changed."""
    created = await _created(replication=replication, min_insync=min_insync)
    for name in created:
        print(f"created {name}")
    print(f"{len(TOPICS)} topics are as agreed")


async def _created(*, replication: int, min_insync: int) -> Sequence[str]:
    settings = load(ServiceSettings)
    await wait_ready(settings.kafka, 5.0)
    standing = await read_standing(settings.kafka)
    topics = agreed_topics(standing)
    return await create_topics(settings.kafka, topics, replication=replication, min_insync=min_insync)
