"""The column names of other products' exports of accounts; names are compared without case, spaces and `__c`.

What each rests on:

- Salesforce: the fields of the Account object (developer.salesforce.com, object reference, Account) and their labels in
  reports. It has no standard field for ARR, seats or renewal: these are the names people give their own fields, in
  English and Japanese. `AnnualRevenue` is the customer's own turnover, so it is never read as ARR.
- HubSpot: the labels of default company properties (knowledge.hubspot.com; Workato's list of them gives the same).
  ARR and renewal are custom properties. `Annual Revenue` is the customer's own turnover, `Lifecycle Stage` a stage of
  marketing: neither is read.
- Gainsight: the Company object (support.gainsight.com, Gainsight Standard Objects and Company API).
- Totango: system and core attributes, by their name and their API name (support.totango.com, articles 204456359 and
  203639845). `Contract Value` may hold a month's or a year's value there: a note says that it is read as a year's.

No export of a live account was at hand. A column that is called otherwise is named with --map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

ID: Final = "id"
FIELDS: Final = (
    ID,
    "name",
    "owner",
    "segment",
    "stage",
    "arr",
    "currency",
    "seats",
    "renewal_date",
    "timezone",
    "country",
    "parent",
    "trial",
)


class Product(StrEnum):
    """A product whose exports are known."""

    SALESFORCE = "salesforce"
    HUBSPOT = "hubspot"
    GAINSIGHT = "gainsight"
    TOTANGO = "totango"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """For each field the columns that may hold it, the best first; `notes` says what is told of a column seen."""

    columns: Mapping[str, Sequence[str]]
    notes: Mapping[str, str] = field(default_factory=dict)


_ARR: Final = ("ARR", "Annual Recurring Revenue", "Annual Contract Value", "ACV", "年間契約金額", "年間契約額")
_RENEWAL: Final = ("Renewal Date", "Contract Renewal Date", "Next Renewal Date", "契約更新日", "更新日")
_SEATS: Final = ("Seats", "Licenses", "Licensed Seats", "Number of Seats", "ライセンス数")
_TRIAL: Final = ("Trial", "Is Trial", "トライアル")
_TURNOVER: Final = "is the customer's own turnover and was not read; if it holds your ARR say --map arr='{column}'"

PLAIN: Final = Preset(
    columns={
        ID: ("id", "account", "account id", "customer id", "company id", "org id", "group id", "顧客ID"),
        "name": ("name", "account name", "company name", "customer name", "会社名", "顧客名"),
        "owner": ("owner", "owner email", "account owner", "csm", "csm email", "担当者メール", "担当者"),
        "segment": ("segment", "tier", "セグメント"),
        "stage": ("stage", "lifecycle stage"),
        "arr": _ARR,
        "currency": ("currency", "currency code", "通貨"),
        "seats": _SEATS,
        "renewal_date": _RENEWAL,
        "timezone": ("timezone",),
        "country": ("country", "country code", "国"),
        "parent": ("parent", "parent id", "parent account id"),
        "trial": _TRIAL,
    }
)
PRESETS: Final[Mapping[Product, Preset]] = {
    Product.SALESFORCE: Preset(
        columns={
            ID: ("Account ID", "Id", "18 Character Account ID", "取引先 ID"),
            "name": ("Account Name", "Name", "取引先名"),
            "owner": (
                "Account Owner: Email",
                "Account Owner Email",
                "Owner Email",
                "Owner.Email",
                "Account Owner",
                "Account Owner: Full Name",
                "Owner.Name",
                "取引先 所有者",
            ),
            "segment": ("Segment", "Customer Segment", "Tier", "セグメント"),
            "stage": ("Customer Stage", "Lifecycle Stage"),
            "arr": _ARR,
            "currency": ("Account Currency", "CurrencyIsoCode", "Currency", "取引先 通貨"),
            "seats": _SEATS,
            "renewal_date": _RENEWAL,
            "timezone": ("Time Zone",),
            "country": ("Billing Country Code", "Billing Country", "Country", "国(請求先)"),
            "parent": ("Parent Account ID", "ParentId"),
            "trial": _TRIAL,
        },
        notes={"annualrevenue": _TURNOVER},
    ),
    Product.HUBSPOT: Preset(
        columns={
            ID: ("Record ID", "Company ID", "hs_object_id"),
            "name": ("Company name", "Name"),
            "owner": ("Company owner email", "Owner email", "Company owner"),
            "segment": ("Segment", "Tier", "Ideal Customer Profile Tier"),
            "stage": ("Customer Stage",),
            "arr": _ARR,
            "currency": ("Company Currency", "Currency"),
            "seats": _SEATS,
            "renewal_date": _RENEWAL,
            "timezone": ("Time Zone",),
            "country": ("Country/Region", "Country/Region Code", "Country"),
            "parent": ("Parent Company ID", "hs_parent_company_id"),
            "trial": _TRIAL,
        },
        notes={"annualrevenue": _TURNOVER},
    ),
    Product.GAINSIGHT: Preset(
        columns={
            ID: ("SFDC Account ID", "SfdcAccountId", "Company ID", "GSID"),
            "name": ("Name", "Company Name"),
            "owner": ("CSM Email", "CSM__gr.Email", "CSM", "CSM Name"),
            "segment": ("Segment", "Customer Segment", "Tier"),
            "stage": ("Stage", "Lifecycle Stage"),
            "arr": ("ARR",),
            "currency": ("Currency ISO Code", "Currency"),
            "seats": ("Licensed Users", "Seats"),
            "renewal_date": ("Renewal Date",),
            "timezone": ("Time Zone",),
            "country": ("Billing Country", "Country"),
            "parent": ("Parent Company ID",),
            "trial": _TRIAL,
        },
        notes={"sfdcaccountid": "is read as the id; if your events carry Gainsight's own say --map id='Company ID'"},
    ),
    Product.TOTANGO: Preset(
        columns={
            ID: ("Account ID",),
            "name": ("Name", "Account Name"),
            "owner": ("Success Manager Email", "Success Manager"),
            "segment": ("Tier", "Segment"),
            "stage": ("Customer Journey Stage",),
            "arr": ("ARR", "Contract Value"),
            "currency": ("Currency",),
            "seats": ("Licenses",),
            "renewal_date": ("Contract Renewal Date",),
            "timezone": ("Time Zone",),
            "country": ("Country",),
            "parent": ("parent_id",),
            "trial": _TRIAL,
        },
        notes={"contractvalue": "is read as a year's value; leave it out with --map arr= if yours is a month's"},
    ),
}


def squashed(column: str) -> str:
    """Return a column's name without what differs between exports: case, spaces, `__c`, punctuation."""
    return "".join(letter for letter in column.casefold().removesuffix("__c") if letter.isalnum())
