"""Run a move: `python -m services.scorer.migration`, which is what `churnwatch migrate` starts."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from aiokafka.errors import KafkaError

from services.scorer.context import WrongSecret
from services.scorer.core.chunks import CheckpointError
from services.scorer.eventlog import OffsetLost
from services.scorer.migration.move import give_up, migrate
from services.scorer.migration.plan import WAIT_S, Order
from services.scorer.settings import ScorerSettings
from shared import settings
from shared.kafka import KafkaProblem, wait_ready
from shared.telemetry import configure_logs
from shared.topology import TopologyProblem

ANSWERS_S = 5.0


def main(words: Sequence[str] | None = None) -> None:
    """Do what the words say; what goes wrong is one line with its remedy, and exit code 1."""
    told, asked = settings.load(ScorerSettings), _parser().parse_args(words)
    configure_logs("migrate", told.log_level)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        asyncio.run(_run(told, asked))
    except (TopologyProblem, KafkaProblem, KafkaError, CheckpointError, OffsetLost, WrongSecret) as problem:
        sys.exit(f"churnwatch: {problem}")


async def _run(told: ScorerSettings, asked: argparse.Namespace) -> None:
    await wait_ready(told.kafka, ANSWERS_S)
    if asked.give_up:
        await give_up(told, say=_say)
        return
    order = Order(
        partitions=asked.partitions, dry_run=asked.dry_run, end_imports=asked.end_imports, wait_s=asked.wait_s
    )
    await migrate(told, order, say=_say)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  a command line prints


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="churnwatch migrate")
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--partitions", type=int)
    goal.add_argument("--give-up", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--end-imports", action="store_true")
    parser.add_argument("--wait-s", type=float, default=WAIT_S)
    return parser


if __name__ == "__main__":
    main()
