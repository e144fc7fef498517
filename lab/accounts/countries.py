"""Turn the name of a country into its ISO 3166 code where there can be no doubt; any other text stays as it is."""

import unicodedata
from typing import Final

_NAMES: Final = """
AE united arab emirates,uae,アラブ首長国連邦
AR argentina,アルゼンチン
AT austria,österreich,オーストリア
AU australia,オーストラリア
BE belgium,ベルギー
BG bulgaria
BR brazil,brasil,ブラジル
CA canada,カナダ
CH switzerland,schweiz,suisse,スイス
CL chile,チリ
CN china,people's republic of china,中国,中華人民共和国
CO colombia
CZ czech republic,czechia
DE germany,deutschland,ドイツ
DK denmark,danmark,デンマーク
EE estonia
EG egypt
ES spain,españa,スペイン
FI finland,suomi,フィンランド
FR france,フランス
GB united kingdom,uk,great britain,england,scotland,wales,イギリス,英国
GR greece
HK hong kong,香港
HR croatia
HU hungary
ID indonesia,インドネシア
IE ireland,republic of ireland,アイルランド
IL israel,イスラエル
IN india,インド
IS iceland
IT italy,italia,イタリア
JP japan,日本,日本国
KR south korea,republic of korea,korea republic of,大韓民国,韓国
LT lithuania
LU luxembourg
LV latvia
MX mexico,méxico,メキシコ
MY malaysia,マレーシア
NG nigeria
NL netherlands,the netherlands,nederland,オランダ
NO norway,norge,ノルウェー
NZ new zealand,ニュージーランド
PE peru
PH philippines,フィリピン
PL poland,polska,ポーランド
PT portugal,ポルトガル
RO romania
RS serbia
SA saudi arabia,サウジアラビア
SE sweden,sverige,スウェーデン
SG singapore,シンガポール
SI slovenia
SK slovakia
TH thailand,タイ
TR turkey,türkiye,トルコ
TW taiwan,台湾
UA ukraine
US united states,united states of america,usa,u.s.a.,u.s.,アメリカ,アメリカ合衆国,米国
VN vietnam,viet nam,ベトナム
ZA south africa,南アフリカ
"""
CODE_OF: Final = {
    name: line[:2] for line in _NAMES.strip().splitlines() for name in [line[:2].lower(), *line[3:].split(",")]
}


def country_code(text: str) -> str | None:
    """Return the code of a country, None where the text is not surely one."""
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    if len(plain) == 2 and plain.isascii() and plain.isalpha() and plain not in _NO_CODES:
        return plain.upper()
    return CODE_OF.get(plain)


_NO_CODES: Final = frozenset({"uk", "en", "xx", "zz"})
