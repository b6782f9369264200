"""What a payment grants beside its price, purely: vouchers, now or in instalments."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from kaquan.cards import Programme
from kaquan.kit.money import allocate
from kaquan.payments.kept import Kept
from kaquan.payments.price import Parties, sum_fundings
from kaquan.payments.types import CardFacts, Funding, Giving, Instalment
from kaquan.promotions import Grant, GrantKind
from kaquan.vouchers import HeldBy, HolderKind


def vouchers_of(
    grants: Sequence[Grant],
    parts: Iterable[tuple[int, int, int]],
    *,
    card: CardFacts,
    programme: Programme,
    payment_id: UUID,
) -> tuple[Giving, ...]:
    """The vouchers among parts of grants, each by position with its amount and how many; for the holder of the card, or
    whose card the grant names."""
    givings = []
    for at, amount_fen, count in parts:
        grant = grants[at]
        if grant.kind is not GrantKind.VOUCHERS or grant.template_id is None or not count:
            continue
        card_id = grant.card_id or card.id
        holder = HeldBy(HolderKind.CARD, card_id)
        if card_id == card.id and card.customer_id is not None:
            holder = HeldBy(HolderKind.CUSTOMER, card.customer_id)
        due_at = tuple(midnight(day, programme.time_zone) for day in grant.due_on)
        givings.append(Giving(card.book_id, grant.template_id, payment_id, card_id, holder, count, amount_fen, due_at))
    return tuple(givings)


def split_bonuses(
    parties: Parties, kept: Kept, *, card: CardFacts, programme: Programme, payment_id: UUID
) -> tuple[dict[Funding, int], tuple[Instalment, ...]]:
    """The bonuses of a load: what goes to its card at once, by who pays for it, and what comes later or goes to another
    card, points for another card with it. A discount on a load is a bonus too: what is paid is principal, the rest of
    the value is given."""
    given = sum_fundings(parties, [(one.campaign_id, one.funder, one.amount_fen) for one in kept.shares])
    later: list[Instalment] = []
    for grant in kept.grants:
        card_id = grant.card_id or card.id
        if grant.kind is GrantKind.VOUCHERS or (grant.kind is GrantKind.POINTS and grant.card_id is None):
            continue
        if card_id == card.id and not grant.due_on and grant.kind is GrantKind.BONUS:
            for funding, amount_fen in _split(parties, grant, grant.amount_fen).items():
                given[funding] = given.get(funding, 0) + amount_fen
            continue
        due: list[datetime | None] = [midnight(day, programme.time_zone) for day in grant.due_on]
        due = due or [None]
        for due_at, amount_fen in zip(due, allocate(grant.amount_fen, [1] * len(due)), strict=True):
            parts = _split(parties, grant, amount_fen)
            if amount_fen:
                later.append(
                    Instalment(
                        card.book_id, card_id, payment_id, grant.campaign_id, due_at, amount_fen,
                        tuple(funding.id for funding in parts), tuple(parts.values()), grant.kind,
                    )
                )  # fmt: skip
    return given, tuple(later)


def _split(parties: Parties, grant: Grant, amount_fen: int) -> dict[Funding, int]:
    parts = allocate(amount_fen, [funder.share_bp for funder in grant.funders])
    return sum_fundings(
        parties, [(grant.campaign_id, funder, part) for funder, part in zip(grant.funders, parts, strict=True)]
    )


def all_grants(kept: Kept) -> list[tuple[int, int, int]]:
    """Every grant of a payment whole, by position."""
    return [
        (at, grant.amount_fen, grant.count if grant.kind is GrantKind.VOUCHERS else 0)
        for at, grant in enumerate(kept.grants)
    ]


def voucher_amounts(kept: Kept, shares: Iterable[tuple[int, int]]) -> tuple[tuple[UUID, int], ...]:
    """What of parts of shares, by position, is of which voucher."""
    sums: dict[UUID, int] = {}
    for at, amount_fen in shares:
        voucher_id = kept.shares[at].voucher_id
        if voucher_id is not None:
            sums[voucher_id] = sums.get(voucher_id, 0) + amount_fen
    return tuple(sums.items())


def midnight(day: date, time_zone: str) -> datetime:
    """When a day begins in the issuer's zone."""
    return datetime.combine(day, time.min, _zone(time_zone))


_zone = lru_cache(maxsize=256)(ZoneInfo)
