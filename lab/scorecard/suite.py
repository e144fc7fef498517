"""Judge all cases of a configuration under its files as they are, or as they would be with a value changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from lab.scorecard.case import CaseFile, read_cases
from lab.scorecard.expected import differences
from lab.scorecard.given import YEAR, Accounts, Found
from services.scorer.calendars import NAME as CALENDARS
from services.scorer.calendars import CalendarSettings, settings_of, tables_of
from services.scorer.core.bundle import CompiledBundle, ConfigError
from services.scorer.core.calendar import Tables, compile_calendars
from services.scorer.core.compile import compile_bundle
from shared.yaml_file import read_yaml

CASES: Final = "cases"
"""The folder of cases in that of the configuration."""
JOURNEY: Final = "journey"
_COMPILED: Final = ("scorecard", "rules", JOURNEY)

Contents = Mapping[str, Any]
"""Parsed files by their names without `.yaml`: the four that decide, and those of cases that have a journey."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The cases of a configuration: of each file, by its name, what it says and its accounts."""

    contents: Contents
    files: Mapping[str, tuple[CaseFile, Accounts]]

    def judged(self, contents: Contents) -> Iterator[tuple[CaseFile, Sequence[Found]]]:
        """Yield each file with what comes of its cases under these contents; raises ConfigError if they are refused."""
        common = _compiled(contents, journey=contents[JOURNEY])
        for name, (file, accounts) in self.files.items():
            bundle = _compiled(contents, journey=contents[name][JOURNEY]) if name in contents else common
            tables = self._tables(contents, year=file.year or YEAR)
            yield file, accounts.judged(replace(bundle, calendars=compile_calendars(tables)))

    def notices(self, contents: Contents) -> bool:
        """Say whether a case fails under these contents; raises ConfigError if they are refused."""
        return any(
            any(differences(case, one))
            for file, found in self.judged(contents)
            for case, one in zip(file.cases, found, strict=True)
        )

    def has_other_days(self, contents: Contents) -> bool:
        """Say whether under these contents other days are off, or other clocks hold; raises ConfigError likewise."""
        years = {YEAR, *(file.year or YEAR for file, _ in self.files.values())}
        return any(self._tables(contents, year=year) != self._tables(self.contents, year=year) for year in years)

    @cached_property
    def _countries(self) -> Sequence[str]:
        """Return the countries that cases or the calendars name: the others aren't worked out."""
        told = {str(one["country"]) for file, _ in self.files.values() for one in file.given if one.get("country")}
        return sorted(told | _settings(msgspec.json.encode(self.contents[CALENDARS])).countries.keys())

    def _tables(self, contents: Contents, *, year: int) -> Tables:
        settings = _settings(msgspec.json.encode(contents[CALENDARS]))
        return tables_of(settings, year=year, countries=[*self._countries, settings.default_country or ""])


def read_suite(folder: Path, *, bundle: CompiledBundle) -> Suite:
    """Read the cases of a folder without faults, and what they may notice; raises BadFiles naming all theirs."""
    contents = {}
    for name in (*_COMPILED, CALENDARS):
        path = folder / f"{name}.yaml"
        contents[name] = (read_yaml(path).content if path.exists() else None) or {}
    files = {}
    for file in read_cases(folder / CASES, bundle=bundle):
        name = f"{CASES}/{file.file.path.stem}"
        files[name] = file, Accounts(file)
        if JOURNEY in file.file.content:
            contents[name] = {JOURNEY: file.file.content[JOURNEY]}
    return Suite(contents=contents, files=files)


def _compiled(contents: Contents, *, journey: object) -> CompiledBundle:
    return compile_bundle("", {**{name: contents[name] for name in _COMPILED}, JOURNEY: journey})


@lru_cache(maxsize=2)
def _settings(content: bytes) -> CalendarSettings:
    settings, faults = settings_of(msgspec.json.decode(content))
    if faults:
        raise ConfigError(faults)
    return settings
