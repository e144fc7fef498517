"""Fields as people really send them: read sensibly, or left out and noted, and the event is never lost."""

from collections.abc import Callable

import pytest

from services.ingest.core.fields import Field, Reader, read_number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (48000, 48000),
        (48000.4, 48000.4),
        ("48000", 48000),
        ("48000.00", 48000),
        ("$48,000", 48000),
        ("$48,000.50", 48000.5),
        ("€ 48.000,50", 48000.5),
        ("48 000 €", 48000),
        ("48\u202f000", 48000),
        ("CHF 48'000", 48000),
        ("48000 USD", 48000),
        ("48k", 48000),
        ("1.2M", 1_200_000),
        ("1,234", 1234),
        ("1.234", 1234),
        ("12.34", 12.34),
        ("-5", -5),
        ("0", 0),
        ("", None),
        ("n/a", None),
        ("12 apples", None),
        ("1,23,456", None),
        ("1.2.3", None),
        ("1e9", None),
        ("٤٨", None),
        (True, None),
        ([], None),
        (float("nan"), None),
        (float("inf"), None),
        (2**53, None),
        ("9" * 50, None),
    ],
)
def test_reading_a_number(value: object, expected: float | None) -> None:
    found = read_number(value)
    assert found == pytest.approx(expected) if expected is not None and found is not None else found is expected


READ: dict[Field, Callable[[Reader, Field], object]] = {
    Field.ARR: Reader.money,
    Field.SEATS: Reader.count,
    Field.OWNER: Reader.address,
    Field.RENEWAL_DATE: Reader.date,
    Field.TRIAL: Reader.flag,
    Field.NAME: Reader.text,
    Field.QUANTITY: Reader.thousandths,
}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (Field.ARR, 1200.5, 1200),
        (Field.ARR, "-1", None),
        (Field.ARR, 10**16, None),
        (Field.SEATS, "25", 25),
        (Field.SEATS, 2.5, None),
        (Field.OWNER, "Dana@Vendor.test ", "dana@vendor.test"),
        (Field.OWNER, {"email": "dana@vendor.test"}, "dana@vendor.test"),
        (Field.OWNER, "dana", None),
        (Field.OWNER, "a@b\r\nBcc: c@d", None),
        (Field.RENEWAL_DATE, "2027-01-31", "2027-01-31"),
        (Field.RENEWAL_DATE, "2027-01-31T12:00:00Z", "2027-01-31"),
        (Field.RENEWAL_DATE, "31.01.2027", None),
        (Field.RENEWAL_DATE, "2027-02-30", None),
        (Field.TRIAL, "yes", True),
        (Field.TRIAL, False, False),
        (Field.TRIAL, 1, True),
        (Field.TRIAL, "maybe", None),
        (Field.NAME, "  Acme ", "Acme"),
        (Field.NAME, 7, "7"),
        (Field.NAME, "x" * 201, None),
        (Field.NAME, "two\nlines", None),
        (Field.NAME, {"first": "A"}, None),
        (Field.QUANTITY, "2.5", 2500),
        (Field.QUANTITY, -1, None),
        (Field.QUANTITY, 2**53 - 1, None),
    ],
)
def test_a_field_is_read_or_dropped_and_noted(field: Field, value: object, expected: object) -> None:
    reader = Reader({field: value}, {})
    assert READ[field](reader, field) == expected
    assert reader.dropped == ([] if expected is not None else [field])


@pytest.mark.parametrize("field", READ)
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_absent_or_null_is_not_noted(field: Field, value: object) -> None:
    reader = Reader({} if value is None else {field: value}, {})
    assert READ[field](reader, field) is None
    assert reader.dropped == []


@pytest.mark.parametrize("theirs", ["renewal_date", "renewalDate", "RenewalDate", "renewal-date", "Renewal Date"])
def test_the_spelling_of_a_name_does_not_matter(theirs: str) -> None:
    assert Reader({theirs: "2027-01-31"}, {}).date(Field.RENEWAL_DATE) == "2027-01-31"


def test_a_source_may_have_its_own_names() -> None:
    reader = Reader({"Annual Value": "48k", "arr": 1}, {"annualvalue": "arr"})
    assert reader.money(Field.ARR) == 48_000
