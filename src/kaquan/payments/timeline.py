"""All that ever happened to a card, on one page: its events and what moved on it, the newest first."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from kaquan.cards import Card, CardEvent, Event, list_events
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, Page, cut_page
from kaquan.ledger import Effect, Transaction, TransactionSearch, accounts_of, list_transactions, slot_of

ISSUED = "issued"


class Source(StrEnum):
    """What a line of the timeline is."""

    EVENT = "event"
    """Something that happened to the card."""
    TRANSACTION = "transaction"
    """Something that moved on it."""


class TimelineItem(msgspec.Struct, frozen=True):
    """One line. ``amount_fen`` is what the card gained (below zero: gave), ``reserved_fen`` what was set aside
    (below zero: given back or captured); both None for events. ``actor`` is None for what moved."""

    id: UUID
    source: Source
    kind: str
    title_en: str
    title_zh: str
    at: datetime
    recorded_at: datetime
    actor: str | None
    reason: str | None
    status: str | None
    amount_fen: int | None
    reserved_fen: int | None
    reference: str | None
    terminal_id: UUID | None
    related_id: UUID | None
    details: dict[str, Any]


TITLES = {
    ISSUED: ("Card issued", "制卡"),
    CardEvent.RECORDED: ("Found when the log of events began", "事件日志启用时的状态"),
    CardEvent.ACTIVATED: ("Card activated", "激活"),
    CardEvent.REGISTERED: ("Registered to a person", "登记持卡人"),
    CardEvent.UNBOUND: ("Registration ended", "解除登记"),
    CardEvent.BLOCKED: ("Card blocked", "冻结"),
    CardEvent.UNBLOCKED: ("Card unblocked", "解冻"),
    CardEvent.LOSS_REPORTED: ("Loss reported", "申请挂失"),
    CardEvent.LOSS_EFFECTIVE: ("Loss report in effect", "挂失生效"),
    CardEvent.FOUND: ("Loss report taken back", "解除挂失"),
    CardEvent.GIFT_OFFERED: ("Given: waiting to be claimed", "发起转赠"),
    CardEvent.GIFT_CLAIMED: ("Gift claimed", "转赠已领取"),
    CardEvent.GIFT_CANCELLED: ("Gift cancelled", "取消转赠"),
    CardEvent.GIFT_EXPIRED: ("Gift not claimed in time", "转赠超时退回"),
    CardEvent.REPLACED: ("Replaced by a new card", "换卡"),
    CardEvent.CLOSED: ("Card closed", "注销"),
    CardEvent.EXPIRED: ("Card expired", "卡过期"),
    CardEvent.EXTENDED: ("Validity extended", "延期"),
    CardEvent.SET_ASIDE: ("Set aside for a sale", "售卡预留"),
    CardEvent.SALE_ENDED: ("No longer set aside for a sale", "售卡预留解除"),
    CardEvent.SOLD: ("Sold", "已售出"),
    CardEvent.RELEASED: ("Value released to its holder", "余额退还持卡人"),
    CardEvent.PIN_SET: ("PIN set", "设置密码"),
    CardEvent.PIN_CHANGED: ("PIN changed", "修改密码"),
    CardEvent.PIN_LOCKED: ("PIN locked after wrong tries", "密码锁定"),
    CardEvent.PIN_UNLOCKED: ("PIN unlocked", "密码解锁"),
    CardEvent.PIN_FORGOTTEN: ("PIN removed", "清除密码"),
    CardEvent.NUMBER_REVEALED: ("Number revealed", "查看卡号"),
    CardEvent.TRANSFERRED_OUT: ("Balance sent to another card", "余额转出"),
    CardEvent.TRANSFERRED_IN: ("Balance came from another card", "余额转入"),
    CardEvent.TRANSFER_ABANDONED: ("Transfer not carried out", "余额转移未完成"),
    "load": ("Loaded", "充值"),
    "purchase": ("Paid", "消费"),
    "authorization": ("Amount set aside", "预授权"),
    "capture": ("Captured", "预授权完成"),
    "void": ("Authorization voided", "预授权撤销"),
    "expiry": ("Authorization expired", "预授权到期释放"),
    "refund": ("Refunded", "退款"),
    "adjustment": ("Adjusted by hand", "人工调账"),
    "fee": ("Fee charged", "收取手续费"),
    "transfer": ("Balance moved between cards", "余额转移"),
    "transfer_out": ("Balance left for another card", "余额转出"),
    "transfer_back": ("Balance came back", "余额转回"),
    "transfer_in": ("Balance arrived from another card", "余额转入"),
    "lot_expiry": ("Value ended and was set apart", "余额到期转出"),
    "lot_return": ("Ended value came back to go after the card", "到期余额随卡转移"),
    "release": ("Value left for its holder", "余额转出待退"),
    "lot_extension": ("Ended value came back", "到期余额恢复"),
    "sale_refund": ("Taken back with its sale", "退售转出"),
    "closing": ("Balance left at the closing", "注销结清余额"),
    "import": ("Taken over from another system", "外部卡余额导入"),
    "import_reversal": ("Take-over reversed", "撤销导入"),
    "voucher_load": ("Voucher paid in", "券充入"),
}
"""Titles in English and Chinese by kind; a kind without one is its own title."""


async def read_timeline(
    pool: Pool,
    *,
    book_id: int,
    slots: tuple[int, ...],
    card_id: UUID,
    limit: int = DEFAULT_LIMIT,
    after_id: UUID | None = None,
) -> Page[TimelineItem] | Refusal:
    """A page of a card's timeline, beginning behind ``after_id``; ids follow time. Refused: ``not_found``."""
    found = await list_events(pool, book_id=book_id, slots=slots, card_id=card_id, before_id=after_id, limit=limit + 1)
    if isinstance(found, Refusal):
        return found
    card, events = found
    moved = await list_transactions(
        pool,
        book_id=book_id,
        slots=[slot_of(card_id, slots)],
        search=TransactionSearch(limit=limit + 1, after_id=after_id, owner_id=card_id),
    )
    owners = {key: account.owner_id for key, account in (await accounts_of(pool, moved.data)).items()}
    items = [_event_item(event) for event in events]
    items += [_moved_item(card_id, transaction, owners) for transaction in moved.data]
    if after_id is None or card.id < after_id:
        items.append(_issue_item(card))
    items.sort(key=lambda item: item.id.int, reverse=True)
    return cut_page(items, limit=limit, last_id=items[limit - 1].id if len(items) > limit else None)


def _titles(kind: str) -> tuple[str, str]:
    return TITLES.get(kind, (kind, kind))


def _event_item(event: Event) -> TimelineItem:
    title_en, title_zh = _titles(event.kind)
    return TimelineItem(
        event.id, Source.EVENT, event.kind.value, title_en, title_zh, event.at, event.at, event.actor, event.reason,
        event.status, None, None, None, None, None, event.details,
    )  # fmt: skip


def _issue_item(card: Card) -> TimelineItem:
    # millions of cards are issued at once, so that their issue is told by the card itself
    details = {} if card.batch_id is None else {"batch_id": show_id(Prefix.BATCH, card.batch_id)}
    title_en, title_zh = _titles(ISSUED)
    return TimelineItem(
        card.id, Source.EVENT, ISSUED, title_en, title_zh, card.created_at, card.created_at, None, None, ISSUED, None,
        None, None, None, None, details,
    )  # fmt: skip


def _moved_item(card_id: UUID, transaction: Transaction, owners: dict[tuple[int, int], UUID]) -> TimelineItem:
    amount_fen, reserved_fen = sum_moves(
        [
            (
                entry.effect,
                (owners[transaction.slot, entry.credit_account] == card_id)
                - (owners[transaction.slot, entry.debit_account] == card_id),
                entry.amount_fen,
            )
            for entry in transaction.entries
        ]
    )
    title_en, title_zh = _titles(transaction.kind)
    return TimelineItem(
        transaction.id, Source.TRANSACTION, transaction.kind, title_en, title_zh, transaction.effective_at,
        transaction.recorded_at, None, None, None, amount_fen, reserved_fen, transaction.reference,
        transaction.place_id, transaction.related_id, {},
    )  # fmt: skip


def sum_moves(moves: Sequence[tuple[Effect, int, int]]) -> tuple[int, int]:
    """What a card gained and what was set aside on it, from (effect, side, amount): side 1 is in, -1 is out."""
    gained_fen = sum(side * fen for effect, side, fen in moves if effect in (Effect.POST, Effect.CAPTURE))
    reserved_fen = sum(
        (-side if effect is Effect.RESERVE else side) * fen for effect, side, fen in moves if effect is not Effect.POST
    )
    return gained_fen, reserved_fen
