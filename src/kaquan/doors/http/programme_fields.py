"""The terms of a programme in requests and answers, and the rules that they are held against."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from kaquan.cards import Clauses, Fees, Restriction
from kaquan.cards.create_programme import (
    MAX_AUTHORIZATION_TTL_S,
    MAX_BP,
    MAX_DENOMINATIONS,
    MAX_DORMANCY_MONTHS,
    MAX_RESTRICTED_PLACES,
    MAX_VALID_DAYS,
    MIN_AUTHORIZATION_TTL_S,
)
from kaquan.doors.http.fields import AmountFen, MerchantId, StoreId, Trade, uuid_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN
from kaquan.policy import RuleBook

if TYPE_CHECKING:
    from kaquan.app import App

AuthorizationTtl = Annotated[int, Meta(ge=MIN_AUTHORIZATION_TTL_S, le=MAX_AUTHORIZATION_TTL_S)]
ValidDays = Annotated[int, Meta(ge=1, le=MAX_VALID_DAYS)]
Denominations = Annotated[list[AmountFen], Meta(max_length=MAX_DENOMINATIONS)]
CustomRange = Annotated[list[AmountFen], Meta(min_length=2, max_length=2)]
ShareBp = Annotated[int, Meta(ge=0, le=MAX_BP)]
Days = Annotated[int, Meta(ge=0, le=MAX_VALID_DAYS)]
CapFen = Annotated[int, Meta(ge=0, le=MAX_FEN)]


class RestrictionFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the restricted pocket is spent: at stores of these trades, at these merchants and at these stores."""

    trades: Annotated[list[Trade], Meta(max_length=MAX_RESTRICTED_PLACES)] = []
    merchant_ids: Annotated[list[MerchantId], Meta(max_length=MAX_RESTRICTED_PLACES)] = []
    store_ids: Annotated[list[StoreId], Meta(max_length=MAX_RESTRICTED_PLACES)] = []


class ClauseFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the contract with the holder says besides; null: it says nothing of it. Shares are in basis points.

    Flags tell whether the contract has the clause: ``no_refund_clause_allowed`` is true where it says that nothing is
    refunded, ``loss_report_required`` where loss reports and re-issue are offered.
    """

    custody_share_bp: ShareBp | None = None
    guarantee_share_bp: ShareBp | None = None
    cooling_off_days: Days | None = None
    cooling_off_refund_due_days: Days | None = None
    refund_due_days: Days | None = None
    cash_refund_cap_fen: CapFen | None = None
    closing_notice_days: Days | None = None
    terms_change_notice_days: Days | None = None
    fee_change_notice_days: Days | None = None
    rebate_cap_bp: ShareBp | None = None
    loss_report_required: bool | None = None
    overdraft_allowed: bool | None = None
    credit_card_allowed: bool | None = None
    forfeit_at_expiry_allowed: bool | None = None
    no_refund_clause_allowed: bool | None = None
    transfer_ban_allowed: bool | None = None
    replacement_exclusion_allowed: bool | None = None
    unilateral_change_allowed: bool | None = None
    interest_to_holders_allowed: bool | None = None


assert ClauseFields.__struct_fields__ == Clauses.__struct_fields__, "every clause has its field"


class FeeFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is paid to the issuer. Out of the card: ``replacement_fen`` for a new card in the place of one in use or
    lost, ``dormancy_fen`` for each month once nothing has moved on it for ``dormancy_after_months``, told a month
    before. Beside what is paid for value: ``issue_fen`` for a card that is sold, ``load_fen`` for a load or a
    top-up."""

    replacement_fen: CapFen = 0
    issue_fen: CapFen = 0
    load_fen: CapFen = 0
    dormancy_fen: CapFen = 0
    dormancy_after_months: Annotated[int, Meta(ge=0, le=MAX_DORMANCY_MONTHS)] = 0


assert FeeFields.__struct_fields__ == Fees.__struct_fields__, "every fee has its field"


def read_range(asked: list[int] | None) -> tuple[int, int] | None:
    """The least and the most of a range of face values."""
    return None if asked is None else (asked[0], asked[1])


def read_restriction(asked: RestrictionFields | None) -> Restriction | None:
    """Where the restricted pocket is to be spent."""
    if asked is None:
        return None
    return Restriction(
        trades=frozenset(asked.trades),
        merchant_ids=frozenset(map(uuid_of, asked.merchant_ids)),
        store_ids=frozenset(map(uuid_of, asked.store_ids)),
    )


def show_restriction(kept: Restriction | None) -> RestrictionFields | None:
    """Where the restricted pocket is spent, in one order."""
    if kept is None:
        return None
    return RestrictionFields(
        trades=sorted(kept.trades),
        merchant_ids=[show_id(Prefix.MERCHANT, id_) for id_ in sorted(kept.merchant_ids)],
        store_ids=[show_id(Prefix.STORE, id_) for id_ in sorted(kept.store_ids)],
    )


async def rules_of(app: "App", book_id: int, issuer_id: UUID) -> RuleBook:
    """What binds an issuer at this moment: terms are not held against rules that have just changed."""
    await app.policy.refresh()
    return app.policy.rules(book_id, issuer_id)
