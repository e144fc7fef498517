"""Say when an account's silence becomes abnormal for its own week (docs/scoring.md §6)."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.scorer.core.days import DAY, HORIZON_DAYS, HOUR, add_up, back_from
from services.scorer.core.table import Flags, Ints

CONSIDERED_DAYS: Final = 84
SHORTEST: Final = 24 * HOUR
LONGEST_DAYS: Final = 84
LONGEST: Final = LONGEST_DAYS * DAY
_WEEKS: Final = CONSIDERED_DAYS // 7
_LOOK_DAYS: Final = 28
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
Bits = npt.NDArray[np.uint32]
Small = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTime:
    """How accounts tell the time at their last activity, one a row.

    `roll` is that of account-days (ms), `shift` by how many hours local hours are ahead of account-hours. `off`
    (169 × accounts) says which of the local days from 84 before to 84 after the last activity's are no working days by
    the calendar; `weekend` (7 × accounts) which weekdays aren't. See `core.calendar.local_time`.
    """

    roll: Ints
    shift: Ints
    off: Flags
    weekend: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habit:
    """What the considered days amount to: arrays of 7 weekdays (Monday first) × accounts, but for `uneven`."""

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
    known = patience_of(
        day, first_day=first_day, front=front, hours=hours, local=local, hazards_to_pass=hazards_to_pass
    )
    return ends_of(known, last=last, roll=local.roll, shift=local.shift)


def patience_of(
    day: Ints, *, first_day: Ints, front: Ints, hours: Bits, local: LocalTime, hazards_to_pass: Ints
) -> Ints:
    """Return after how many hours of silence since the end of a local day it is abnormal: at most 2,016.

    That of the last activity is meant: nothing but the days before it, and the calendar, decides.
    """
    bits, seen = _days_before(day, first_day=first_day, front=front, hours=hours, local=local)
    habit = _habit(bits, seen, day=day, weekend=local.weekend)
    expected = np.clip(32 * habit.chance.sum(axis=0, dtype=np.int64) // 1024, 1, 224)
    missing = _allowing_for_moods(hazards_to_pass[expected], habit=habit)
    ahead, chance, left = _day_it_passes(missing, day=day, habit=habit, off=local.off[LONGEST_DAYS + 1 :])
    hour = _hour_of(left, chance=chance, weight=_weights(bits, newest=day - 1, weekday=(day + 4 + ahead) % 7))
    return np.where(ahead < LONGEST_DAYS, 24 * ahead + hour, 24 * LONGEST_DAYS)


def ends_of(patience: Ints, *, last: Ints, roll: Ints, shift: Ints) -> Ints:
    """Return the moment (epoch ms) at which silence since `last` becomes abnormal by such patience."""
    day = local_day(last, roll=roll, shift=shift)
    # as far into its hour as the last activity was into its own
    moment = (24 * (day + 1) + patience - shift) * HOUR + roll + (last - roll) % HOUR
    bounded: Ints = np.minimum(np.maximum(moment, last + SHORTEST), last + LONGEST)
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
    late = (-local.shift % 24).astype(np.uint32)
    newest = day + (-local.shift) // 24
    ring = back_from(hours, front, day=newest, days=CONSIDERED_DAYS + 1)
    # a local day is the end of one account-day, from hour `late` on, and the beginning of the next
    bits = (ring[1:] >> late) | ((ring[:-1] << (np.uint32(24) - late)) & _ALL_HOURS)
    back = np.arange(CONSIDERED_DAYS, dtype=np.int16)[:, None]
    known = np.minimum(day - 1 - first_day, newest - 1 - front + HORIZON_DAYS)
    seen = (back < np.clip(known, 0, CONSIDERED_DAYS).astype(np.int16)) & ~local.off[LONGEST_DAYS - 1 :: -1]
    bits *= seen
    return bits, seen


def _habit(bits: Bits, seen: Flags, *, day: Ints, weekend: Flags) -> _Habit:
    active = _by_weekday((bits != 0).view(np.int8), newest=day - 1).astype(np.int32)
    days = _by_weekday(seen.view(np.int8), newest=day - 1).astype(np.int32)
    own, lent, silent = np.zeros_like(active), np.zeros_like(active), np.ones_like(active)
    for its, prior in zip((~weekend, weekend), _PRIOR, strict=True):
        known, alike = _group(active * its, days * its, number=its.sum(axis=0), prior=prior)
        own += its * known
        lent += its * alike
        known_days = (days * its).sum(axis=0) + _PRIOR_DAYS
        silent += its * -(-alike * its.sum(axis=0) // known_days).astype(np.int32)
    active_1024, lent_to = 1024 * active + lent * own, days + lent
    chance = np.clip(active_1024 // lent_to, _LEAST_Q, _MOST_Q)
    return _Habit(
        active_1024=active_1024,
        days=lent_to,
        chance=chance,
        silent=silent,
        uneven=_unevenness(bits, seen, days=days, newest=day - 1),
    )


def _group(active: Small, days: Small, *, number: Ints, prior: int) -> tuple[Small, Small]:
    """Return the chance of activity over some weekdays together, and how many of its days each of them is lent.

    The more alike these weekdays are, the more: by the moments of a beta-binomial distribution.
    """
    known, seen = active.sum(axis=0), days.sum(axis=0)
    own = (1024 * known + _PRIOR_DAYS * prior) // (seen + _PRIOR_DAYS)
    more = (1024 * active - days * own).astype(np.int64)
    between = (more * more).sum(axis=0)
    within = own * (1024 - own) * seen * np.maximum(number - 1, 0) // np.maximum(number, 1)
    excess = np.maximum(between - within, 1)
    lent = np.clip((seen // np.maximum(number, 1) - 1) * within // excess - 1, _LEAST_LENT, _MOST_LENT)
    return own.astype(np.int32), np.where(between > within, lent, _MOST_LENT).astype(np.int32)


def _allowing_for_moods(missing: Ints, *, habit: _Habit) -> Ints:
    """Return how much hazard must pass when weeks have a mood: within one, chances are those of a gamma mixture."""
    week = day_hazards()[habit.chance].sum(axis=0, dtype=np.int64)
    mood = np.clip(habit.uneven * np.minimum(missing, week) // 10**6, _LEAST_MOOD, _MOST_MOOD)
    allowed: Ints = missing * _mood_table()[mood - _LEAST_MOOD] // 1024
    return allowed


def _unevenness(bits: Bits, seen: Flags, *, days: Small, newest: Ints) -> Ints:
    """Return how much weeks differ beside what days do: twice the variance of a week's mood about 1, in 1024ths.

    Below 0 where weeks differ less than independent days make them: of independent days it is 0 on average.
    A day differs by 24 · 64 at most, a week by seven times that: squares of twelve weeks are below 2³¹.
    """
    found = np.bitwise_count(bits).astype(np.int16)
    usual = 64 * _by_weekday(found, newest=newest).astype(np.int32) // np.maximum(days, 1)
    expected = seen.reshape(_WEEKS, 7, -1) * _turned(usual.astype(np.int16), newest=newest)
    more = found.reshape(_WEEKS, 7, -1) * np.int16(64) - expected
    between = _squares(more.sum(axis=1, dtype=np.int16)) - _squares(more.reshape(CONSIDERED_DAYS, -1))
    whole = np.maximum(_squares(expected.sum(axis=1, dtype=np.int16)), 1)
    uneven: Ints = 2048 * between // whole
    return uneven


def _squares(values: npt.NDArray[np.int16]) -> Ints:
    """Return the sum of the squares of each account's values (n × accounts)."""
    squares: Ints = np.einsum("ij,ij->j", values, values, dtype=np.int32).astype(np.int64)
    return squares


def _day_it_passes(missing: Ints, *, day: Ints, habit: _Habit, off: Flags) -> tuple[Ints, Ints, Ints]:
    """Return on which of the local days after `day` so much hazard has passed, its q, and how much was left before it.

    `off` is 84 × accounts. Where it passes on none the day is 84 and the rest of no use. q is 0 on days off, and less
    with every seven others in silence. Four weeks are looked at at a time: most accounts need no more.
    """
    missing = missing.copy()
    ahead, chance, left = (np.full(len(day), LONGEST_DAYS) for _ in range(3))
    going, worked = np.arange(len(day)), np.zeros(len(day), np.int8)
    weekday = (day + 4 + np.arange(7)[:, None]) % 7
    parts = [np.take_along_axis(part, weekday, axis=0) for part in (habit.active_1024, habit.days, habit.silent)]
    for begin in range(0, LONGEST_DAYS, _LOOK_DAYS):
        is_off = off[begin : begin + _LOOK_DAYS, going]
        works = (~is_off).astype(np.int8)
        before = (add_up(works.copy()) - works + worked).reshape(_LOOK_DAYS // 7, 7, len(going))
        active, days, silent = (part[:, going] for part in parts)
        q = np.clip(active // (days + silent * (before // np.int8(7))), _LEAST_Q, _MOST_Q).reshape(is_off.shape)
        q[is_off] = 0
        hazard = day_hazards()[q]
        passed = add_up(hazard.copy())
        found = np.count_nonzero(passed < missing[going], axis=0)
        done = np.flatnonzero(found < _LOOK_DAYS)
        at, its = (found[done], done), going[done]
        ahead[its], chance[its], left[its] = begin + found[done], q[at], missing[its] - passed[at] + hazard[at]
        rest = np.flatnonzero(found == _LOOK_DAYS)
        missing[going] -= passed[-1]
        going, worked = going[rest], (worked + works.sum(axis=0, dtype=np.int8))[rest]
    return ahead, chance, left


def _hour_of(left: Ints, *, chance: Ints, weight: Ints) -> Ints:
    """Return the hour of a day in which the chance that it stays silent has fallen by `left` (−ln, in millionths).

    At the end of an hour it is 1 − q times the share that hours up to it have in the day's weight (24 × accounts).
    """
    gone = _gone()[np.clip(-(-left // 1000), 0, len(_gone()) - 1)]
    wanted = np.minimum(1024 * gone, chance * _PARTS) * weight.sum(axis=0)
    passed = add_up(weight.copy()) * (chance * _PARTS)
    hour: Ints = np.minimum(np.count_nonzero(passed < wanted, axis=0), 23)
    return hour


def _weights(bits: Bits, *, newest: Ints, weekday: Ints) -> Ints:
    """Return the weight of each hour of a weekday (24 × accounts): its active hours tell more than the other days'."""
    weeks = bits.reshape(_WEEKS, 7, -1)
    its = np.take_along_axis(weeks, ((newest + 3 - weekday) % 7)[None, None], axis=1)[:, 0]
    weight: Ints = 4 * _used(its) + _used(bits) + 1
    return weight


def _used(bits: Bits) -> Ints:
    """Return on how many of some days (days × accounts) each hour was active (24 × accounts).

    Adds words as 24 numbers of one bit at once: of three there remain their sum and what is carried to the next bit.
    """
    counts, unit = np.zeros((24, bits.shape[1]), np.uint32), 0
    hours = np.arange(24, dtype=np.uint32)[:, None]
    while len(bits):
        carried = [bits[:0]]
        while len(bits) > 1:
            filled = np.zeros((-len(bits) % 3, bits.shape[1]), np.uint32)
            one, two, three = np.concatenate([bits, filled]).reshape(3, -1, bits.shape[1])
            bits = one ^ two ^ three
            carried.append(one & two | (one ^ two) & three)
        counts += (bits[0] >> hours & np.uint32(1)) << np.uint32(unit)
        bits, unit = np.concatenate(carried), unit + 1
    return counts.astype(np.int64)


def _by_weekday(values: npt.NDArray[Any], *, newest: Ints) -> npt.NDArray[Any]:
    """Sum days (84 × accounts, newest first) by weekday, Monday first."""
    return _turned(values.reshape(_WEEKS, 7, -1).sum(axis=0, dtype=values.dtype), newest=newest)


def _turned(values: npt.NDArray[Any], *, newest: Ints) -> npt.NDArray[Any]:
    """Return the day `newest` and the six before it (7 × accounts) by weekday, Monday first, or the other way round."""
    return np.take_along_axis(values, (newest + 3 - np.arange(7)[:, None]) % 7, axis=0)
