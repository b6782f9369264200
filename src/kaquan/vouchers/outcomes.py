"""The refusals of this room, besides ``not_found``, ``already_exists`` and ``invalid_field``."""

from uuid import UUID

from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, INVALID_FIELD, NOT_FOUND, Refusal, outcome

CODE_SPACE_TOO_SMALL = outcome(
    "code_space_too_small", http=409, iso="94",
    en="{field}: codes of {length} characters would be too easy to guess: there is room for {room} more, not {wanted}.",
    zh="{field}：{length} 位券码过易被猜中：尚可制作 {room} 张，不足 {wanted} 张。",
)  # fmt: skip
TEMPLATE_ENDED = outcome(
    "voucher_template_ended", http=409, iso="57",
    en="{field}: vouchers of this template are not given out any more.",
    zh="{field}：该券模板已停用，不再发放。",
)  # fmt: skip
VOUCHER_NOT_USABLE = outcome(
    "voucher_not_usable", http=409, iso="57",
    en="{field}: the voucher is {status}.",
    zh="{field}：该券状态为 {status}，不能办理。",
)  # fmt: skip
VOUCHER_NOT_HELD = outcome(
    "voucher_not_held", http=409, iso="57",
    en="{field}: the voucher is somebody else's.",
    zh="{field}：该券不属于此持券人。",
)  # fmt: skip
VOUCHER_NOT_YET = outcome(
    "voucher_not_yet", http=409, iso="57",
    en="{field}: the voucher can be used from {valid_from} on.",
    zh="{field}：该券自 {valid_from} 起可用。",
)  # fmt: skip
VOUCHER_EXPIRED = outcome(
    "voucher_expired", http=409, iso="54",
    en="{field}: the voucher ended at {valid_until}.",
    zh="{field}：该券已于 {valid_until} 到期。",
)  # fmt: skip
VOUCHER_ELSEWHERE = outcome(
    "voucher_elsewhere", http=409, iso="57",
    en="{field}: the voucher is used in {district} only.",
    zh="{field}：该券仅限在 {district} 使用。",
)  # fmt: skip
VOUCHER_LIMIT = outcome(
    "voucher_limit_reached", http=409, iso="61",
    en="{field}: a holder gets at most {maximum} vouchers of this template.",
    zh="{field}：每人限领该券 {maximum} 张。",
)  # fmt: skip
VOUCHERS_GONE = outcome(
    "vouchers_gone", http=409, iso="57",
    en="{field}: only {left} vouchers of this template are left.",
    zh="{field}：该券仅余 {left} 张。",
)  # fmt: skip
NOT_ELIGIBLE = outcome(
    "voucher_not_eligible", http=409, iso="57",
    en="{field}: this voucher is for others: {why}.",
    zh="{field}：不符合领取条件：{why}。",
)  # fmt: skip
NOT_TRANSFERABLE = outcome(
    "voucher_not_transferable", http=409, iso="57",
    en="{field}: vouchers of this template are not given on.",
    zh="{field}：该券不可转赠。",
)  # fmt: skip
NOT_LOADABLE = outcome(
    "voucher_not_loadable", http=409, iso="57",
    en="{field}: a voucher of this template cannot be paid into a card: {why}.",
    zh="{field}：该券不能充入购物卡：{why}。",
)  # fmt: skip
LOAD_EXCEEDS_CAP = outcome(
    "voucher_load_exceeds_cap", http=409, iso="61",
    en="{field}: the card would hold {balance_fen}, more than the {max_balance_fen} that its terms allow.",
    zh="{field}：充入后余额 {balance_fen} 将超过该卡的余额上限 {max_balance_fen}。",
)  # fmt: skip
FILE_HAS_BAD_LINES = outcome(
    "voucher_file_has_bad_lines", http=422, iso="30",
    en="{field}: {count} lines are wrong, nothing was done. The first: line {line}, {column}: {why}.",
    zh="{field}：{count} 行有误，未做任何处理。首个错误：第 {line} 行 {column}：{why}。",
)  # fmt: skip


def invalid(field: str, allowed: str, *, allowed_zh: str) -> Refusal:
    """A field that is wrong for a reason that its type does not tell."""
    return INVALID_FIELD.refuse(field, allowed=allowed, allowed_zh=allowed_zh)


def missing(what: str, field: str = "id") -> Refusal:
    """No such row in this book."""
    return NOT_FOUND.refuse(field, what=what)


def taken(field: str, value: str, *, prefix: Prefix, existing: UUID) -> Refusal:
    """Another row of this book has the value already."""
    return ALREADY_EXISTS.refuse(field, value=value, existing=show_id(prefix, existing))
