"""Create a programme: the terms under which cards will exist."""

import re

from msgspec.structs import asdict

from kaquan.cards import store
from kaquan.cards.numbers import MAX_PREFIX, MIN_PREFIX
from kaquan.cards.outcomes import invalid, missing, taken
from kaquan.cards.types import NewProgramme, Pocket, Programme, Search
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.money import MAX_FEN
from kaquan.kit.outcomes import Refusal

MIN_AUTHORIZATION_TTL_S = 60
MAX_AUTHORIZATION_TTL_S = 30 * 86_400
MAX_VALID_DAYS = 36_500
MAX_PIN_ATTEMPTS = 10
MAX_LOSS_EFFECTIVE_S = 48 * 3_600
"""A house rule (row J5): no loss report takes longer to be effective."""

_CURRENCY = re.compile(r"[A-Z]{3}")
_PREFIX = re.compile(rf"[0-9]{{{MIN_PREFIX},{MAX_PREFIX}}}")


def check_terms(new: NewProgramme) -> Refusal | None:
    """The first term that is not allowed, as ``invalid_field``; None when all are."""
    pockets = "、".join(Pocket)
    days = {"principal_valid_days": new.principal_valid_days, "bonus_valid_days": new.bonus_valid_days}
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
    if sorted(new.spend_order) != sorted(Pocket):
        return invalid(
            "spend_order",
            f"must name each pocket once: {', '.join(Pocket)}",
            allowed_zh=f"每个账户须且只须出现一次：{pockets}",
        )
    if new.max_balance_fen is not None and not 0 < new.max_balance_fen <= MAX_FEN:
        return invalid(
            "max_balance_fen",
            f"must be from 1 to {MAX_FEN}, or absent",
            allowed_zh=f"应为 1 至 {MAX_FEN}，或不填",
        )
    if not MIN_AUTHORIZATION_TTL_S <= new.authorization_ttl_s <= MAX_AUTHORIZATION_TTL_S:
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
    return _check_security(new)


def _check_security(new: NewProgramme) -> Refusal | None:
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
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, new: NewProgramme
) -> Programme | Refusal:
    """A new programme, accepted nowhere yet; its currency and its number prefix are fixed for ever.

    Refused: ``invalid_field`` (:func:`check_terms`), ``not_found`` (issuer_id), ``already_exists`` (code).
    """
    refused = check_terms(new)
    if refused is not None:
        return refused
    # the issuer's time zone is not the programme's to store: it is read back with it
    made = Programme(id=ids.new(), book_id=book_id, **asdict(new), time_zone="", created_at=clock.now())
    refused_by = await store.post_programme(pool, made)
    if refused_by is None:
        (programme,) = await store.load_programmes(pool, book_id, Search(), made.id)
        return programme
    if refused_by == "cards_programme_issuer":
        return missing("issuer", "issuer_id")
    assert refused_by == "cards_programme_code", refused_by
    (existing,) = await store.load_programmes(pool, book_id, Search(code=new.code))
    return taken("code", new.code, prefix=Prefix.PROGRAMME, existing=existing.id)
