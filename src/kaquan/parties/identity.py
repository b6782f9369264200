"""What an identity provider is, and how often one may be asked.

A kind of provider is one file in ``kinds`` that defines ``PROVIDER``; it is found by itself, and the contract suite
runs against it. It is asked outside every database transaction and under a deadline that the asker sets.
"""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import cache
from importlib import import_module, resources
from pkgutil import iter_modules
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec

from kaquan.parties.types import Mode


class IdentityLevel(StrEnum):
    """How well a customer is known, each level better than the one before.

    ``contact``: name and phone belong together. ``document``: name and document do. ``four_factors``: name, document,
    bank card and the phone reserved with the bank do (FOURF-01). ``four_factors_face``: and the face is theirs.
    """

    NONE = "none"
    CONTACT = "contact"
    DOCUMENT = "document"
    FOUR_FACTORS = "four_factors"
    FOUR_FACTORS_FACE = "four_factors_face"

    @property
    def rank(self) -> int:
        """The place of the level: more is better known."""
        return list(IdentityLevel).index(self)


class DocumentKind(StrEnum):
    """What kind of number identifies a customer: a resident's (GB 11643), an organisation's (GB 32100)."""

    RESIDENT_ID = "resident_id"
    SOCIAL_CREDIT_CODE = "social_credit_code"


class Evidence(msgspec.Struct, frozen=True):
    """What a provider is shown: only what its check needs. It leaves no trace in a ``repr``."""

    name: str
    phone: str | None = None
    document_kind: DocumentKind | None = None
    document_number: str | None = None
    bank_card_number: str | None = None
    face_token: str | None = None

    def __repr__(self) -> str:
        return "Evidence(...)"


NEEDS: Mapping[IdentityLevel, tuple[str, ...]] = {
    IdentityLevel.CONTACT: ("phone",),
    IdentityLevel.DOCUMENT: ("document_kind", "document_number"),
    IdentityLevel.FOUR_FACTORS: ("phone", "document_kind", "document_number", "bank_card_number"),
    IdentityLevel.FOUR_FACTORS_FACE: ("phone", "document_kind", "document_number", "bank_card_number", "face_token"),
}
"""What each level is checked with, besides the name."""


class CheckResult(StrEnum):
    """How a check ended. ``error``: the provider could not tell, and nobody was judged."""

    MATCHED = "matched"
    MISMATCHED = "mismatched"
    ERROR = "error"


class Finding(msgspec.Struct, frozen=True):
    """What a provider answered; ``code`` is its own."""

    result: CheckResult
    code: str


class IdentityProvider(Protocol):
    """One kind of provider."""

    @property
    def name(self) -> str:
        """Its name: that of its file."""
        ...

    @property
    def levels(self) -> frozenset[IdentityLevel]:
        """What it can really check."""
        ...

    @property
    def modes(self) -> frozenset[Mode]:
        """Whose people it knows: a sandbox does not know those of a live book."""
        ...

    async def check(self, level: IdentityLevel, evidence: Evidence) -> Finding:
        """Whether the factors of ``evidence`` that ``level`` names belong to one person.

        Every answer of the provider is a finding, those it does not explain are errors. May be cancelled at any time;
        raises OSError when the provider cannot be reached.
        """
        ...


@cache
def find_providers() -> Mapping[str, IdentityProvider]:
    """Every kind of provider by name: one per file in ``kinds``."""
    kinds = import_module("kaquan.parties.kinds")
    modules = [import_module(f"{kinds.__name__}.{found.name}") for found in iter_modules(kinds.__path__)]
    return {module.PROVIDER.name: module.PROVIDER for module in modules}


# --- how often


class AttemptRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often one customer, or one bank card, may be checked.

    After ``max_mismatches`` in a row the next check is refused for ``mismatch_lock_s`` seconds, or until the day ends
    if that is None; after ``max_checks`` in a day the next one is refused until the day ends. Days are those of
    ``time_zone``. ``source`` says who wants it so.
    """

    source: str
    max_mismatches: int
    max_checks: int
    mismatch_lock_s: int | None
    time_zone: str

    def day_of(self, at: datetime) -> datetime:
        """When the day of ``at`` began."""
        zone = ZoneInfo(self.time_zone)
        return datetime.combine(at.astimezone(zone).date(), time(), zone)

    def next_day(self, at: datetime) -> datetime:
        """When the day of ``at`` ends."""
        zone = ZoneInfo(self.time_zone)
        return datetime.combine(at.astimezone(zone).date() + timedelta(days=1), time(), zone)


@cache
def default_rules() -> AttemptRules:
    """The rules in ``attempt_rules.json``, for those who were given no others."""
    text = resources.files("kaquan.parties").joinpath("attempt_rules.json").read_bytes()
    return msgspec.json.decode(text, type=AttemptRules)
