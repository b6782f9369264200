"""What a card pays its issuer for a service, by the terms that it was issued under. Pure."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards.move import take_free
from kaquan.cards.outcomes import FEE_NOT_COVERED
from kaquan.cards.store import Holding
from kaquan.cards.types import Card, CardStatus, FeeKind, Pocket, Programme
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Guard, Posting

ACCOUNT = "issuer_fees"
"""Kind of the account that fees go to: the issuer's, one per slot and currency."""

KIND = "fee"


def replacement_fee_fen(card: Card, programme: Programme) -> int:
    """The fee for a new card in this one's place. The exchange of a card that has expired is free: its value is not
    forfeited (CN-SP-EXP-03), and a fee would be a way to do it."""
    return 0 if card.status is CardStatus.EXPIRED else programme.fees.replacement_fen


def plan_fee(
    holdings: Sequence[Holding],
    *,
    kind: FeeKind,
    fee_fen: int,
    account: int,
    transaction_id: UUID,
    now: datetime,
) -> Posting | Refusal:
    """Take a fee out of what was paid for the card; what was given or is restricted pays for no service.

    Refused: ``fee_not_covered``; a part of a fee is never taken.
    """
    principal = next((holding for holding in holdings if holding.pocket is Pocket.PRINCIPAL), None)
    legs = [] if principal is None else take_free(principal.lots, principal.account.id, account, fee_fen, now)
    available_fen = sum(leg.amount_fen for leg in legs)
    if principal is None or available_fen < fee_fen:
        return FEE_NOT_COVERED.refuse(fee_fen=fee_fen, available_fen=available_fen)
    guards = [Guard(principal.account.id, principal.account.version)]
    return Posting(transaction_id, kind=KIND, effective_at=now, legs=legs, guards=guards, reference=kind.value)
