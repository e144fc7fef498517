"""List every episode that is open in a partition, as records for `churn.risk.v1` (docs/scoring.md §9)."""

from collections.abc import Iterator

import msgspec

from services.scorer.core.partition import Partition
from services.scorer.core.publish import Record
from services.scorer.core.step import Judged
from shared.contracts.risk import MOST_EPISODES, OpenEpisodes, episode_id


def open_list(state: Partition, judged: Judged) -> Iterator[Record]:
    """Return the parts of the list of what is open now, right after a tick was judged; at least one, maybe empty.

    What is open is noted at once; ids, the costly thing, are made part by part as they are asked for, and the state may
    move on meanwhile.
    """
    rules = list(state.episodes.rules)
    rows, which, since = state.episodes.open()
    names = state.activity.names
    parts = max(1, -(-len(rows) // MOST_EPISODES))

    def part(number: int) -> Record:
        some = slice(number * MOST_EPISODES, (number + 1) * MOST_EPISODES)
        columns = zip(names.texts(rows[some]), which[some].tolist(), since[some].tolist(), strict=True)
        listed = OpenEpisodes(
            partition=state.partition,
            partitions=state.partitions,
            offset=judged.offset,
            at=judged.at,
            part=number,
            parts=parts,
            episodes=[episode_id(name.decode(), rule=rules[k], opened_at=at) for name, k, at in columns],
        )
        return Record(None, msgspec.json.encode(listed), judged.at)

    return map(part, range(parts))
