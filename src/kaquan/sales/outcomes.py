"""The refusals of this room, besides ``not_found`` and ``invalid_field``; one about a rule names it and its source."""

from kaquan.kit.outcomes import INVALID_FIELD, NOT_FOUND, Refusal, outcome
from kaquan.ledger.outcomes import IDEMPOTENCY_KEY_REUSED as IDEMPOTENCY_KEY_REUSED

CARD_CAP_EXCEEDED = outcome(
    "card_cap_exceeded", http=422, iso="61",
    en="{field}: a card would then hold {balance_fen} fen, and one may hold {allowed} (rule {rule}: {source}).",
    zh="{field}：入账后单卡余额为 {balance_fen} 分，限额{allowed}（规则 {rule}：{source}）。",
)  # fmt: skip
REBATE_TOO_HIGH = outcome(
    "rebate_too_high", http=422, iso="61",
    en="{field}: {bonus_fen} fen are given for {price_fen} fen paid, and it may be {allowed} (rule {rule}: {source}).",
    zh="{field}：实付 {price_fen} 分，赠送 {bonus_fen} 分，赠送比例{allowed}（规则 {rule}：{source}）。",
)  # fmt: skip
REAL_NAME_REQUIRED = outcome(
    "real_name_required", http=422, iso="57",
    en="{field}: {who} must be identified by a document first: {because} (rule {rule}: {source}).",
    zh="{field}：{who}须先完成证件实名：{because}（规则 {rule}：{source}）。",
)  # fmt: skip
CASH_REFUSED = outcome(
    "cash_refused", http=422, iso="57",
    en="{field}: a purchase of {amount_fen} fen here may not be paid in cash ({allowed}) (rule {rule}: {source}).",
    zh="{field}：本次购卡 {amount_fen} 分，不得使用现金（{allowed}）（规则 {rule}：{source}）。",
)  # fmt: skip
CREDIT_CARD_REFUSED = outcome(
    "credit_card_refused", http=422, iso="57",
    en="{field}: these cards may not be paid by credit card (rule {rule}: {source}).",
    zh="{field}：该类卡不得使用信用卡购买或充值（规则 {rule}：{source}）。",
)  # fmt: skip
CONTRACT_REQUIRED = outcome(
    "contract_required", http=422, iso="57",
    en="{field}: name the version of the contract or charter that the buyer accepted (rule {rule}: {source}).",
    zh="{field}：请填写购卡人已确认的合同或章程版本（规则 {rule}：{source}）。",
)  # fmt: skip
TRANSFER_ACCOUNTS_REQUIRED = outcome(
    "transfer_accounts_required", http=422, iso="57",
    en="{field}: the accounts of payer and payee of a bank transfer are recorded (rule {rule}: {source}).",
    zh="{field}：银行转账须登记付款与收款账户（规则 {rule}：{source}）。",
)  # fmt: skip
CARD_NOT_FOR_SALE = outcome(
    "card_not_for_sale", http=409, iso="57",
    en="{field}: {card_id} is not for sale: {why}.", zh="{field}：{card_id} 不可销售：{why}。",
)  # fmt: skip
NOT_ENOUGH_CARDS = outcome(
    "not_enough_cards", http=409, iso="57",
    en="{field}: the batch has {left} cards for sale, {wanted} are wanted.",
    zh="{field}：该批次可售 {left} 张，需要 {wanted} 张。",
)  # fmt: skip
SALE_STATUS_FORBIDS = outcome(
    "sale_status_forbids", http=409, iso="12",
    en="This cannot be done to a purchase that is {status}.", zh="当前状态（{status}）的购卡单不能执行此操作。",
)  # fmt: skip
PAYMENT_EXCEEDS_SALE = outcome(
    "payment_exceeds_sale", http=409, iso="61",
    en="{field}: {left_fen} fen are left to pay.", zh="{field}：待付金额为 {left_fen} 分。",
)  # fmt: skip
SALE_CARD_USED = outcome(
    "sale_card_used", http=409, iso="12",
    en="{card_id} was used since it was sold, so the sale cannot be taken back: {why}.",
    zh="{card_id} 售出后已被使用，不能退售：{why}。",
)  # fmt: skip
BUYER_LISTED = outcome(
    "buyer_listed", http=403, iso="57",
    en="{field}: nothing is sold to them; ask whoever keeps the list {list} (source: {listed_by}).",
    zh="{field}：不得向该客户售卡，请联系名单“{list}”的管理人员（来源：{listed_by}）。",
)  # fmt: skip
SALE_IN_REVIEW = outcome(
    "sale_in_review", http=409, iso="57",
    en="The buyer may be on a list: somebody must look at this sale first.", zh="购卡人疑似在名单上，须先经人工核查。",
)  # fmt: skip
SALE_NOT_IN_REVIEW = outcome(
    "sale_not_in_review", http=409, iso="12",
    en="Nobody has to look at this sale (any more).", zh="该售卡单无需（或已完成）核查。",
)  # fmt: skip
BUYER_LIST_STATUS_FORBIDS = outcome(
    "buyer_list_status_forbids", http=409, iso="12",
    en="This cannot be done to a list that is {status}.", zh="当前状态（{status}）的名单不能执行此操作。",
)  # fmt: skip
BUYER_LIST_UNREADABLE = outcome(
    "buyer_list_unreadable", http=409, iso="96",
    en="The list {list} was kept under a look-up key that is gone: upload it again.",
    zh="名单“{list}”所用的查找密钥已停用，请重新上传。",
)  # fmt: skip
TOP_UP_NOT_LOADED = outcome(
    "top_up_not_loaded", http=409, iso="57",
    en="The card could not be loaded ({reason}); the top-up is cancelled: give back what was paid.",
    zh="未能入账（{reason}），充值单已取消，请退还已付款项。",
)  # fmt: skip


def missing(what: str, field: str = "id") -> Refusal:
    """There is no such ``what`` in this book, whatever other books hold."""
    return NOT_FOUND.refuse(field, what=what)


def invalid(field: str, allowed: str, *, allowed_zh: str) -> Refusal:
    """``field`` is not what is allowed."""
    return INVALID_FIELD.refuse(field, allowed=allowed, allowed_zh=allowed_zh)
