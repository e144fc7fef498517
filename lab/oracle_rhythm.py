"""Work out what docs/scoring.md §6 says of one account: its week, its calendar, when its silence is abnormal."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Context, Decimal
from functools import cache
from typing import Any

from lab.oracle_features import DAY, HOUR, History

EXACT = Context(prec=60)
EPOCH = date(1970, 1, 1)
Tables = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an account is at a moment: its hours ahead of account-hours, its weekend, and its days off."""

    shift: int
    weekend: set[int]
    off: set[int]
    """Local days of its country's calendar."""
    closures: list[tuple[int, int]]

    def is_off(self, day: int) -> bool:
        return day in self.off or any(first <= day <= last for first, last in self.closures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """An account's own week; lists by weekday, Monday first."""

    active_1024: list[int]
    days: list[int]
    silent: list[int]
    uneven: int
    weights: list[list[int]]

    def chance(self, weekday_: int, *, weeks: int = 0) -> int:
        days = self.days[weekday_] + self.silent[weekday_] * weeks
        return min(max(self.active_1024[weekday_] // days, 16), 1008)


def deadline_after(history: History, last: int, *, alpha_permille: int, calendars: Tables | None = None) -> int:
    """Return the moment at which silence since `last` becomes abnormal (§6)."""
    place = place_of(history, last, tables=calendars or {})
    today = (last - history.roll + place.shift * HOUR) // DAY
    week = _week(history, today, place=place)
    expected_days = min(max(32 * sum(week.chance(w) for w in range(7)) // 1024, 1), 224)
    missing = max(1_000_000, millionths_of_ln(expected_days * 1000, 7 * alpha_permille))
    missing = missing * _mood(week, missing) // 1024
    ahead = [day for day in range(today + 1, today + 85) if not place.is_off(day)]
    for passed, day in enumerate(ahead):
        chance = week.chance(weekday(day), weeks=passed // 7)
        hazard = millionths_of_ln(1024, 1024 - chance)
        if hazard >= missing:
            hour = _hour_of(missing, chance=chance, weights=week.weights[weekday(day)])
            moment = (24 * day + hour - place.shift) * HOUR + history.roll + (last - history.roll) % HOUR
            return min(max(moment, last + DAY), last + 84 * DAY)
        missing -= hazard
    return last + 84 * DAY


def _mood(week: Week, missing: int) -> int:
    hazard = sum(millionths_of_ln(1024, 1024 - week.chance(w)) for w in range(7))
    mood = min(max(week.uneven * min(missing, hazard) // 10**6, -256), 2048)
    if mood == 0:
        return 1024
    y = Decimal(mood) / 1024
    exact = EXACT.divide(EXACT.multiply(1024, EXACT.subtract(EXACT.exp(y), Decimal(1))), y)
    return int(exact.to_integral_value(rounding="ROUND_FLOOR"))


def _hour_of(missing: int, *, chance: int, weights: list[int]) -> int:
    thousandths = -(-missing // 1000)
    gone = int((EXACT.subtract(Decimal(1), EXACT.exp(Decimal(-thousandths) / 1000)) * 100_000) // 1)
    wanted = min(1024 * gone, chance * 100_000) * sum(weights)
    for hour, weight in enumerate(weights):
        rate = weight * chance * 100_000
        if rate >= wanted:
            return hour
        wanted -= rate
    raise AssertionError("a day holds all of its weight")


def place_of(history: History, last: int, *, tables: Tables) -> Place:
    """Return where an account is at its last activity, by what is known of it and the bundle's calendars."""
    zones = {name: zone for zone in tables.get("zones", []) for name in zone["names"]}
    zone = zones.get(history.value("timezone")) or zones.get(tables.get("default_timezone"))
    minutes = zone["minutes"][sum(at <= last for at in zone["at"])] if zone else 0
    countries = tables.get("countries", {})
    country = countries.get(_code(history.value("country"))) or countries.get(tables.get("default_country"))
    days, day = set(), tables.get("first_day", 0)
    for step in country["off"] if country else []:
        day += step
        if day < tables["first_day"] + tables["days"]:
            days.add(day)
    return Place(
        shift=(history.roll + minutes * 60_000) // HOUR,
        weekend=set(country["weekend"]) if country else {5, 6},
        off=days,
        closures=[(_number(one["from"]), _number(one["to"])) for one in history.value("closures") or []],
    )


def _code(country: str | None) -> str | None:
    return country.upper() if country is not None and country.isascii() and len(country) == 2 else None


def _number(day: str) -> int:
    return (date.fromisoformat(day) - EPOCH) // timedelta(days=1)


def _week(history: History, today: int, *, place: Place) -> Week:
    considered = [d for d in range(today - 84, today) if _is_considered(history, d, place=place)]
    active = {d: _local_hours(history, d, shift=place.shift) for d in considered}
    days = [sum(weekday(d) == w for d in considered) for w in range(7)]
    found = [sum(weekday(d) == w and bool(active[d]) for d in considered) for w in range(7)]
    active_1024, lent_too, silent = [0] * 7, [0] * 7, [0] * 7
    for is_weekend, prior in ((False, 512), (True, 128)):
        its = [w for w in range(7) if (w in place.weekend) is is_weekend]
        all_days, all_found = sum(days[w] for w in its), sum(found[w] for w in its)
        own = (1024 * all_found + 2 * prior) // (all_days + 2)
        lent = _lent(its, days=days, found=found, own=own)
        for w in its:
            active_1024[w] = 1024 * found[w] + lent * own
            lent_too[w] = days[w] + lent
            silent[w] = 1 + -(-lent * len(its) // (all_days + 2))
    hours = Counter((weekday(d), h) for d in considered for h in active[d])
    any_day = [sum(hours[w, h] for w in range(7)) for h in range(24)]
    weights = [[4 * hours[w, h] + any_day[h] + 1 for h in range(24)] for w in range(7)]
    uneven = _unevenness(active, days=days, today=today)
    return Week(active_1024=active_1024, days=lent_too, silent=silent, uneven=uneven, weights=weights)


def _lent(its: list[int], *, days: list[int], found: list[int], own: int) -> int:
    if not its:
        return 24
    all_days = sum(days[w] for w in its)
    between = sum((1024 * found[w] - days[w] * own) ** 2 for w in its)
    within = own * (1024 - own) * all_days * (len(its) - 1) // len(its)
    if between <= within:
        return 24
    return min(max((all_days // len(its) - 1) * within // (between - within) - 1, 1), 24)


def _is_considered(history: History, day: int, *, place: Place) -> bool:
    earliest = (24 * day - place.shift) // 24
    return day > history.first_day and earliest > history.front - 91 and not place.is_off(day)


def _local_hours(history: History, day: int, *, shift: int) -> set[int]:
    first = 24 * day - shift
    slots = {24 * d + h for d in (first // 24, first // 24 + 1) for h in history.hours.get(d, ())}
    return {slot - first for slot in slots if first <= slot < first + 24}


def _unevenness(active: dict[int, set[int]], *, days: list[int], today: int) -> int:
    totals = Counter[int]()
    for day, hours in active.items():
        totals[weekday(day)] += len(hours)
    usual = [64 * totals[w] // max(days[w], 1) for w in range(7)]
    between = -sum((64 * len(hours) - usual[weekday(day)]) ** 2 for day, hours in active.items())
    whole = 0
    for first in range(today - 84, today, 7):
        week = [d for d in active if first <= d < first + 7]
        between += sum(64 * len(active[d]) - usual[weekday(d)] for d in week) ** 2
        whole += sum(usual[weekday(d)] for d in week) ** 2
    return 2048 * between // max(whole, 1)


def weekday(day: int) -> int:
    return (day + 3) % 7


@cache
def millionths_of_ln(numerator: int, denominator: int) -> int:
    """Return floor(10⁶ · ln(numerator / denominator)), exactly."""
    ln = EXACT.ln(EXACT.divide(Decimal(numerator), Decimal(denominator)))
    return int(EXACT.multiply(ln, Decimal(1_000_000)).to_integral_value(rounding="ROUND_FLOOR"))
