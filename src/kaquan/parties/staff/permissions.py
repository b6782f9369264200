"""What a role may do."""

from collections.abc import Iterable
from uuid import UUID

from kaquan.kit.outcomes import Refusal
from kaquan.parties.outcomes import STORE_OUT_OF_SCOPE
from kaquan.parties.staff.types import Role
from kaquan.parties.types import Principal, Scope

_TILL = frozenset(
    {
        Scope.PAYMENTS_WRITE,
        Scope.PAYMENTS_READ,
        Scope.LOADS_WRITE,
        Scope.CARDS_READ,
        Scope.SALES_WRITE,
        Scope.SALES_READ,
    }
)
_READS = frozenset(scope for scope in Scope if scope.endswith(":read"))

_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.CASHIER: _TILL,
    Role.STORE_MANAGER: _TILL | {Scope.REFUNDS_WRITE, Scope.SALES_REFUND, Scope.MERCHANTS_READ, Scope.CUSTOMERS_READ},
    Role.SERVICE_DESK: frozenset(
        {
            Scope.PAYMENTS_READ,
            Scope.REFUNDS_WRITE,
            Scope.SALES_WRITE,
            Scope.SALES_READ,
            Scope.SALES_REFUND,
            Scope.CARDS_READ,
            Scope.CARDS_WRITE,
            Scope.PROGRAMMES_READ,
            Scope.MERCHANTS_READ,
            Scope.CUSTOMERS_READ,
            Scope.CUSTOMERS_WRITE,
            Scope.CARDS_CLOSE,
            Scope.PAYOUTS_READ,
            Scope.APPROVALS_READ,
            Scope.APPROVALS_PROPOSE,
            Scope.VOUCHERS_READ,
            Scope.VOUCHERS_WRITE,
            Scope.POINTS_READ,
            Scope.POINTS_WRITE,
        }
    ),
    Role.OPERATOR: frozenset(
        {
            Scope.PAYMENTS_READ,
            Scope.ADJUSTMENTS_WRITE,
            Scope.SALES_READ,
            Scope.CARDS_READ,
            Scope.CARDS_WRITE,
            Scope.PROGRAMMES_READ,
            Scope.PROGRAMMES_WRITE,
            Scope.LIMITS_WRITE,
            Scope.CAMPAIGNS_WRITE,
            Scope.CAMPAIGNS_READ,
            Scope.POLICY_READ,
            Scope.POLICY_WRITE,
            Scope.MERCHANTS_READ,
            Scope.MERCHANTS_WRITE,
            Scope.CUSTOMERS_READ,
            Scope.LEDGER_READ,
            Scope.PAYOUTS_READ,
            Scope.PAYOUTS_WRITE,
            Scope.NOTICES_READ,
            Scope.NOTICES_WRITE,
            Scope.APPROVALS_READ,
            Scope.APPROVALS_PROPOSE,
            Scope.VOUCHERS_READ,
            Scope.VOUCHERS_WRITE,
            Scope.POINTS_READ,
            Scope.POINTS_WRITE,
        }
    ),
    # decides on what others propose, and sees what it is about; does nothing itself
    Role.APPROVER: frozenset(
        {
            Scope.APPROVALS_READ,
            Scope.APPROVALS_DECIDE,
            Scope.POLICY_READ,
            Scope.POLICY_APPROVE,
            Scope.CAMPAIGNS_READ,
            Scope.CARDS_READ,
            Scope.PROGRAMMES_READ,
            Scope.MERCHANTS_READ,
            Scope.CUSTOMERS_READ,
            Scope.PAYMENTS_READ,
            Scope.SALES_READ,
            Scope.PAYOUTS_READ,
            Scope.LEDGER_READ,
            Scope.VOUCHERS_READ,
            Scope.POINTS_READ,
        }
    ),
    Role.AUDITOR: _READS,
    Role.ADMIN: frozenset(Scope),
}


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """What somebody with these roles may do."""
    return frozenset[str]().union(*(_SCOPES[role] for role in roles))


def may_act_at(principal: Principal, store_id: UUID) -> Refusal | None:
    """None when whoever asks may act at a store. Refused: ``store_out_of_scope``."""
    if principal.store_ids is None or store_id in principal.store_ids:
        return None
    return STORE_OUT_OF_SCOPE.refuse()
