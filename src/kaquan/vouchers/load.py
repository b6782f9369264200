"""Pay a voucher into a card: its face value moves from who pays for it into a pocket, as a lot ending as it would."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kaquan.cards import UNUSABLE, Card, CardStatus, Hand, Programme, get_card, list_pockets, programme_of
from kaquan.kit.db import Pool, post_together
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import Account, AccountSpec, Answer, Effect, Guard, Leg, NewLot, Posting, RequestKey, slot_of
from kaquan.promotions import Funder, FunderKind
from kaquan.vouchers import store
from kaquan.vouchers.claim import unusable
from kaquan.vouchers.find import get_voucher
from kaquan.vouchers.outcomes import (
    LOAD_EXCEEDS_CAP,
    NOT_LOADABLE,
    VOUCHER_EXPIRED,
    VOUCHER_NOT_HELD,
    VOUCHER_NOT_YET,
    missing,
)
from kaquan.vouchers.store import Telling
from kaquan.vouchers.templates import get_template
from kaquan.vouchers.types import Template, Voucher, VoucherEvent, VoucherStatus

KIND = "voucher_load"

FUNDING = "voucher_funding"
"""Kind of the account that it comes from: what its owner, who pays for the voucher, owes the issuer."""

MAX_PLANS = 8


class Loaded(NamedTuple):
    """A voucher that was paid into a card by a transaction."""

    voucher: Voucher
    card_id: UUID
    transaction_id: UUID
    amount_fen: int


def plan_voucher_load(
    voucher: Voucher,
    template: Template,
    card: Card,
    programme: Programme,
    pockets: Sequence[tuple[object, Account]],
    *,
    funding: Sequence[int],
    transaction_id: UUID,
    now: datetime,
) -> Posting | Refusal:
    """Decide it. ``funding`` are the accounts of the template's funders, in their order.

    Refused: ``voucher_not_held``, ``voucher_not_usable``, ``voucher_not_yet``, ``voucher_expired``,
    ``voucher_not_loadable``, the codes of cards that cannot be used, ``voucher_load_exceeds_cap``.
    """
    if voucher.holder is not None and voucher.holder.id not in (card.id, card.customer_id):
        return VOUCHER_NOT_HELD.refuse("card_id")
    if voucher.status is not VoucherStatus.HELD:
        return unusable(voucher, "id")
    if voucher.valid_from is not None and voucher.valid_from > now:
        return VOUCHER_NOT_YET.refuse("id", valid_from=voucher.valid_from.isoformat())
    if voucher.valid_until is not None and voucher.valid_until <= now:
        return VOUCHER_EXPIRED.refuse("id", valid_until=voucher.valid_until.isoformat())
    if template.load_pocket is None:
        return NOT_LOADABLE.refuse("id", why="its template does not allow it", why_zh="券模板不允许")
    if card.status is not CardStatus.ACTIVE:
        return UNUSABLE[card.status].refuse("card_id")
    if programme.currency != template.currency:
        return NOT_LOADABLE.refuse("card_id", why="the card has another currency", why_zh="币种不同")
    pocket = next((account for name, account in pockets if name == template.load_pocket), None)
    if pocket is None:
        return NOT_LOADABLE.refuse(
            "card_id",
            why=f"the card has no pocket {template.load_pocket}",
            why_zh=f"该卡没有 {template.load_pocket} 户",
        )
    balance_fen, cap_fen = (
        sum(account.posted_fen for _, account in pockets) + voucher.face_fen,
        programme.max_balance_fen,
    )
    if cap_fen is not None and balance_fen > cap_fen:
        return LOAD_EXCEEDS_CAP.refuse("card_id", balance_fen=balance_fen, max_balance_fen=cap_fen)
    # a version is used once, so it names the lot, as it does when a card is loaded
    lot = pocket.version + 1
    parts = allocate(voucher.face_fen, [funder.share_bp for funder in template.funders])
    return Posting(
        transaction_id,
        kind=KIND,
        effective_at=now,
        legs=[
            Leg(Effect.POST, account, None, pocket.id, lot, part_fen)
            for account, part_fen in zip(funding, parts, strict=True)
            if part_fen
        ],
        guards=[Guard(pocket.id, pocket.version)],
        # the holder paid nothing for it
        lots=[NewLot(pocket.id, lot, 0, voucher.face_fen, voucher.valid_until)],
        related_id=voucher.id,
    )


def owner_of(funder: Funder, issuer_id: UUID) -> UUID:
    """Whose account pays a funder's share of what is not spent at any merchant yet."""
    if funder.kind is FunderKind.PARTY:
        assert funder.party_id is not None
        return funder.party_id
    return issuer_id


async def load_voucher(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: tuple[int, ...],
    voucher_id: UUID,
    card_id: UUID,
    key: RequestKey,
    render: Callable[[Loaded], Answer],
) -> Answer | Refusal:
    """Pay a voucher into a card of its holder, once for a key: voucher, posting and answer are one commit.

    Refused: ``not_found`` (id, card_id), as :func:`plan_voucher_load`, ``busy``; then nothing moved.
    """
    for _ in range(MAX_PLANS):
        voucher = await get_voucher(pool, book_id=book_id, slots=slots, voucher_id=voucher_id)
        if isinstance(voucher, Refusal):
            return voucher
        # pockets before the card: who changes its status moves the versions of its pockets
        pockets = await list_pockets(pool, book_id=book_id, slots=slots, card_id=card_id)
        card = await get_card(pool, book_id=book_id, slots=slots, card_id=card_id)
        if isinstance(pockets, Refusal) or isinstance(card, Refusal):
            return missing("card", "card_id")
        template = await get_template(pool, book_id=book_id, id_=voucher.template_id)
        assert not isinstance(template, Refusal), "templates are never removed"
        programme = await programme_of(pool, card)
        slot, now = slot_of(card_id, slots), hand.clock.now()
        asked = [
            AccountSpec(book_id, owner_of(funder, programme.issuer_id), FUNDING, template.currency)
            for funder in template.funders
        ]
        posting = plan_voucher_load(
            voucher, template, card, programme, pockets,
            funding=await store.open_funding(pool, slot=slot, asked=asked),
            transaction_id=hand.ids.new_near(card_id), now=now,
        )  # fmt: skip
        if isinstance(posting, Refusal):
            return posting
        loaded = Loaded(voucher, card_id, posting.transaction_id, voucher.face_fen)
        answer = render(loaded)
        done = await post_together(
            pool,
            store.move(
                voucher, VoucherEvent.LOADED, to=VoucherStatus.LOADED, holder=voucher.holder,
                telling=Telling(hand.ids, now, hand.actor), transaction_id=posting.transaction_id,
                amount_fen=voucher.face_fen,
            ),
            store.post(posting, book_id=book_id, slot=slot, at=now, key=key, answer=answer),
        )  # fmt: skip
        if done:
            return answer
    return BUSY.refuse()
