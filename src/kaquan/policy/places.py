"""Jurisdictions: a country, a province below it, and so on; what holds above holds below.

Names are those of ISO 3166-2 with the numbers of GB/T 2260 for Chinese provinces (CN-31), as the rule rows have them;
the letters that ISO 3166-2 uses since 2017 (CN-SH) are read as the same places.
"""

import re

_PROVINCES = {
    "BJ": "11", "TJ": "12", "HE": "13", "SX": "14", "NM": "15", "LN": "21", "JL": "22", "HL": "23", "SH": "31",
    "JS": "32", "ZJ": "33", "AH": "34", "FJ": "35", "JX": "36", "SD": "37", "HA": "41", "HB": "42", "HN": "43",
    "GD": "44", "GX": "45", "HI": "46", "CQ": "50", "SC": "51", "GZ": "52", "YN": "53", "XZ": "54", "SN": "61",
    "GS": "62", "QH": "63", "NX": "64", "XJ": "65",
}  # fmt: skip
_NUMBERS = frozenset(_PROVINCES.values())
_FORM = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,4}){0,2}")


def read_jurisdiction(text: str) -> str | None:
    """The name of a jurisdiction as rules have it, or None if ``text`` names none.

    >>> read_jurisdiction("CN-SH")
    'CN-31'
    >>> read_jurisdiction("CN-99") is None
    True
    """
    if not _FORM.fullmatch(text):
        return None
    country, *below = text.split("-")
    if country == "CN" and below:
        province = _PROVINCES.get(below[0], below[0])
        if province not in _NUMBERS:
            return None
        below[0] = province
    return "-".join((country, *below))


def chain_of(jurisdiction: str) -> tuple[str, ...]:
    """A jurisdiction and all that it lies in, the nearest first.

    >>> chain_of("CN-31")
    ('CN-31', 'CN')
    """
    parts = jurisdiction.split("-")
    return tuple("-".join(parts[:n]) for n in range(len(parts), 0, -1))


def on_one_chain(one: str, other: str) -> bool:
    """Whether one of two jurisdictions lies in the other, or is it."""
    return one in chain_of(other) or other in chain_of(one)
