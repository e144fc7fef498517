"""Money, days and the other cells of an export are read as written, and never guessed."""

import pytest

from lab.accounts.cells import BadCell, count, flag, identity, zone
from lab.accounts.countries import CODE_OF, country_code
from lab.accounts.days import BadDay, Form, day_first, form_of, read_day
from lab.accounts.money import BadMoney, decimal_sign, read_currency, read_money
from lab.accounts.owners import BadOwner, owners_of
from services.alerts.core.people import People, Person


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("48000", 48_000, None),
        ("48,000", 48_000, None),
        ("¥12,000,000", 12_000_000, "JPY"),
        ("￥１２，０００，０００", 12_000_000, "JPY"),
        ("1,200万円", 12_000_000, "JPY"),
        ("3億", 300_000_000, None),
        ("$12k", 12_000, "USD"),
        ("12.000,00 €", 12_000, "EUR"),
        ("1.2M", 1_200_000, None),
        ("1.2M USD", 1_200_000, "USD"),
        ("12 500,50 EUR", 12_500, "EUR"),
        ("CHF 1'234'567.80", 1_234_568, "CHF"),
        ("MXN 500000.75", 500_001, "MXN"),
        ("500 MXN", 500, "MXN"),
        ("A$9.5k", 9_500, "AUD"),
        ("1.234.567", 1_234_567, None),
        ("0.125", 0, None),
        ("48000.125", 48_000, None),
    ],
)
def test_money_is_read_with_its_currency(text: str, amount: int, currency: str | None) -> None:
    found = read_money(text)
    assert (found.amount, found.currency) == (amount, currency)


@pytest.mark.parametrize(
    "text", ["much", "12 apples", "-5", "(1,000)", "€", "1,23,456", "12,00.00,0", "$5 EUR", "5 ABC"]
)
def test_what_is_no_money_is_refused(text: str) -> None:
    with pytest.raises(BadMoney):
        read_money(text)


def test_an_amount_that_may_be_two_is_refused_unless_the_column_or_somebody_tells() -> None:
    with pytest.raises(BadMoney, match=r"may be 1234 or 1: .*--decimal point or --decimal comma"):
        read_money("1.234")
    assert decimal_sign(["1.234", "7", "12.000,00 €"]) == ","
    assert read_money("1.234", seen=",").amount == 1234
    assert read_money("1.234", told=",").amount == 1234
    assert read_money("1.234", told=".").amount == 1
    with pytest.raises(BadMoney):
        read_money("1.234", seen=".")
    with pytest.raises(BadMoney):
        read_money("1,234", seen=",")
    with pytest.raises(BadMoney, match="decimal point, others in the column a decimal comma"):
        read_money("1,200.50", seen=",")


def test_a_number_of_json_is_no_text_to_doubt() -> None:
    assert read_money(1.234).amount == 1
    assert read_money(48_000).amount == 48_000


def test_currencies_are_codes() -> None:
    assert [read_currency(text) for text in ("eur", "¥", "US$", "zł")] == ["EUR", "JPY", "USD", "PLN"]
    with pytest.raises(BadMoney, match="write its code"):
        read_currency("Taler")


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-01",
        "2026/4/1",
        "2026年4月1日",
        "２０２６年４月１日",
        "2026.04.01",
        "1.4.2026",
        "1 Apr 2026",
        "April 1, 2026",
        "1-Apr-2026",
        "2026-04-01T00:00:00Z",
        "2026/4/1 0:00",
    ],
)
def test_days_are_read(text: str) -> None:
    assert read_day(text, form=None, is_day_first=None) == "2026-04-01"


@pytest.mark.parametrize(
    "text", ["soon", "46113", "2026-02-30", "2026年13月1日", "1 Mai 2026", "0026-01-01", "Q1 2026"]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(BadDay):
        read_day(text, form=None, is_day_first=None)


def test_a_day_that_may_be_two_is_refused_unless_the_column_or_somebody_tells() -> None:
    with pytest.raises(BadDay, match="--day-first or --month-first"):
        read_day("03/04/2026", form=None, is_day_first=None)
    assert day_first(["03/04/2026", "25/04/2026"]) is True
    assert day_first(["03/04/2026", "04/25/2026"]) is False
    assert day_first(["03/04/2026"]) is None
    assert read_day("03/04/2026", form=None, is_day_first=True) == "2026-04-03"
    assert read_day("03/04/2026", form=None, is_day_first=False) == "2026-03-04"
    assert read_day("04/04/2026", form=None, is_day_first=None) == "2026-04-04"
    with pytest.raises(BadDay):
        read_day("25/04/2026", form=None, is_day_first=False)


def test_a_column_has_one_form() -> None:
    with pytest.raises(BadDay, match="earlier rows like 2026-04-01"):
        read_day("2026年4月1日", form=Form.ISO, is_day_first=None)
    assert form_of("2026-04-01 10:00") is form_of("2026-04-01") is Form.ISO


def test_countries_are_turned_into_codes_only_where_certain() -> None:
    said = ["Japan", "日本", "ＵＳＡ", "us", "UK", "Deutschland", "South Korea"]
    assert [country_code(text) for text in said] == ["JP", "JP", "US", "US", "GB", "DE", "KR"]
    assert [country_code(text) for text in ("Georgia", "Korea", "Holland?", "EMEA", "XX")] == [None] * 5
    assert all(len(code) == 2 and code.isupper() for code in CODE_OF.values())


def test_other_cells() -> None:
    assert [count(value) for value in ("250", "1,200", 40, 40.0, "7.00")] == [250, 1200, 40, 40, 7]
    assert [flag(value) for value in ("Yes", True, "はい", "0", "false", False)] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert zone("Asia/Tokyo") == "Asia/Tokyo"
    for read, wrong in ((count, "many"), (count, "2.5"), (count, "-3"), (flag, "maybe"), (zone, "Tokyo time")):
        with pytest.raises(BadCell):
            read(wrong)
    with pytest.raises(BadCell, match="Excel"):
        identity("1.23E+15")
    with pytest.raises(BadCell, match="is empty"):
        identity("")


def test_an_owner_is_an_address_or_a_name_that_people_yaml_knows_once() -> None:
    people = [
        Person(email="Dana@example.com", name="Dana Reyes"),
        Person(email="ken@example.com", name="山田 健"),
        Person(email="a@example.com", name="Sam Lee"),
        Person(email="b@example.com", name="sam lee"),
    ]
    owners = owners_of(People(people=people))
    assert [owners.address(text) for text in ("X@Y.example", "Dana Reyes", "dana  reyes", "山田健")] == [
        "x@y.example",
        "dana@example.com",
        "dana@example.com",
        "ken@example.com",
    ]
    assert owners.address("Dana <dana@example.com>") == "dana@example.com"
    with pytest.raises(BadOwner, match="add a person with `name: Erin Doe`"):
        owners.address("Erin Doe")
    with pytest.raises(BadOwner, match="several people"):
        owners.address("Sam Lee")
