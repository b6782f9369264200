"""Campaign files: JSON, read and checked whole, so that whoever writes one sees every fault at once.

The fields are those of :mod:`.terms`; ids may be written as the API shows them (``sto_…``). Hours are pairs of minutes
since midnight, tiers and funders are lists of their fields in order: ``["merchant", null, 5000]``.
"""

import re
from typing import Any

import msgspec

from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.promotions.check import check_campaign
from kaquan.promotions.kind import find_kinds
from kaquan.promotions.outcomes import CAMPAIGN_FILE_WRONG
from kaquan.promotions.terms import Budget, CampaignTerms, Offer

MAX_BYTES = 1_000_000

_ID_FIELDS = {
    "issuer_id": "iss",
    "programme_ids": "prog",
    "merchant_ids": "mer",
    "store_ids": "sto",
    "template_id": "vtpl",
    "funders": "fun",
}
_PLACE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")


def read_campaign(text: bytes | str) -> CampaignTerms | list[Refusal]:
    """The campaign that a file tells of, or everything that is wrong with it: ``invalid_field``, by field."""
    if len(text) > MAX_BYTES:
        return [_fault("file", f"must be at most {MAX_BYTES} bytes", f"最大 {MAX_BYTES} 字节")]
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [_fault("file", f"must be JSON: {error}", f"须为 JSON：{error}")]
    return read_terms(told)


def read_terms(told: Any) -> CampaignTerms | list[Refusal]:
    """As :func:`read_campaign`, of JSON that was decoded before."""
    if not isinstance(told, dict):
        return [_fault("file", "must be a JSON object", "须为 JSON 对象")]
    told = _with_ids(told)
    faults: list[Refusal] = []
    offers = _read_all(told.get("offers"), "offers", _read_offer, faults)
    budgets = _read_all(told.get("budgets", []), "budgets", _read_budget, faults)
    try:
        # What was read above is put in afterwards: so that one fault does not hide the others.
        terms = msgspec.convert({**told, "offers": [], "budgets": []}, CampaignTerms)
    except msgspec.ValidationError as error:
        return [_of(error, ""), *faults]
    terms = msgspec.structs.replace(terms, offers=tuple(offers), budgets=tuple(budgets))
    # An offer that could not be read is missing above: what would be said of the places of the others is not true then.
    return faults or check_campaign(terms) or terms


def refuse_file(faults: list[Refusal]) -> Refusal:
    """The one refusal of a file, with all that is wrong in ``also``."""
    return CAMPAIGN_FILE_WRONG.refuse(count=len(faults), also=tuple(faults))


def show_terms(terms: CampaignTerms) -> dict[str, Any]:
    """The campaign as a file tells of it; what is read from it is the same campaign."""
    shown: dict[str, Any] = msgspec.to_builtins(terms)
    return shown


def _read_all(told: Any, field: str, read: Any, faults: list[Refusal]) -> list[Any]:
    if not isinstance(told, list):
        faults.append(_fault(field, "must be a list", "应为列表"))
        return []
    found = []
    for place, one in enumerate(told):
        try:
            found.append(read(one, f"{field}[{place}]", faults))
        except msgspec.ValidationError as error:
            faults.append(_of(error, f"{field}[{place}]"))
    return [one for one in found if one is not None]


def _read_offer(told: Any, field: str, faults: list[Refusal]) -> Offer | None:
    offer = msgspec.convert(told, Offer)
    kind = find_kinds().get(offer.kind)
    if kind is None:
        names = ", ".join(sorted(find_kinds()))
        faults.append(_fault(f"{field}.kind", f"must be one of: {names}", f"应为以下之一：{names}"))
        return None
    try:
        params = msgspec.convert(offer.params, kind.params)
    except msgspec.ValidationError as error:
        faults.append(_of(error, f"{field}.params"))
        return None
    return msgspec.structs.replace(offer, params=params)


def _read_budget(told: Any, field: str, faults: list[Refusal]) -> Budget:
    return msgspec.convert(told, Budget)


def _with_ids(told: Any) -> Any:
    """With ids as the API shows them made plain; one of a wrong kind stays and is refused as no id."""
    if isinstance(told, list):
        return [_with_ids(one) for one in told]
    if not isinstance(told, dict):
        return told
    return {name: _plain(name, value) if name in _ID_FIELDS else _with_ids(value) for name, value in told.items()}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(name, one) for one in value]
    head, _, tail = value.partition("_") if isinstance(value, str) else ("", "", "")
    return tail if head == _ID_FIELDS[name] else value


def _of(error: msgspec.ValidationError, prefix: str) -> Refusal:
    text = str(error)
    place = _PLACE.search(text)
    said = text[: place.start()] if place else text
    path = (place[1] if place else "").lstrip(".")
    field = f"{prefix}.{path}" if prefix and path and not path.startswith("[") else prefix + path
    return _fault(field or "file", said, said)


def _fault(field: str, allowed: str, allowed_zh: str) -> Refusal:
    return INVALID_FIELD.refuse(field, allowed=allowed, allowed_zh=allowed_zh)
