"""Say when an account's silence becomes abnormal for its own week (docs/scoring.md §6)."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.days import DAY, HORIZON_DAYS, HOUR
from services.scorer.core.table import Ints

CONSIDERED_DAYS: Final = 84
SHORTEST: Final = 24 * HOUR
LONGEST_DAYS: Final = 84
LONGEST: Final = LONGEST_DAYS * DAY
_WEEKS: Final = CONSIDERED_DAYS // 7
_PRIOR: Final = (512, 128)
"""Chance of an active workday, and of an active day at the weekend, before anything is known (of 1024)."""
_PRIOR_DAYS: Final = 2
_LEAST_LENT: Final = 1
_MOST_LENT: Final = 24
_LEAST_MOOD: Final = -256
_MOST_MOOD: Final = 2048
_LEAST_Q: Final = 16
_MOST_Q: Final = 1008
_ALL_HOURS: Final = np.uint32((1 << 24) - 1)
_PARTS: Final = 100_000
_MILLION: Final = Decimal(10**6)
_BYTES: Final = np.arange(256, dtype=np.uint8)[:, None]
_BITS_OF_BYTE: Final = np.unpackbits(_BYTES, axis=1, bitorder="little").view(np.uint64)[:, 0]
"""The eight bits of a byte as eight bytes: adding such words counts eight hours at once (never above 84)."""

Bits = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]
Small = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTime:
    """How accounts tell the time at their last activity, one a row.

    `roll` is that of account-days (ms), `shift` by how many hours local hours are ahead of account-hours. `off`
    (accounts × 169) says which of the local days from 84 before to 84 after the last activity's are no working days by
    the calendar; `weekend` (accounts × 7) which weekdays aren't. See `core.calendar.local_time`.
    """

    roll: Ints
    shift: Ints
    off: Flags
    weekend: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habit:
    """What the considered days amount to: arrays of accounts × 7 weekdays (Monday first), but for `uneven`."""

    active_1024: Small
    """1024 times its active days, and those lent by the weekdays that are like it."""
    days: Small
    """The days it was seen, and those lent."""
    chance: Small
    """q: the chance of activity, of 1024."""
    silent: Small
    """How many days without activity a week of silence counts for."""
    uneven: Ints
    """How much its weeks differ, by account."""


def local_day(last: Ints, *, roll: Ints, shift: Ints) -> Ints:
    """Return the local day on which moments (epoch ms) lie."""
    day: Ints = (last - roll + shift * HOUR) // DAY
    return day


def deadlines(
    last: Ints, *, first_day: Ints, front: Ints, hours: Bits, local: LocalTime, hazards_to_pass: Ints
) -> Ints:
    """Return the moment (epoch ms) at which silence since `last` becomes abnormal, one an account.

    `hours` (accounts × 91) is their ring of active hours, a bit an hour, with `front` its latest day; `last` lies on a
    day ≤ front. `hazards_to_pass` is what `hazard_table(alpha_permille)` returns.
    """
    day = local_day(last, roll=local.roll, shift=local.shift)
    bits, seen = _days_before(day, first_day=first_day, front=front, hours=hours, local=local)
    habit = _habit(bits, seen, day=day, weekend=local.weekend)
    expected = np.clip(32 * habit.chance.sum(axis=1, dtype=np.int64) // 1024, 1, 224)
    missing = _allowing_for_moods(hazards_to_pass[expected], habit=habit)
    chance = _chances_after(day, habit=habit, off=local.off[:, LONGEST_DAYS + 1 :])
    hazard = day_hazards()[chance]
    passed = np.cumsum(hazard, axis=1, dtype=np.int32)
    rows, ahead = np.arange(len(day)), np.count_nonzero(passed < missing[:, None], axis=1)
    is_reached = ahead < LONGEST_DAYS
    ahead = np.where(is_reached, ahead, 0)
    weekday = (day + 4 + ahead) % 7
    used = _by_weekday(_BITS_OF_BYTE[_three_bytes(bits)], day=day).view(np.uint8).reshape(len(day), 7, 24)
    weight = 4 * used[rows, weekday].astype(np.int64) + used.sum(axis=1, dtype=np.int64) + 1
    left = missing - (passed[rows, ahead] - hazard[rows, ahead])
    hour = _hour_of(left, chance=chance[rows, ahead].astype(np.int64), weight=weight)
    # as far into its hour as the last activity was into its own
    moment = (24 * (day + 1 + ahead) + hour - local.shift) * HOUR + local.roll + (last - local.roll) % HOUR
    longest = last + LONGEST
    bounded: Ints = np.minimum(np.maximum(np.where(is_reached, moment, longest), last + SHORTEST), longest)
    return bounded


@cache
def hazard_table(alpha_permille: int) -> tuple[int, ...]:
    """Return Λ by expected active days in 28 days, in eighths (0-224): −ln of the chance left, in millionths."""
    per_day = [Decimal(eighths * 1000) / Decimal(7 * alpha_permille) for eighths in range(1, 225)]
    return (10**6, *(max(10**6, _floor(_MILLION * chance.ln())) for chance in per_day))


@cache
def day_hazards() -> Small:
    """Return −ln(1 − q/1024) in millionths for q 0-1008."""
    return np.array([_floor(-_MILLION * (1 - Decimal(q) / 1024).ln()) for q in range(_MOST_Q + 1)], np.int32)


@cache
def _mood_table() -> Ints:
    """Return (exp(y) − 1) / y in 1024ths for y in 1024ths, from _LEAST_MOOD to _MOST_MOOD."""
    moods = [Decimal(y) / 1024 for y in range(_LEAST_MOOD, _MOST_MOOD + 1)]
    return np.array([_floor(1024 * (y.exp() - 1) / y) if y else 1024 for y in moods], np.int64)


@cache
def _gone() -> Ints:
    """Return 1 − exp(−x) in 100,000ths for x in thousandths, from 0 to the hazard of the likeliest day."""
    most = -(-int(day_hazards()[-1]) // 1000)
    return np.array([_floor(_PARTS * (1 - (Decimal(-x) / 1000).exp())) for x in range(most + 1)], np.int64)


def _floor(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_FLOOR))


def _days_before(day: Ints, *, first_day: Ints, front: Ints, hours: Bits, local: LocalTime) -> tuple[Bits, Flags]:
    """Return the active hours of the 84 local days before `day`, newest first, and which of them are considered."""
    late = (-local.shift % 24).astype(np.uint32)[:, None]
    oldest = day + (-local.shift) // 24 - CONSIDERED_DAYS
    days = oldest[:, None] + np.arange(CONSIDERED_DAYS, -1, -1)
    ring = np.take_along_axis(hours, days % HORIZON_DAYS, axis=1)
    # a local day is the end of one account-day, from hour `late` on, and the beginning of the next
    bits = (ring[:, 1:] >> late) | ((ring[:, :-1] << (np.uint32(24) - late)) & _ALL_HOURS)
    seen = (day[:, None] - 1 - np.arange(CONSIDERED_DAYS) > first_day[:, None]) & ~local.off[:, LONGEST_DAYS - 1 :: -1]
    seen &= days[:, 1:] > front[:, None] - HORIZON_DAYS
    return np.where(seen, bits, np.uint32(0)), seen


def _habit(bits: Bits, seen: Flags, *, day: Ints, weekend: Flags) -> _Habit:
    is_active = bits != 0
    # at most twelve of each: both are added at once
    counts = _by_weekday(is_active.astype(np.int16) + (seen.astype(np.int16) << 8), day=day).astype(np.int32)
    active, days = counts & 255, counts >> 8
    own, lent, silent = np.zeros_like(active), np.zeros_like(active), np.ones_like(active)
    for its, prior in zip((~weekend, weekend), _PRIOR, strict=True):
        known, alike = _group(active * its, days * its, number=its.sum(axis=1), prior=prior)
        own += its * known[:, None]
        lent += its * alike[:, None]
        known_days = (days * its).sum(axis=1) + _PRIOR_DAYS
        silent += its * -(-alike * its.sum(axis=1) // known_days)[:, None].astype(np.int32)
    active_1024, days = 1024 * active + lent * own, days + lent
    chance = np.clip(active_1024 // days, _LEAST_Q, _MOST_Q)
    return _Habit(
        active_1024=active_1024,
        days=days,
        chance=chance,
        silent=silent,
        uneven=_unevenness(bits, seen, days=days - lent, day=day),
    )


def _group(active: Small, days: Small, *, number: Ints, prior: int) -> tuple[Small, Small]:
    """Return the chance of activity over some weekdays together, and how many of its days each of them is lent.

    The more alike these weekdays are, the more: by the moments of a beta-binomial distribution.
    """
    known, seen = active.sum(axis=1), days.sum(axis=1)
    own = (1024 * known + _PRIOR_DAYS * prior) // (seen + _PRIOR_DAYS)
    more = (1024 * active - days * own[:, None]).astype(np.int64)
    between = (more * more).sum(axis=1)
    within = own * (1024 - own) * seen * np.maximum(number - 1, 0) // np.maximum(number, 1)
    excess = np.maximum(between - within, 1)
    lent = np.clip((seen // np.maximum(number, 1) - 1) * within // excess - 1, _LEAST_LENT, _MOST_LENT)
    return own.astype(np.int32), np.where(between > within, lent, _MOST_LENT).astype(np.int32)


def _allowing_for_moods(missing: Ints, *, habit: _Habit) -> Ints:
    """Return how much hazard must pass when weeks have a mood: within one, chances are those of a gamma mixture."""
    week = day_hazards()[habit.chance].sum(axis=1, dtype=np.int64)
    mood = np.clip(habit.uneven * np.minimum(missing, week) // 10**6, _LEAST_MOOD, _MOST_MOOD)
    allowed: Ints = missing * _mood_table()[mood - _LEAST_MOOD] // 1024
    return allowed


def _unevenness(bits: Bits, seen: Flags, *, days: Small, day: Ints) -> Ints:
    """Return how much weeks differ beside what days do: twice the variance of a week's mood about 1, in 1024ths.

    Below 0 where weeks differ less than independent days make them: of independent days it is 0 on average.
    """
    found = np.bitwise_count(bits)
    usual = 64 * _by_weekday(found.astype(np.int16), day=day).astype(np.int32) // np.maximum(days, 1)
    newest_first = np.take_along_axis(usual, (day[:, None] + 2 - np.arange(7)) % 7, axis=1).astype(np.int16)
    expected = seen.reshape(-1, _WEEKS, 7) * newest_first[:, None, :]
    more = found.reshape(-1, _WEEKS, 7) * np.int16(64) - expected
    of_weeks, of_days = more.sum(axis=2, dtype=np.int16).astype(np.int64), more.astype(np.int32)
    between = (of_weeks * of_weeks).sum(axis=1) - (of_days * of_days).sum(axis=(1, 2), dtype=np.int64)
    whole = expected.sum(axis=2, dtype=np.int16).astype(np.int64)
    uneven: Ints = 2048 * between // np.maximum((whole * whole).sum(axis=1), 1)
    return uneven


def _chances_after(day: Ints, *, habit: _Habit, off: Flags) -> Small:
    """Return q of each of the 84 local days after `day`: 0 on days off, less with every seven others in silence."""
    weekday = (day[:, None] + 4 + np.arange(7)) % 7
    parts = (habit.active_1024, habit.days, habit.silent)
    active, days, silent = (np.tile(np.take_along_axis(part, weekday, axis=1), _WEEKS) for part in parts)
    weeks = (np.cumsum(~off, axis=1, dtype=np.int32) - ~off) // 7
    chance = np.clip(active // (days + silent * weeks), _LEAST_Q, _MOST_Q)
    return np.where(off, np.int32(0), chance)


def _hour_of(left: Ints, *, chance: Ints, weight: Ints) -> Ints:
    """Return the hour of a day in which the chance that it stays silent has fallen by `left` (−ln, in millionths).

    At the end of an hour it is 1 − q times the share that hours up to it have in the day's weight (accounts × 24).
    """
    gone = _gone()[np.clip(-(-left // 1000), 0, len(_gone()) - 1)]
    wanted = np.minimum(1024 * gone, chance * _PARTS) * weight.sum(axis=1)
    passed = np.cumsum(weight, axis=1) * (chance * _PARTS)[:, None]
    hour: Ints = np.minimum((passed < wanted[:, None]).sum(axis=1), 23)
    return hour


def _three_bytes(bits: Bits) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(bits).astype("<u4").view(np.uint8).reshape(*bits.shape, 4)[:, :, :3]


def _by_weekday(values: npt.NDArray[np.generic], *, day: Ints) -> npt.NDArray[np.generic]:
    """Sum days (newest first, the newest is `day` − 1) by weekday, Monday first."""
    weeks = values.reshape(len(day), _WEEKS, 7, *values.shape[2:]).sum(axis=1, dtype=values.dtype)
    place = (day[:, None] + 2 - np.arange(7)) % 7
    return np.take_along_axis(weeks, place.reshape(*place.shape, *[1] * (weeks.ndim - 2)), axis=1)
