"""Say when an account's silence becomes abnormal for its own week (docs/scoring.md §6)."""

from decimal import ROUND_FLOOR, Decimal
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.days import DAY, HORIZON_DAYS, HOUR
from services.scorer.core.table import Ints

CONSIDERED_DAYS: Final = 84
SHORTEST: Final = 24 * HOUR
LONGEST: Final = 84 * DAY
_PRIOR: Final = np.array([512] * 5 + [128] * 2)
_PRIOR_WEEKS: Final = 2
_LEAST_Q: Final = 16
_MOST_Q: Final = 1008
_MILLION: Final = Decimal(10**6)
_BYTES: Final = np.arange(256, dtype=np.uint8)[:, None]
_BITS_OF_BYTE: Final = np.unpackbits(_BYTES, axis=1, bitorder="little").view(np.uint64)[:, 0]
"""The eight bits of a byte as eight bytes: adding such words counts eight hours at once (never above 84)."""

Hours = npt.NDArray[np.uint32]
Hazards = npt.NDArray[np.int32]


def deadlines(last: Ints, *, roll: Ints, first_day: Ints, front: Ints, hours: Hours, hazards_to_pass: Ints) -> Ints:
    """Return the moment (epoch ms) at which silence since `last` becomes abnormal, one an account.

    `hours` (accounts × 91) is their ring of active hours, a bit an hour, with `front` its latest day; `last` lies on a
    day ≤ front. `hazards_to_pass` is what `hazards_to_pass(alpha_permille)` returns.
    """
    local = last - roll
    day = local // DAY
    bits, seen = _days_before(day, first_day=first_day, front=front, hours=hours)
    active = _by_weekday((bits != 0).astype(np.int64), day=day)
    q = (1024 * active + _PRIOR_WEEKS * _PRIOR) // (_by_weekday(seen.astype(np.int64), day=day) + _PRIOR_WEEKS)
    q = np.clip(q, _LEAST_Q, _MOST_Q)
    used = _by_weekday(_BITS_OF_BYTE[_three_bytes(bits)], day=day).view(np.uint8).reshape(len(last), 7, 24)
    # 32 bits hold all of it: a day's hazard is below 4.2 million, a weight at most 133
    used = used.astype(np.int32)
    weight = 4 * used + used.sum(axis=1, keepdims=True, dtype=np.int32) + 1
    hazard = _day_hazards()[q][:, :, None] * weight // weight.sum(axis=2, keepdims=True, dtype=np.int32)
    eighths = np.clip(32 * q.sum(axis=1) // 1024, 1, 224)
    moment = _reached(hazard.reshape(len(last), 168), since=local, missing=hazards_to_pass[eighths]) + roll
    bounded: Ints = np.minimum(np.maximum(moment, last + SHORTEST), last + LONGEST)
    return bounded


@cache
def hazard_table(alpha_permille: int) -> tuple[int, ...]:
    """Return Λ by expected active days in 28 days, in eighths (0-224): −ln of the chance left, in millionths."""
    per_day = [Decimal(eighths * 1000) / Decimal(8 * alpha_permille) for eighths in range(1, 225)]
    return (10**6, *(max(10**6, _floor(_MILLION * chance.ln())) for chance in per_day))


@cache
def _day_hazards() -> Hazards:
    """Return −ln(1 − q/1024) in millionths for q 0-1008."""
    return np.array([_floor(-_MILLION * (1 - Decimal(q) / 1024).ln()) for q in range(_MOST_Q + 1)], np.int32)


def _floor(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_FLOOR))


def _days_before(day: Ints, *, first_day: Ints, front: Ints, hours: Hours) -> tuple[Hours, npt.NDArray[np.bool_]]:
    """Return the active hours of the 84 days before `day`, newest first, and which of these days are considered."""
    days = day[:, None] - 1 - np.arange(CONSIDERED_DAYS)
    seen = (days >= first_day[:, None]) & (days > front[:, None] - HORIZON_DAYS)
    bits = np.take_along_axis(hours, days % HORIZON_DAYS, axis=1)
    return np.where(seen, bits, np.uint32(0)), seen


def _three_bytes(bits: Hours) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(bits).astype("<u4").view(np.uint8).reshape(*bits.shape, 4)[:, :, :3]


def _by_weekday(values: npt.NDArray[np.generic], *, day: Ints) -> npt.NDArray[np.generic]:
    """Sum days (newest first, the newest is `day` − 1) by weekday, Monday first."""
    weeks = values.reshape(len(day), CONSIDERED_DAYS // 7, 7, *values.shape[2:]).sum(axis=1, dtype=values.dtype)
    place = (day[:, None] + 2 - np.arange(7)) % 7
    return np.take_along_axis(weeks, place.reshape(*place.shape, *[1] * (weeks.ndim - 2)), axis=1)


def _reached(hazard: Hazards, *, since: Ints, missing: Ints) -> Ints:
    """Return the local moment at which `missing` hazard has accrued since `since`; `hazard` is by hour of the week."""
    rows = np.arange(len(since))
    hour, into = since // HOUR, since % HOUR
    start = (hour // 24 + 3) % 7 * 24 + hour % 24
    rate = hazard[rows, start].astype(np.int64)
    twice = np.zeros((len(since), 337), np.int32)
    np.cumsum(hazard, axis=1, out=twice[:, 1:169])
    twice[:, 169:] = twice[:, 1:169] + twice[:, 168:169]
    week = twice[:, 168].astype(np.int64)
    left = missing - rate * (HOUR - into) // HOUR
    weeks = np.maximum(left - 1, 0) // week
    left_in_week = left - weeks * week
    base = twice[rows, start + 1].astype(np.int64)
    wanted = np.maximum(base + left_in_week, 0).astype(np.int32)
    whole = np.minimum(np.count_nonzero(twice[:, 1:] < wanted[:, None], axis=1), 335)
    before = twice[rows, whole].astype(np.int64) - base
    in_hour = -((before - left_in_week) * HOUR // np.maximum(hazard[rows, whole % 168], 1))
    later = (hour + weeks * 168 + whole - start) * HOUR + in_hour
    in_own = since - (-missing * HOUR // np.maximum(rate, 1))
    moment: Ints = np.where(left <= 0, in_own, later)
    return moment
