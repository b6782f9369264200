"""Create a programme: the terms under which cards will exist."""

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

from msgspec import to_builtins
from msgspec.structs import asdict

from kaquan.cards import store
from kaquan.cards.law import check_law
from kaquan.cards.numbers import MAX_PREFIX, MIN_PREFIX
from kaquan.cards.outcomes import FACE_VALUE_NOT_ALLOWED, invalid, missing, taken
from kaquan.cards.types import SYSTEM, NewProgramme, Pocket, Programme, ProgrammeTerms, Search
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal
from kaquan.parties import get_issuer
from kaquan.parties.trail import SYSTEM as SYSTEM_ACTOR
from kaquan.parties.trail import Actor, new_action
from kaquan.policy import RuleBook, released_book

MIN_AUTHORIZATION_TTL_S = 60
MAX_AUTHORIZATION_TTL_S = 30 * 86_400
MAX_VALID_DAYS = 36_500
MAX_PIN_ATTEMPTS = 10
MAX_LOSS_EFFECTIVE_S = 48 * 3_600
"""A house rule (row J5): no loss report takes longer to be effective."""

MAX_DORMANCY_MONTHS = 120
MAX_DENOMINATIONS = 50
MAX_RESTRICTED_PLACES = 500
MAX_BP = 10_000

_FREE = (Pocket.PRINCIPAL, Pocket.BONUS)
_CURRENCY = re.compile(r"[A-Z]{3}")
_PREFIX = re.compile(rf"[0-9]{{{MIN_PREFIX},{MAX_PREFIX}}}")


def check_terms(new: NewProgramme) -> Refusal | None:
    """The first term that is not allowed, as ``invalid_field``; None when all are. The law is another matter."""
    if not _CURRENCY.fullmatch(new.currency):
        return invalid(
            "currency",
            "must be three upper-case letters (ISO 4217), such as CNY",
            allowed_zh="应为三个大写字母（ISO 4217），例如 CNY",
        )
    if not _PREFIX.fullmatch(new.number_prefix):
        return invalid(
            "number_prefix",
            f"must be {MIN_PREFIX} to {MAX_PREFIX} digits",
            allowed_zh=f"应为 {MIN_PREFIX} 至 {MAX_PREFIX} 位数字",
        )
    return check_values(new)


def check_values(terms: ProgrammeTerms) -> Refusal | None:
    """The first of the terms that have versions that is not allowed, as ``invalid_field``; None when all are."""
    days = {"principal_valid_days": terms.principal_valid_days, "bonus_valid_days": terms.bonus_valid_days}
    if (refused := _check_order(terms)) is not None:
        return refused
    if terms.max_balance_fen is not None and not 0 < terms.max_balance_fen <= MAX_FEN:
        return invalid(
            "max_balance_fen",
            f"must be from 1 to {MAX_FEN}, or absent",
            allowed_zh=f"应为 1 至 {MAX_FEN}，或不填",
        )
    if not MIN_AUTHORIZATION_TTL_S <= terms.authorization_ttl_s <= MAX_AUTHORIZATION_TTL_S:
        return invalid(
            "authorization_ttl_s",
            f"must be from {MIN_AUTHORIZATION_TTL_S} to {MAX_AUTHORIZATION_TTL_S} seconds",
            allowed_zh=f"应为 {MIN_AUTHORIZATION_TTL_S} 至 {MAX_AUTHORIZATION_TTL_S} 秒",
        )
    for field, value in days.items():
        if value is not None and not 0 < value <= MAX_VALID_DAYS:
            return invalid(
                field,
                f"must be from 1 to {MAX_VALID_DAYS} days, or absent",
                allowed_zh=f"应为 1 至 {MAX_VALID_DAYS} 天，或不填",
            )
    return (
        _check_security(terms)
        or _check_faces(terms)
        or _check_restriction(terms)
        or _check_clauses(terms)
        or _check_fees(terms)
    )


def _check_order(terms: ProgrammeTerms) -> Refusal | None:
    ordered = [pocket for pocket in terms.spend_order if pocket is not Pocket.RESTRICTED]
    restricted = len(terms.spend_order) - len(ordered)
    if sorted(ordered) == sorted(_FREE) and restricted <= 1:
        return None
    names, pockets = ", ".join(_FREE), "、".join(_FREE)
    return invalid(
        "spend_order",
        f"must name each pocket once: {names}; restricted comes first where it is left out",
        allowed_zh=f"每个账户须且只须出现一次：{pockets}；restricted 不列则最先使用",
    )


def _check_faces(terms: ProgrammeTerms) -> Refusal | None:
    faces = terms.denominations_fen
    most_fen = terms.max_balance_fen or MAX_FEN
    if len(faces) > MAX_DENOMINATIONS or list(faces) != sorted(set(faces)):
        return invalid(
            "denominations_fen",
            f"must be at most {MAX_DENOMINATIONS} different amounts in ascending order",
            allowed_zh=f"应为最多 {MAX_DENOMINATIONS} 个不同金额，由小到大排列",
        )
    for position, face_fen in enumerate(faces):
        if not 0 < face_fen <= most_fen:
            return _out_of_range(f"denominations_fen[{position}]", most_fen)
    if terms.custom_range_fen is not None:
        least, most = terms.custom_range_fen
        if not 0 < least <= most_fen:
            return _out_of_range("custom_range_fen[0]", most_fen)
        if not least <= most <= most_fen:
            return invalid(
                "custom_range_fen[1]",
                f"must be from the least, {least}, to {most_fen}",
                allowed_zh=f"应为最低金额 {least} 至 {most_fen}",
            )
    return None


def _out_of_range(field: str, most_fen: int) -> Refusal:
    return invalid(
        field, f"must be from 1 to {most_fen}, what a card may hold", allowed_zh=f"应为 1 至 {most_fen}（单张卡上限）"
    )


def _check_restriction(terms: ProgrammeTerms) -> Refusal | None:
    restricted_to = terms.restricted_to
    if restricted_to is None:
        return None
    count = len(restricted_to.trades) + len(restricted_to.merchant_ids) + len(restricted_to.store_ids)
    if 0 < count <= MAX_RESTRICTED_PLACES:
        return None
    return invalid(
        "restricted_to",
        f"must name 1 to {MAX_RESTRICTED_PLACES} trades, merchants or stores, or be absent",
        allowed_zh=f"应列出 1 至 {MAX_RESTRICTED_PLACES} 个行业、商户或门店，或不填",
    )


def _check_clauses(terms: ProgrammeTerms) -> Refusal | None:
    for name, value in asdict(terms.clauses).items():
        if value is None or isinstance(value, bool):
            continue
        most = MAX_BP if name.endswith("_bp") else MAX_FEN if name.endswith("_fen") else MAX_VALID_DAYS
        if not 0 <= value <= most:
            return invalid(
                f"clauses.{name}", f"must be from 0 to {most}, or absent", allowed_zh=f"应为 0 至 {most}，或不填"
            )
    return None


def _check_fees(terms: ProgrammeTerms) -> Refusal | None:
    for name, value in asdict(terms.fees).items():
        if not 0 <= value <= MAX_FEN:
            return invalid(f"fees.{name}", f"must be from 0 to {MAX_FEN}", allowed_zh=f"应为 0 至 {MAX_FEN}")
    after = terms.fees.dormancy_after_months
    if after > MAX_DORMANCY_MONTHS or (terms.fees.dormancy_fen > 0) != (after > 0):
        return invalid(
            "fees.dormancy_after_months",
            f"must be from 1 to {MAX_DORMANCY_MONTHS} with fees.dormancy_fen, and 0 without it",
            allowed_zh=f"有 fees.dormancy_fen 时应为 1 至 {MAX_DORMANCY_MONTHS}，否则为 0",
        )
    return None


def check_face_value(programme: Programme, face_fen: int) -> Refusal | None:
    """None when a card of this programme may be sold with this face value, whatever is paid for it.

    Refused: ``face_value_not_allowed``.
    """
    faces, custom = programme.denominations_fen, programme.custom_range_fen
    if face_fen in faces or (custom is not None and custom[0] <= face_fen <= custom[1]):
        return None
    if not faces and custom is None and face_fen <= (programme.max_balance_fen or MAX_FEN):
        return None
    said = [str(face) for face in faces] + ([] if custom is None else [f"{custom[0]}-{custom[1]}"])
    return FACE_VALUE_NOT_ALLOWED.refuse(
        "face_fen", face_fen=face_fen, allowed=", ".join(said) or f"1-{programme.max_balance_fen or MAX_FEN}"
    )


def _check_security(new: ProgrammeTerms) -> Refusal | None:
    if new.pin_required_above_fen is not None and not 0 <= new.pin_required_above_fen <= MAX_FEN:
        return invalid(
            "pin_required_above_fen",
            f"must be from 0 to {MAX_FEN}, or absent",
            allowed_zh=f"应为 0 至 {MAX_FEN}，或不填",
        )
    if not 1 <= new.pin_max_attempts <= MAX_PIN_ATTEMPTS:
        return invalid(
            "pin_max_attempts", f"must be from 1 to {MAX_PIN_ATTEMPTS}", allowed_zh=f"应为 1 至 {MAX_PIN_ATTEMPTS}"
        )
    if not 0 <= new.loss_effective_within_s <= MAX_LOSS_EFFECTIVE_S:
        return invalid(
            "loss_effective_within_s",
            f"must be from 0 to {MAX_LOSS_EFFECTIVE_S} seconds",
            allowed_zh=f"应为 0 至 {MAX_LOSS_EFFECTIVE_S} 秒",
        )
    return None


async def create_programme(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    new: NewProgramme,
    rules: RuleBook | None = None,
    by: Actor = SYSTEM_ACTOR,
) -> Programme | Refusal:
    """A new programme, accepted nowhere yet; its currency and its number prefix are fixed for ever.

    ``rules`` are what binds the issuer (None: the law as it was released); they are asked for today, as days go where
    the issuer is. Refused: ``invalid_field`` (:func:`check_terms`), ``not_found`` (issuer_id, or a merchant or store
    of restricted_to), ``terms_break_rule`` (:func:`kaquan.cards.law.check_law`), ``already_exists`` (code).
    """
    refused = check_terms(new)
    if refused is not None:
        return refused
    issuer = await get_issuer(pool, book_id=book_id, id_=new.issuer_id)
    if isinstance(issuer, Refusal):
        return missing("issuer", "issuer_id")
    at = clock.now()
    refused = check_law(rules or released_book(), issuer, new, on=day_of(at, issuer.time_zone))
    refused = refused or await check_restricted_places(pool, book_id, new)
    if refused is not None:
        return refused
    made = Programme(
        id=ids.new(), book_id=book_id, **asdict(new), time_zone=issuer.time_zone, created_at=at, effective_from=at
    )
    after = {
        "issuer_id": show_id(Prefix.ISSUER, made.issuer_id),
        "code": made.code,
        "name": made.name,
        "currency": made.currency,
        "number_prefix": made.number_prefix,
        **to_builtins(made.terms, str_keys=True),
    }
    action = new_action(
        clock,
        ids,
        book_id=book_id,
        by=by,
        kind="programme.created",
        prefix=Prefix.PROGRAMME,
        subject_id=made.id,
        after={name: value for name, value in after.items() if value is not None},
    )
    refused_by = await store.post_programme(pool, made, changed_by=name_of(by), action=action)
    if refused_by is None:
        return made
    assert refused_by == "cards_programme_code", refused_by
    (existing,) = await store.load_programmes(pool, book_id, Search(code=new.code))
    return taken("code", new.code, prefix=Prefix.PROGRAMME, existing=existing.id)


async def check_restricted_places(pool: Pool, book_id: int, terms: ProgrammeTerms) -> Refusal | None:
    """Whether the book knows the merchants and stores of the restricted pocket. Refused: ``not_found``."""
    restricted_to = terms.restricted_to
    if restricted_to is None:
        return None
    merchants, stores = await store.load_known_ids(pool, book_id, restricted_to)
    if not restricted_to.merchant_ids <= merchants:
        return missing("merchant", "restricted_to.merchant_ids")
    return None if restricted_to.store_ids <= stores else missing("store", "restricted_to.store_ids")


def day_of(at: datetime, time_zone: str) -> date:
    """The day that a moment is part of, in a time zone."""
    return at.astimezone(ZoneInfo(time_zone)).date()


def name_of(by: Actor) -> str:
    """How a version of terms names who made it."""
    return SYSTEM if by.key_id is None else show_id(Prefix.KEY, by.key_id)
