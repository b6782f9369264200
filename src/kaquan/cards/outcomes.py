"""The refusals of this room, besides ``not_found``, ``already_exists`` and ``invalid_field``."""

from uuid import UUID

from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, INVALID_FIELD, NOT_FOUND, Refusal, outcome

CARD_NOT_ACTIVE = outcome(
    "card_not_active",
    http=409,
    iso="78",
    en="The card has not been activated.",
    zh="该卡尚未激活。",
)
CARD_BLOCKED = outcome(
    "card_blocked",
    http=409,
    iso="62",
    en="The card is blocked.",
    zh="该卡已被冻结。",
)
CARD_ALREADY_BLOCKED = outcome(
    "card_already_blocked",
    http=409,
    iso="62",
    en="The card is blocked already, for another reason ({reason}); unblock it first.",
    zh="该卡已因其他原因被冻结（{reason}），请先解冻。",
)
NUMBER_SPACE_TOO_SMALL = outcome(
    "number_space_too_small",
    http=422,
    iso="30",
    en="The prefix {prefix} is too long for so many cards: their numbers could be guessed. It has "
    "room for {room} more and {wanted} are wanted; use a programme with a shorter prefix.",
    zh="卡号前缀 {prefix} 过长，卡号可能被猜中：还可制卡 {room} 张，需要 {wanted} 张；请使用前缀较短的卡种。",
)
STORE_OF_ANOTHER_MERCHANT = outcome(
    "store_of_another_merchant",
    http=422,
    iso="30",
    en="{field}: the store does not belong to this merchant.",
    zh="{field}：该门店不属于此商户。",
)
CARD_LOST = outcome(
    "card_lost", http=409, iso="41",
    en="The card was reported lost.", zh="该卡已挂失。",
)  # fmt: skip
CARD_IN_GIFT = outcome(
    "card_in_gift", http=409, iso="62",
    en="The card is on its way to another person as a gift; cancel the gift first.",
    zh="该卡正在转赠中，请先取消转赠。",
)  # fmt: skip
CARD_REPLACED = outcome(
    "card_replaced", http=409, iso="62",
    en="The card was replaced by another one.", zh="该卡已换卡，请使用新卡。",
)  # fmt: skip
CARD_CLOSED = outcome(
    "card_closed", http=409, iso="62",
    en="The card is closed.", zh="该卡已注销。",
)  # fmt: skip
CARD_EXPIRED = outcome(
    "card_expired", http=409, iso="54",
    en="The card has expired.", zh="卡已过期。",
)  # fmt: skip
CARD_STATUS_FORBIDS = outcome(
    "card_status_forbids", http=409, iso="57",
    en="This cannot be done to a card that is {status}.", zh="当前状态（{status}）的卡不能执行此操作。",
)  # fmt: skip
CARD_REGISTERED = outcome(
    "card_registered", http=409, iso="57",
    en="The card is registered to another person; unbind it first.", zh="该卡已登记在他人名下，请先解除登记。",
)  # fmt: skip
LOSS_REPORT_PENDING = outcome(
    "loss_report_pending", http=409, iso="41",
    en="The card was reported lost; take the report back first.", zh="该卡已申请挂失，请先解除挂失。",
)  # fmt: skip
PROOF_REQUIRED = outcome(
    "proof_required", http=422, iso="57",
    en="{field}: the card is not registered; name what proves whose it is, such as the receipt of its sale.",
    zh="{field}：该卡未登记持卡人，请提供持卡证明（例如购卡凭证编号）。",
)  # fmt: skip
ONLY_DIGITAL = outcome(
    "only_digital", http=409, iso="57",
    en="Only a digital card can be given by a link.", zh="只有电子卡可以通过链接转赠。",
)  # fmt: skip
PIN_TOO_EASY = outcome(
    "pin_too_easy", http=422, iso="55",
    en="{field}: this PIN is too easy to guess: {why}.", zh="{field}：该密码过于简单：{why}。",
)  # fmt: skip
PIN_REQUIRED = outcome(
    "pin_required", http=403, iso="55",
    en="Spends of this programme above {above_fen} need the card's PIN.",
    zh="该卡种单笔超过 {above_fen} 须输入卡密码。",
)  # fmt: skip
PIN_NOT_SET = outcome(
    "pin_not_set", http=409, iso="55",
    en="The card has no PIN.", zh="该卡尚未设置密码。",
)  # fmt: skip
PIN_WRONG = outcome(
    "pin_wrong", http=403, iso="55",
    en="The PIN is wrong.", zh="密码错误。",
)  # fmt: skip
PIN_LOCKED = outcome(
    "pin_locked", http=409, iso="75",
    en="The PIN is locked after too many wrong tries; the operator can unlock it.",
    zh="密码错误次数过多已锁定，请联系发卡方解锁。",
)  # fmt: skip
REPLACEMENT_NOT_USABLE = outcome(
    "replacement_not_usable", http=409, iso="57",
    en="{field}: the new card must be of the same programme and form, issued, and not yet activated.",
    zh="{field}：新卡须为同一卡种、同一形态、已制卡且尚未激活。",
)  # fmt: skip
FEE_NOT_COVERED = outcome(
    "fee_not_covered", http=409, iso="51",
    en="The fee of {fee_fen} is more than the {available_fen} that is free in the card's principal; collect it "
    "otherwise or let it go, and ask again with waive_fee.",
    zh="手续费 {fee_fen} 超过本金户可用余额 {available_fen}；请另行收取或免收，并以 waive_fee 重新提交。",
)  # fmt: skip
FEE_NOT_AGREED = outcome(
    "fee_not_agreed", http=409, iso="12",
    en="{field}: a fee of {fee_fen} is paid beside the price; name it, so that it is agreed to.",
    zh="{field}：须另付手续费 {fee_fen}，请在请求中注明以示确认。",
)  # fmt: skip
CARDS_DO_NOT_MATCH = outcome(
    "cards_do_not_match", http=409, iso="57",
    en="{field}: balance moves only between two cards of one programme that are registered to one person and whose "
    "restricted value is spent at the same places.",
    zh="{field}：余额只能在同一卡种、同一持卡人名下、专用户使用范围相同的两张卡之间转移。",
)  # fmt: skip
NOTHING_TO_TRANSFER = outcome(
    "nothing_to_transfer", http=409, iso="51",
    en="The card has nothing available to transfer.", zh="该卡没有可转移的余额。",
)  # fmt: skip
TRANSFER_EXCEEDS_CAP = outcome(
    "transfer_exceeds_cap", http=409, iso="61",
    en="The other card would then hold more than a card of this programme may.",
    zh="转入后余额将超过该卡种的余额上限。",
)  # fmt: skip
GIFT_NOT_OPEN = outcome(
    "gift_not_open", http=409, iso="12",
    en="The gift is not open any more: {status}.", zh="该转赠已结束，当前状态：{status}。",
)  # fmt: skip

FACE_VALUE_NOT_ALLOWED = outcome(
    "face_value_not_allowed", http=422, iso="13",
    en="{field}: cards of this programme are not sold with {face_fen}; allowed: {allowed}.",
    zh="{field}：该卡种不发售面额 {face_fen}，可选：{allowed}。",
)  # fmt: skip
SALE_REQUIRED = outcome(
    "sale_required", http=409, iso="57",
    en="Cards of this programme are activated and loaded by a paid sale or top-up alone.",
    zh="该卡种须通过已付款的售卡或充值单激活和入账。",
)  # fmt: skip
PROGRAMME_STOPPED = outcome(
    "programme_stopped", http=409, iso="57",
    en="The programme ends: since {stopped_at} nothing is sold, issued, activated or loaded. Cards are taken up to "
    "and including {last_day}.",
    zh="该卡种即将终止：自 {stopped_at} 起停止发售、制卡、激活和充值；卡片可使用至 {last_day}（含当日）。",
)  # fmt: skip
PROGRAMME_ENDED = outcome(
    "programme_ended", http=409, iso="54",
    en="The programme has ended: its cards were taken up to and including {last_day}. What is left is refunded.",
    zh="该卡种已终止，卡片可使用至 {last_day}（含当日）；剩余金额可办理退卡。",
)  # fmt: skip
CARD_IN_SALE = outcome(
    "card_in_sale", http=409, iso="57",
    en="The card is set aside for a sale; deliver or cancel that first.",
    zh="该卡已为一笔售卡单预留，请先交付或取消该售卡单。",
)  # fmt: skip


CARD_NOT_CONFIRMED = outcome(
    "card_not_confirmed",
    http=403,
    iso="55",
    en="This number and this secret or PIN do not open a card.",
    zh="卡号与卡密或密码不符，或该卡不可用。",
)


def missing(what: str, field: str = "id") -> Refusal:
    """There is no such ``what`` in this book, whatever other books hold."""
    return NOT_FOUND.refuse(field, what=what)


def taken(field: str, value: str, *, prefix: Prefix, existing: UUID) -> Refusal:
    """``value`` belongs to ``existing`` already."""
    return ALREADY_EXISTS.refuse(field, value=value, existing=show_id(prefix, existing))


def invalid(field: str, allowed: str, *, allowed_zh: str) -> Refusal:
    """``field`` is not what is allowed."""
    return INVALID_FIELD.refuse(field, allowed=allowed, allowed_zh=allowed_zh)
