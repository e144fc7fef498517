"""What the context topic says of silent sources, read once or again."""

import msgspec
from aiokafka.structs import ConsumerRecord

from services.alerts.notices import Incidents
from shared.contracts.context import ContextKind, Guard, GuardState


def test_an_incident_that_is_over_does_not_begin_again_when_the_topic_is_read_again() -> None:
    def entry(offset: int, state: GuardState) -> ConsumerRecord:
        guard = Guard(source="/sources/web", partitions=[0], state=state, at=offset)
        value = msgspec.json.encode(guard)
        return ConsumerRecord("c", 0, offset, 0, 0, ContextKind.GUARD.encode(), value, None, 0, 0, ())

    incidents, seen = Incidents(), []
    held, over = entry(0, GuardState.HELD), entry(1, GuardState.OVER)
    for record in (held, over, held, over):
        incidents.apply(record)
        seen.append(set(incidents.held))
    assert seen == [{"/sources/web"}, set(), set(), set()]
