"""Every refusal of the custody room."""

from kaquan.evidence.outcomes import RECEIPT_NOT_READY as RECEIPT_NOT_READY
from kaquan.kit.outcomes import outcome

NOT_A_CUSTODY_OBJECT = outcome(
    "not_a_custody_object", http=400, iso="30",
    en="There is no chain of custody of {object}: ask for a card, a voucher, a sale, a top-up, a batch or a "
    "transaction.",
    zh="{object} 没有流转记录：请指定卡、券、售卡、充值、批次或交易。",
)  # fmt: skip
EVENT_CONTRADICTED = outcome(
    "event_contradicted", http=409, iso="96",
    en="{event} is not what its evidence says: it was altered after the fact. Run kaquan audit.",
    zh="{event} 与其存证不一致，可能在事后被改动，请运行 kaquan audit 核查。",
)  # fmt: skip
BUNDLE_TOO_LARGE = outcome(
    "bundle_too_large", http=422, iso="30",
    en="The bundle would hold more than {max_events} events: ask for a shorter time or a smaller object, or use "
    "kaquan evidence export.",
    zh="证据包将超过 {max_events} 个事件：请缩短时段、选择较小的对象，或使用 kaquan evidence export。",
)  # fmt: skip
