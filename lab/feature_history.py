"""Compute the scorer's own features of every account at past moments, from a file of events in time order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from lab.lines import batch_of_lines
from services.scorer.config import load_bundle
from services.scorer.core.bundle import CompiledBundle
from services.scorer.core.compile import compile_bundle
from services.scorer.core.features import Features
from services.scorer.core.known import Known
from services.scorer.core.partition import Partition
from services.scorer.core.step import step
from services.scorer.core.view import MISSING
from shared.contracts.events import parse_time

MODEL_FEATURES: Final = (
    "tenure_days",
    "active_days",
    "active_days_28",
    "recency_days",
    "usage_7",
    "usage_normal_28",
    "usage_change",
    "users_28",
    "seats_used",
    "features_used",
    "outcomes_28",
    "payment_failed_days",
    "payment_ok",
    "contract_ok",
    "nps",
    "csat",
    "silence",
)
"""The features a model is trained on, in the order of its columns."""

DAY = 86_400_000
ROWS_A_BATCH = 5000

Floats = npt.NDArray[np.float64]


class _Dated(msgspec.Struct):
    time: str


class _Ended(msgspec.Struct):
    subject: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Every account with activity at a cut-off: `values` has a row an account, a column a feature, NaN if missing."""

    at: int
    accounts: Sequence[str]
    values: Floats


def configuration(folder: Path) -> CompiledBundle:
    """Return the configuration of a folder; raises BadFiles naming every fault."""
    bundle = load_bundle(folder)
    return compile_bundle(bundle.version, msgspec.json.decode(bundle.config))


def moments(events: Path, *, days: int, bundle: CompiledBundle) -> Iterator[Moment]:
    """Yield the features at each cut-off, `days` apart from the first event on, of the events strictly before it."""
    state, cut_off = Partition.empty(partition=0, partitions=1, seed=0), None
    state.bundle = bundle
    for lines, times in _blocks(events):
        if cut_off is None:
            cut_off = times[0] // DAY * DAY + days * DAY
        start = 0
        while times[-1] >= cut_off:
            end = int(np.searchsorted(times, cut_off))
            _fold(state, lines[start:end], times=times[start:end])
            yield _moment(state, cut_off, bundle=bundle)
            start, cut_off = end, cut_off + days * DAY
        _fold(state, lines[start:], times=times[start:])


def cancellations(events: Path) -> tuple[dict[str, int], int]:
    """Return when each account cancelled (epoch ms), and the time of the last event."""
    decoder, found, last = msgspec.json.Decoder(_Ended), dict[str, int](), 0
    with events.open("rb") as file:
        for line in file:
            if b'"cancelled"' in line:
                ended = decoder.decode(line)
                found.setdefault(ended.subject, parse_time(ended.time) or 0)
        last = parse_time(decoder.decode(line).time) or 0
    return found, last


def _blocks(events: Path) -> Iterator[tuple[list[bytes], npt.NDArray[np.int64]]]:
    decoder = msgspec.json.Decoder(_Dated)
    with events.open("rb") as file:
        while lines := list(_some(file)):
            times = [parse_time(decoder.decode(line).time) or 0 for line in lines]
            yield lines, np.array(times, np.int64)


def _some(file: Iterable[bytes]) -> Iterator[bytes]:
    for line, _ in zip(file, range(ROWS_A_BATCH), strict=False):
        yield line


def _fold(state: Partition, lines: Sequence[bytes], *, times: npt.NDArray[np.int64]) -> None:
    if not lines:
        return
    batch = batch_of_lines(lines, first=state.position, times=times)
    step(state, batch, known_at=lambda _offset, _partition: Known())


def _moment(state: Partition, at: int, *, bundle: CompiledBundle) -> Moment:
    rows = np.arange(state.accounts)
    features = Features(np.full(len(rows), at), rows=rows, activity=state.activity, bundle=bundle)
    known = np.flatnonzero(~features.ended & (features.values["tenure_days"] != MISSING))
    columns = [np.where(v == MISSING, np.nan, v)[known] for v in (features.values[name] for name in MODEL_FEATURES)]
    names = [state.activity.names.text(row).decode() for row in known.tolist()]
    return Moment(at=at, accounts=names, values=np.stack(columns, axis=1))
