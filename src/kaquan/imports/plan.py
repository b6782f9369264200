"""What an import and its reversal move: pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import Pocket
from kaquan.imports.types import ImportLine
from kaquan.ledger import Account, Effect, Guard, Leg, NewLot, Posting

IMPORTED_VALUE = "imported_value"
"""The issuer's account that imported value comes from: what it owes because another system said so."""

FIRST_LOT = 1
"""A card comes in with its pockets, so its value is their first lot."""


class Held(NamedTuple):
    """What a line brought to a pocket."""

    pocket: Pocket
    amount_fen: int
    expires_at: datetime | None


def held_by(line: ImportLine) -> list[Held]:
    """What a line brings, pocket by pocket, without those that get nothing."""
    both = (
        Held(Pocket.PRINCIPAL, line.principal_fen, line.principal_expires_at),
        Held(Pocket.BONUS, line.bonus_fen, line.bonus_expires_at),
    )
    return [held for held in both if held.amount_fen]


def plan_line(
    line: ImportLine,
    pockets: Mapping[Pocket, int],
    *,
    imported_value: int,
    transaction_id: UUID,
    at: datetime,
    reference: str,
) -> Posting | None:
    """The posting that brings the value of a line into new pockets; None when the card is empty.

    The lots remember what was paid and what was given, as those of a load do.
    """
    held = held_by(line)
    if not held:
        return None
    return Posting(
        transaction_id=transaction_id,
        kind="import",
        effective_at=at,
        legs=[
            Leg(Effect.POST, imported_value, None, pockets[each.pocket], FIRST_LOT, each.amount_fen) for each in held
        ],
        guards=[Guard(pockets[each.pocket], 0) for each in held],
        lots=[
            NewLot(pockets[each.pocket], FIRST_LOT, line.principal_fen, line.bonus_fen, each.expires_at)
            for each in held
        ],
        reference=reference,
    )


def is_used(line: ImportLine, accounts: Sequence[Account]) -> bool:
    """Whether anything but the import ever moved or reserved value of the card, even if it was given back."""
    brought = {held.pocket.account_kind: held.amount_fen for held in held_by(line)}
    return any(
        account.credits_posted != brought.get(account.kind, 0)
        or account.debits_posted != 0
        or account.debits_pending != 0
        or account.credits_pending != 0
        for account in accounts
    )


def plan_reversal(
    line: ImportLine,
    accounts: Sequence[Account],
    *,
    imported_value: int,
    transaction_id: UUID,
    at: datetime,
    reference: str,
) -> Posting | None:
    """The posting that takes the value of an unused card back where it came from; None when it was empty."""
    held = held_by(line)
    if not held:
        return None
    by_kind = {account.kind: account for account in accounts}
    pockets = [(by_kind[each.pocket.account_kind], each.amount_fen) for each in held]
    return Posting(
        transaction_id=transaction_id,
        kind="import_reversal",
        effective_at=at,
        legs=[Leg(Effect.POST, pocket.id, FIRST_LOT, imported_value, None, amount) for pocket, amount in pockets],
        guards=[Guard(pocket.id, pocket.version) for pocket, _ in pockets],
        related_id=line.transaction_id,
        reference=reference,
    )
