"""`churnwatch accounts`: bring in what a CRM knows of the accounts, and check what is known here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter
from rich.console import Console

from lab.accounts.changes import Change, changes
from lab.accounts.check_command import check
from lab.accounts.columns import Columns, fit, told
from lab.accounts.known import read_known
from lab.accounts.money import BadMoney, read_currency
from lab.accounts.owners import Owners, owners_of
from lab.accounts.presets import Product
from lab.accounts.reading import Read, Said, read_accounts
from lab.accounts.send import send
from lab.accounts.text import open_accounts
from lab.importing.readers import Fault
from lab.people.file import read_people
from lab.service import API_URL, INGEST_URL, Away, NotAllowed, Service
from lab.trouble import Trouble
from shared import clock
from shared.contracts.health import Attributes

SHOWN_ROWS: Final = 5
SHOWN_FAULTS: Final = 20
SHOWN_CHANGES: Final = 50

app = App(name="accounts", help="Bring in what a CRM knows of the accounts, and check what is known here.")
app.command(check)


@app.command(name="import")
def import_accounts(  # noqa: PLR0913  one command, all its options
    file: Path,
    *,
    key: str | None = None,
    url: str = INGEST_URL,
    read_key: str | None = None,
    api_url: str = API_URL,
    preset: Product | None = None,
    map: Annotated[list[str] | None, Parameter(negative=())] = None,  # noqa: A002  the option's name
    encoding: str | None = None,
    day_first: Annotated[bool | None, Parameter(negative="--month-first")] = None,
    decimal: Literal["point", "comma"] | None = None,
    currency: str | None = None,
    people: Path = Path("config/people.yaml"),
    skip_bad: int = 0,
    dry_run: bool = False,
) -> None:
    """Send what an export tells of accounts to the ingest: CSV, TSV, JSON lines or Parquet, also gzipped.

    Every row must be readable, or nothing is sent. Sent again it changes nothing. An empty cell leaves what is known.

    Parameters
    ----------
    key
        An ordinary write key: `churnwatch key create crm` makes one.
    url
        Where the ingest is.
    read_key
        A key of scope read, to send only what differs from what is known; without it --key is tried.
    api_url
        Where the alert service's API is.
    preset
        Whose export it is.
    map
        Which column is what: arr='Annual Value',id=Key; an empty column (timezone=) leaves the field out.
    encoding
        How the file is written, if it is neither UTF-8 nor CP932.
    day_first
        What 03/04/2026 means, if no other day in the column tells it.
    decimal
        What stands before decimals, if no other amount in the column tells it.
    currency
        The currency of all amounts, where neither a column nor a code tells it.
    people
        The file that has the addresses of owners who are given by name.
    skip_bad
        Leave out up to so many rows that can't be read; they are listed.
    dry_run
        Show the first rows as read and what would change; send nothing.
    """
    say = Console(highlight=False, soft_wrap=True, markup=False)
    said = Said(
        decimal={"point": ".", "comma": ",", None: None}[decimal],
        is_day_first=day_first,
        currency=_currency(currency),
        owners=_owners(people),
    )
    try:
        with open_accounts(file, encoding=encoding) as table:
            columns = fit(table, product=preset, said=told(map or []))
            read = read_accounts(table, columns, said)
    except Fault as fault:
        raise Trouble(f"{fault}; nothing was sent") from None
    _show(read, columns, say)
    _refuse_faults(read, skip_bad)
    if key is None and not dry_run:
        raise Trouble("--key is missing: `churnwatch key create crm` makes one")
    known = _known(read_key or key, api_url, say)
    found = list(changes(read.accounts, known or {}))
    _count(read, found, is_asked=known is not None, say=say)
    if dry_run or key is None:
        for change in found[:SHOWN_CHANGES]:
            say.print(change.words())
        if len(found) > SHOWN_CHANGES:
            say.print(f"… and {len(found) - SHOWN_CHANGES} more")
        say.print("dry run: nothing was sent")
        return
    _send(found, Service(url, key=key), say)


def _send(found: Sequence[Change], ingest: Service, say: Console) -> None:
    done = 0

    def after(count: int) -> None:
        nonlocal done
        done = count
        if say.is_terminal:
            say.print(f"sent {count} of {len(found)}")

    try:
        sent = send(found, ingest, now_ms=clock.now_ms(), after=after)
    except Trouble as fault:
        raise Trouble(f"{fault}; {done} of {len(found)} accounts are safe: the same command sends the others") from None
    if sent.is_test:
        say.print(f"test key: {sent.accounts} accounts were judged, {len(sent.refused)} refused, none kept")
    elif found:
        say.print(f"sent {sent.accounts} accounts")
    for one in sent.refused[:SHOWN_FAULTS]:
        say.print(f"refused: {one.get('reason')} {one.get('detail')}: {one.get('remedy')}")


def _show(read: Read, columns: Columns, say: Console) -> None:
    say.print("read as  " + ", ".join(f"{name} = {column}" for name, column in columns.of.items()))
    if columns.unread:
        say.print("not read " + ", ".join(columns.unread))
    for note in columns.notes:
        say.print(f"note     {note}")
    for account in read.accounts[:SHOWN_ROWS]:
        said = "  ".join(f"{name} {value}" for name, value in account.traits.items())
        say.print(f"  row {account.row}  {account.id}  {said}")
    for fault in read.faults[:SHOWN_FAULTS]:
        say.print(str(fault))
    if len(read.faults) > SHOWN_FAULTS:
        say.print(f"… and {len(read.faults) - SHOWN_FAULTS} more faults")


def _refuse_faults(read: Read, skip_bad: int) -> None:
    bad = len({fault.row for fault in read.faults})
    if bad > skip_bad:
        remedy = f"mend them, or leave them out with --skip-bad {bad}"
        raise Trouble(f"{bad} of {bad + len(read.accounts)} rows can't be read; nothing was sent: {remedy}")
    if not read.accounts:
        raise Trouble("the file has no rows: nothing was sent")


def _count(read: Read, found: Sequence[Change], *, is_asked: bool, say: Console) -> None:
    new = sum(change.known is None for change in found)
    same = len(read.accounts) - len(found)
    told = f"{new} new, {len(found) - new} changed, {same} unchanged" if is_asked else "all taken for new"
    say.print(f"{len(read.accounts)} accounts: {told}")


def _known(key: str | None, url: str, say: Console) -> Mapping[str, Attributes] | None:
    """Return what is known by account, None (and why) if it can't be asked: then every account is sent."""
    if key is None:
        say.print("what is known was not asked: give a key of scope read with --read-key")
        return None
    try:
        return {health.account: health.attributes for health in read_known(Service(url, key=key, called="alert API"))}
    except NotAllowed:
        say.print("what is known was not asked: this key may not read; --read-key takes one that may")
    except Away as fault:
        say.print(f"what is known was not asked: {fault}".replace("--url", "--api-url"))
    return None


def _owners(people: Path) -> Owners:
    return owners_of(read_people(people)) if people.exists() else Owners()


def _currency(text: str | None) -> str | None:
    try:
        return None if text is None else read_currency(text)
    except BadMoney as fault:
        raise Trouble(f"--currency {fault}") from None
