"""The people who work for a tenant, what each may do and where, and what needs the eyes of two of them.

It never does what an approval allows: who does it claims the approval in the transaction of the deed itself.
"""

from kaquan.parties.staff.claim import Approve, check_approval, claim_approval
from kaquan.parties.staff.decide import approve, reject, withdraw
from kaquan.parties.staff.expire import expire_approvals
from kaquan.parties.staff.find import get_approval, list_approvals
from kaquan.parties.staff.operators import (
    change_operator,
    create_operator,
    every_operator,
    get_operator,
    list_operators,
)
from kaquan.parties.staff.permissions import may_act_at, scopes_of
from kaquan.parties.staff.propose import hash_payload, propose
from kaquan.parties.staff.types import (
    Approval,
    ApprovalKind,
    ApprovalSearch,
    ApprovalStatus,
    NewApproval,
    Operator,
    OperatorChange,
    OperatorSearch,
    OperatorStatus,
    Role,
)

__all__ = [
    "Approval",
    "ApprovalKind",
    "ApprovalSearch",
    "ApprovalStatus",
    "Approve",
    "NewApproval",
    "Operator",
    "OperatorChange",
    "OperatorSearch",
    "OperatorStatus",
    "Role",
    "approve",
    "change_operator",
    "check_approval",
    "claim_approval",
    "create_operator",
    "every_operator",
    "expire_approvals",
    "get_approval",
    "get_operator",
    "hash_payload",
    "list_approvals",
    "list_operators",
    "may_act_at",
    "propose",
    "reject",
    "scopes_of",
    "withdraw",
]
