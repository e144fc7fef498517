"""Put accounts before the scorer's own code as cases know them: by feature values and a few facts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.scorecard.case import CaseFile, Value
from lab.scorecard.habit import Habits, Silence
from services.scorer.core.activity import Activity
from services.scorer.core.bundle import BANDS, CompiledBundle
from services.scorer.core.days import DAY, HORIZON_DAYS, NO_DAY
from services.scorer.core.episodes import SEVERITIES, Episodes
from services.scorer.core.features import Features
from services.scorer.core.position import SAID, Position
from services.scorer.core.rules import Court, judge
from services.scorer.core.scorecard import bands_of, health_of
from services.scorer.core.table import Flags, Ints
from services.scorer.core.view import MISSING
from shared.contracts.health import Band
from shared.contracts.journey import MilestoneState
from shared.contracts.risk import Severity

TODAY: Final = 20_003
"""The day on which all cases are judged, since 1970-01-01: a Monday."""
YEAR: Final = 2024
"""The year of that day."""
NOON: Final = TODAY * DAY + DAY // 2
WORTH_TELLING: Final = 100
"""Milli-points below which a message doesn't name a measure either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What comes of a case: health in milli-points, None without one, and the measures that cost, the worst first."""

    scorecard: str
    stage: str
    health: int | None
    band: Band
    costs: Sequence[str]
    rules: Mapping[str, Severity]
    silence: Silence | None
    milestones: Mapping[str, MilestoneState]


class Accounts:
    """The accounts of the cases of a file, ready to be judged under one configuration after another."""

    def __init__(self, file: CaseFile) -> None:
        self.cases = file.cases
        self.values = _Given(file.given)
        self.activity = _activity(self.values, given=file.given)
        for row, case in enumerate(file.cases):
            _reach(self.activity, row=row, events=case.events, said=case.said)
        self.habits = Habits(file, today=TODAY)

    def judged(self, bundle: CompiledBundle) -> list[Found]:
        """Judge every case as a tick would."""
        features = _Features(self.values, self.activity, bundle=bundle)
        before = np.array([BANDS.index(case.before) for case in self.cases], np.int8)
        health = health_of(features, bundle=bundle)
        bands = bands_of(health.health, before=before, bundle=bundle)
        features.told(health.health, bands)
        episodes = self._judged_episodes(features, before=before)
        names = [measure.name for measure in health.measures]
        silences = self.habits.silences(bundle)
        lost = np.where(health.counted, health.possible[:, health.kind] - health.points, 0)
        return [
            Found(
                scorecard=bundle.scorecard_names[features.scorecard[row]],
                stage=self.activity.stages.texts[features.stage[row]],
                health=None if health.health[row] == MISSING else int(health.health[row]),
                band=BANDS[bands[row]],
                costs=_costs(lost[:, row], names=names),
                rules=_open(episodes, row=row),
                silence=silences.get(row),
                milestones=_milestones(features.position, row=row),
            )
            for row in range(len(self.cases))
        ]

    def _judged_episodes(self, features: Features, *, before: npt.NDArray[np.int8]) -> Episodes:
        """Judge the days on which something began or ended, the earliest first, and today."""
        bundle = features.bundle
        episodes = Episodes(bundle.rule_names)
        episodes.add(len(self.cases))
        days = {back for case in self.cases for back in (case.since, *case.closed.values())} - {0}
        for back in sorted(days, reverse=True):
            closed = [[rule for rule, ago in case.closed.items() if ago == back] for case in self.cases]
            _open_before(episodes, [dict.fromkeys(rules, Severity.AT_RISK) for rules in closed], back=back)
            known = np.array([case.since >= back for case in self.cases])
            then = _Features(_Known(self.values, known), self.activity, bundle=bundle, back=back)
            healths = np.where(known, health_of(then, bundle=bundle).health, MISSING)
            then.told(healths, bands_of(healths, before=before, bundle=bundle))
            self._judge(then, episodes)
        _open_before(episodes, [case.open for case in self.cases], back=0)
        self._judge(features, episodes)
        return episodes

    def _judge(self, features: Features, episodes: Episodes) -> None:
        nobody = np.zeros(len(self.cases), bool)
        court = Court(episodes=episodes, activity=self.activity, bundle=features.bundle, held=nobody, standing=nobody)
        judge(features, at=int(features.at.max(initial=0)), court=court)


def _open_before(episodes: Episodes, rules: Sequence[Mapping[str, Severity]], *, back: int) -> None:
    """Note of each case which rules are open since the day before."""
    rows = np.arange(len(rules))
    known = episodes.of(rows)
    for row, one in enumerate(rules):
        for rule, severity in one.items():
            column = episodes.rules.index(rule)
            known["opened"][column, row] = NOON - (back + 1) * DAY
            known["severity"][column, row] = SEVERITIES.index(severity)
    episodes.keep(rows, known)


class _Given(Mapping[str, Ints]):
    """Values of features as columns, MISSING where they aren't given."""

    def __init__(self, given: Sequence[Mapping[str, Value]]) -> None:
        names = dict.fromkeys(name for one in given for name in one)
        self._nothing = np.full(len(given), MISSING)
        self._columns = {name: np.array([_number(one.get(name)) for one in given], np.int64) for name in names}

    def __getitem__(self, name: str) -> Ints:
        return self._columns.get(name, self._nothing)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class _Known(Mapping[str, Ints]):
    """The same values where they are known, MISSING elsewhere."""

    def __init__(self, values: Mapping[str, Ints], known: Flags) -> None:
        self._values, self._known = values, known

    def __getitem__(self, name: str) -> Ints:
        return np.where(self._known, self._values[name], MISSING)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _Told(Mapping[str, Ints]):
    """The same values, and what is made of them."""

    def __init__(self, values: Mapping[str, Ints], made: Mapping[str, Ints]) -> None:
        self._values, self._made = values, made

    def __getitem__(self, name: str) -> Ints:
        return self._made[name] if name in self._made else self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._values, **self._made})

    def __len__(self) -> int:
        return len({**self._values, **self._made})


class _Features(Features):
    """The accounts of cases: evidence, stage and scorecard follow from the facts; the features are those given."""

    def __init__(
        self, values: Mapping[str, Ints], activity: Activity, *, bundle: CompiledBundle, back: int = 0
    ) -> None:
        rows = np.arange(activity.accounts.count)
        super().__init__(np.full(len(rows), NOON - back * DAY), rows=rows, activity=activity, bundle=bundle)
        self.values = values

    def told(self, health: Ints, bands: npt.NDArray[np.int8]) -> None:
        """Let rules see the health (milli-points, MISSING without one) and the bands, as indices of BANDS."""
        known = np.where(bands > 0, bands.astype(np.int64), MISSING)
        self.values = _Told(self.values, {"health": health, "band": known})


def _activity(values: Mapping[str, Ints], *, given: Sequence[Mapping[str, Value]]) -> Activity:
    """Return what is kept of accounts of which these values are known, as far as more than the values hangs on it."""
    activity = Activity()
    count = len(given)
    rows = activity.add_accounts([f"case {n}" for n in range(count)], hashes=np.arange(1, count + 1, dtype=np.uint64))
    columns = activity.accounts
    columns["roll"][rows] = 0
    tenure, recency, renewal = (values[name] for name in ("tenure_days", "recency_days", "renewal_days"))
    present = tenure != MISSING
    columns["first_day"][rows] = np.where(present, TODAY - tenure + 1, NO_DAY)
    columns["front"][rows] = np.where(present, TODAY - np.maximum(recency, 0), NO_DAY)
    columns["last"][rows] = np.where(present, NOON - np.maximum(recency, 0) * DAY, MISSING)
    columns["hours"][rows] = np.arange(HORIZON_DAYS) < values["active_days"][:, None]
    columns["renewal_day"][rows] = np.where(renewal == MISSING, NO_DAY, TODAY + renewal)
    columns["override"][rows] = np.where(values["override"] == MISSING, -1, values["override"])
    columns["override_until"][rows] = TODAY
    columns["deleted"][rows] = values["ended"] > 0
    columns["trial"][rows] = values["trial"] > 0
    columns["segment"][rows] = [activity.segments.number(_text(one.get("segment"))) for one in given]
    columns["stage"][rows] = [activity.stages.number(_text(one.get("stage"))) for one in given]
    columns["stage_day"][rows] = TODAY - np.maximum(values["stage_days"], 0)
    return activity


def _reach(activity: Activity, *, row: int, events: Mapping[str, int], said: Sequence[str]) -> None:
    """Let so many users of an account have done events a day ago, and somebody have said what is reached."""
    done = [(name, user) for name, users in events.items() for user in range(users + 1)]
    done += [(SAID + name, 0) for name in said]
    numbers = np.array([activity.mark_names.number(name) for name, _ in done], np.int64)
    users = np.array([user for _, user in done], np.uint64)
    at = np.full(len(done), NOON - DAY)
    if done:
        activity.mark(np.full(len(done), row), events=numbers, users=users, at=at)


def _milestones(position: Position, *, row: int) -> dict[str, MilestoneState]:
    """Return where an account stands with the milestones of its stage."""
    journey = position.journey(row)
    return {} if journey is None else {one.name: one.state for one in journey.milestones}


def _costs(lost: Ints, *, names: Sequence[str]) -> list[str]:
    """Return the measures that cost something in the order in which a message tells of them."""
    order = sorted(np.flatnonzero(lost >= WORTH_TELLING).tolist(), key=lambda k: (-lost[k], names[k]))
    return [names[k] for k in order]


def _open(episodes: Episodes, *, row: int) -> dict[str, Severity]:
    severities = [SEVERITIES[code] for code in episodes.of(np.array([row]))["severity"][:, 0].tolist()]
    return {rule: severity for rule, severity in zip(episodes.rules, severities, strict=False) if severity is not None}


def _number(value: Value) -> int:
    return MISSING if value is None or isinstance(value, str) else int(value)


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None
