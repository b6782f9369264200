"""What a payment grants beside its price, purely: vouchers, now or in instalments."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from kaquan.cards import Programme
from kaquan.payments.kept import Kept
from kaquan.payments.types import CardFacts, Giving
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
