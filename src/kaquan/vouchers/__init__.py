"""Vouchers: what may be taken off once, by whom, until when, and who pays for it.

A *template* says what its vouchers promise; its effect is an offer of a promotions kind, by name and parameters,
which payments compiles and prices: this room prices nothing. A *voucher* is one holder's, or nobody's yet, with a
code that finds it. Nobody redeems one twice: a payment locks it before it is posted (:func:`lock_vouchers`), settles
it afterwards (:func:`settle_vouchers`) and gives back what is refunded (:func:`return_vouchers`); :func:`sweep_locks`
ends what a dead process left. Every change but a lock leaves an event with an evidence leaf in the same commit. The
ledger carries no voucher before it is used (ADR 0030): what is outstanding is counted from vouchers and events, at
any moment (:func:`report_liability`), and only :func:`load_voucher` moves value, from who pays into a card. Codes are
kept sealed and are found by keyed hash; only :func:`reveal_code` and :func:`read_out_codes`, which leave a trace,
show any.
"""

from kaquan.vouchers.assign import assign_vouchers
from kaquan.vouchers.cancel import cancel_batch, cancel_voucher
from kaquan.vouchers.claim import claim_by_code, claim_once, holder_of
from kaquan.vouchers.effect import compile_template
from kaquan.vouchers.expire import expire_vouchers
from kaquan.vouchers.find import (
    find_by_code,
    get_batch,
    get_voucher,
    list_batches,
    list_voucher_events,
    list_vouchers,
)
from kaquan.vouchers.import_codes import import_codes
from kaquan.vouchers.issue import Mint, create_batch, issue_grants, revoke_grants, run_batch, unfinished_batches
from kaquan.vouchers.load import Loaded, load_voucher
from kaquan.vouchers.lock import (
    LOCK_FOR,
    FindOutcome,
    check_use,
    lock_vouchers,
    return_vouchers,
    settle_vouchers,
    sweep_locks,
)
from kaquan.vouchers.report import FundedRow, report_funding, report_liability
from kaquan.vouchers.reveal import read_out_codes, reveal_code
from kaquan.vouchers.store import Telling, read_vouchers_named
from kaquan.vouchers.templates import (
    create_template,
    end_template,
    get_template,
    list_templates,
    load_all_templates,
)
from kaquan.vouchers.transfer import transfer_voucher
from kaquan.vouchers.types import (
    OUTSTANDING,
    Ask,
    BatchSource,
    Eligibility,
    Granted,
    Happened,
    HeldBy,
    HolderKind,
    LiabilityRow,
    NewTemplate,
    NewVoucherBatch,
    Person,
    Redeemed,
    Returned,
    Search,
    Template,
    Voucher,
    VoucherBatch,
    VoucherEvent,
    VoucherKind,
    VoucherSearch,
    VoucherStatus,
)

__all__ = [
    "LOCK_FOR",
    "OUTSTANDING",
    "Ask",
    "BatchSource",
    "Eligibility",
    "FindOutcome",
    "FundedRow",
    "Granted",
    "Happened",
    "HeldBy",
    "HolderKind",
    "LiabilityRow",
    "Loaded",
    "Mint",
    "NewTemplate",
    "NewVoucherBatch",
    "Person",
    "Redeemed",
    "Returned",
    "Search",
    "Telling",
    "Template",
    "Voucher",
    "VoucherBatch",
    "VoucherEvent",
    "VoucherKind",
    "VoucherSearch",
    "VoucherStatus",
    "assign_vouchers",
    "cancel_batch",
    "cancel_voucher",
    "check_use",
    "claim_by_code",
    "claim_once",
    "compile_template",
    "create_batch",
    "create_template",
    "end_template",
    "expire_vouchers",
    "find_by_code",
    "get_batch",
    "get_template",
    "get_voucher",
    "holder_of",
    "import_codes",
    "issue_grants",
    "list_batches",
    "list_templates",
    "list_voucher_events",
    "list_vouchers",
    "load_all_templates",
    "load_voucher",
    "lock_vouchers",
    "read_out_codes",
    "read_vouchers_named",
    "report_funding",
    "report_liability",
    "return_vouchers",
    "reveal_code",
    "revoke_grants",
    "run_batch",
    "settle_vouchers",
    "sweep_locks",
    "transfer_voucher",
    "unfinished_batches",
]
