"""The floor: a loop that only fetches and counts. `python -m benchmarks.floor BOOTSTRAP CORE RECORDS FROM,FROM,…`."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contracts.topics import EVENTS

POLL_RECORDS = 5000


async def count(bootstrap: str, records: int, starts: Sequence[int]) -> dict[str, float]:
    """Return wall and CPU seconds for fetching `records` from the given offset of each partition on."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    async with consumer:
        tps = [TopicPartition(EVENTS, number) for number in range(len(starts))]
        consumer.assign(tps)
        for tp, start in zip(tps, starts, strict=True):
            consumer.seek(tp, start)
        seen = 0
        began, cpu = time.perf_counter(), time.process_time()
        while seen < records:
            found = await consumer.getmany(timeout_ms=1000, max_records=POLL_RECORDS)
            seen += sum(map(len, found.values()))
        return {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}


if __name__ == "__main__":
    address, core, wanted, offsets = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    print(json.dumps(asyncio.run(count(address, int(wanted), [int(offset) for offset in offsets.split(",")]))))
