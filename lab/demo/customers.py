"""Say who the demo's vendor sells to: three customers everybody can follow, and the names of the rest."""

from collections.abc import Sequence
from typing import Final

from lab.demo.named import HABITS, Customer

SOURCES: Final = ("desk", "flow", "api-mobile")
"""The vendor's three products."""

OWNERS: Final = {
    "JP": ("haruka.sato@example.com", "kenji.tanaka@example.com"),
    "DE": ("lena.vogel@example.com",),
    "GB": ("oliver.hughes@example.com",),
    "US": ("dana@example.com", "marcus.lee@example.com"),
    "IN": ("priya.nair@example.com",),
    "BR": ("rafael.costa@example.com",),
}
"""Who looks after the customers of a country."""

NAMED: Final[Sequence[Customer]] = (
    Customer(
        account="sakura-logistics",
        name="さくら物流株式会社",
        owner="haruka.sato@example.com",
        country="JP",
        zone_h=9.0,
        arr=12_000_000,
        currency="JPY",
        source="desk",
    ),
    Customer(
        account="nordwind-hotels",
        name="Nordwind Hotels",
        owner="lena.vogel@example.com",
        country="DE",
        zone_h=1.0,
        arr=64_000,
        currency="EUR",
        source="desk",
        habits=HABITS[2:],
    ),
    Customer(
        account="brightside-clinics",
        name="Brightside Clinics",
        owner="dana@example.com",
        country="US",
        zone_h=-6.0,
        arr=98_000,
        currency="USD",
        source="api-mobile",
        habits=HABITS[1:],
    ),
)
"""They fall silent while somebody looks on."""

WITNESS: Final = Customer(
    account="kaede-foods",
    name="楓フーズ",
    owner="kenji.tanaka@example.com",
    country="JP",
    zone_h=9.0,
    arr=8_400_000,
    currency="JPY",
    source="flow",
)
"""Its silence would become abnormal while the product it uses is out: nobody may be told."""

_FIRST: Final = {
    "JP": ("青葉", "富士見", "みなと", "Hikari", "東雲", "Mizuho", "若葉", "北斗", "Asahi", "大和", "Kaze", "銀河"),
    "DE": ("Elbe", "Rhein", "Alpen", "Hansa", "Isar", "Taunus"),
    "GB": ("Albion", "Thames", "Kestrel", "Harbour"),
    "US": ("Summit", "Prairie", "Blue Mesa", "Lakeside", "Redwood", "Pioneer", "Granite"),
    "IN": ("Lotus", "Ganga", "Indus"),
    "BR": ("Ipanema", "Aurora"),
}
_SECOND: Final = {
    "JP": ("製作所", "Foods", "商事", "Systems", "建設", "Medical", "印刷", "Trading", "運輸"),
    "DE": ("Maschinenbau", "Logistik", "Medizintechnik", "Energie", "Handel", "Bau", "Optik", "Druck", "Verlag"),
    "GB": ("Textiles", "Insurance", "Foods", "Legal", "Marine", "Press", "Rail", "Media", "Homes", "Travel"),
    "US": ("Dental", "Freight", "Foods", "Supply", "Software", "Health", "Retail", "Solar", "Credit", "Tools"),
    "IN": ("Textiles", "Pharma", "Motors", "Foods", "Exports", "Steel", "Media", "Labs"),
    "BR": ("Café", "Saúde", "Agro", "Varejo", "Têxtil", "Energia", "Móveis", "Turismo", "Frota"),
}


_JOINED: Final = frozenset({"製作所", "商事", "建設", "印刷", "運輸"})
"""Words that follow a name without a space."""


def name_of(number: int, *, country: str) -> str:
    """Return the name of the customer with that number in its country: another one for each of some dozens."""
    first, second = _FIRST[country], _SECOND[country]
    round_, place = divmod(number, len(first))
    head, tail = first[place], second[(place + round_) % len(second)]
    joined = f"{head}{tail}" if tail in _JOINED else f"{head} {tail}"
    again = round_ // len(second)
    return f"{joined} {again + 1}" if again else joined
