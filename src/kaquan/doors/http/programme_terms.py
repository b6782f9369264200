"""Changes of a programme's terms, and their versions, in requests and answers."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kaquan.cards import Activation, CardClass, OperatingMode, Pocket, ProgrammeChange, TermsVersion
from kaquan.cards.create_programme import MAX_DORMANCY_MONTHS, MAX_LOSS_EFFECTIVE_S, MAX_PIN_ATTEMPTS
from kaquan.doors.http.fields import AmountFen, ApprovalId
from kaquan.doors.http.programme_fields import (
    AuthorizationTtl,
    CapFen,
    ClauseFields,
    CustomRange,
    Days,
    Denominations,
    FeeFields,
    RestrictionFields,
    ShareBp,
    ValidDays,
    read_range,
    read_restriction,
    show_restriction,
)
from kaquan.doors.http.reading import same_fields
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.money import MAX_FEN


class ClauseChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clauses that change; one that is left out stays as it is, null takes it away."""

    custody_share_bp: ShareBp | UnsetType | None = UNSET
    guarantee_share_bp: ShareBp | UnsetType | None = UNSET
    cooling_off_days: Days | UnsetType | None = UNSET
    cooling_off_refund_due_days: Days | UnsetType | None = UNSET
    refund_due_days: Days | UnsetType | None = UNSET
    cash_refund_cap_fen: CapFen | UnsetType | None = UNSET
    closing_notice_days: Days | UnsetType | None = UNSET
    terms_change_notice_days: Days | UnsetType | None = UNSET
    fee_change_notice_days: Days | UnsetType | None = UNSET
    rebate_cap_bp: ShareBp | UnsetType | None = UNSET
    loss_report_required: bool | UnsetType | None = UNSET
    overdraft_allowed: bool | UnsetType | None = UNSET
    credit_card_allowed: bool | UnsetType | None = UNSET
    forfeit_at_expiry_allowed: bool | UnsetType | None = UNSET
    no_refund_clause_allowed: bool | UnsetType | None = UNSET
    transfer_ban_allowed: bool | UnsetType | None = UNSET
    replacement_exclusion_allowed: bool | UnsetType | None = UNSET
    unilateral_change_allowed: bool | UnsetType | None = UNSET
    interest_to_holders_allowed: bool | UnsetType | None = UNSET


class FeeChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fees that change; one that is left out stays as it is."""

    replacement_fen: CapFen | UnsetType = UNSET
    issue_fen: CapFen | UnsetType = UNSET
    load_fen: CapFen | UnsetType = UNSET
    dormancy_fen: CapFen | UnsetType = UNSET
    dormancy_after_months: Annotated[int, Meta(ge=0, le=MAX_DORMANCY_MONTHS)] | UnsetType = UNSET


assert FeeChange.__struct_fields__ == FeeFields.__struct_fields__, "every fee can change"
assert ClauseChange.__struct_fields__ == ClauseFields.__struct_fields__, "every clause can change"


class TermsChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms that change; one that is left out stays as it is, null takes it away.

    ``approval_id`` is an approval of the kind ``programme_change`` for this programme. Its payload is this body without
    ``approval_id``, to the letter.
    """

    approval_id: ApprovalId
    spend_order: list[Pocket] | UnsetType = UNSET
    max_balance_fen: AmountFen | UnsetType | None = UNSET
    authorization_ttl_s: AuthorizationTtl | UnsetType = UNSET
    principal_valid_days: ValidDays | UnsetType | None = UNSET
    bonus_valid_days: ValidDays | UnsetType | None = UNSET
    pin_required_above_fen: Annotated[int, Meta(ge=0, le=MAX_FEN)] | UnsetType | None = UNSET
    pin_max_attempts: Annotated[int, Meta(ge=1, le=MAX_PIN_ATTEMPTS)] | UnsetType = UNSET
    loss_effective_within_s: Annotated[int, Meta(ge=0, le=MAX_LOSS_EFFECTIVE_S)] | UnsetType = UNSET
    operating_mode: OperatingMode | UnsetType | None = UNSET
    card_class: CardClass | UnsetType | None = UNSET
    denominations_fen: Denominations | UnsetType = UNSET
    custom_range_fen: CustomRange | UnsetType | None = UNSET
    restricted_to: RestrictionFields | UnsetType | None = UNSET
    clauses: ClauseChange | UnsetType = UNSET
    fees: FeeChange | UnsetType = UNSET
    activation: Activation | UnsetType = UNSET


class TermsVersionView(msgspec.Struct, frozen=True):
    """One version of the terms. ``changed_by`` is an API key or ``system``; ``approval_id`` is null for the first."""

    version: int
    effective_from: datetime
    changed_by: str
    approval_id: ApprovalId | None
    spend_order: list[Pocket]
    max_balance_fen: int | None
    authorization_ttl_s: int
    principal_valid_days: int | None
    bonus_valid_days: int | None
    pin_required_above_fen: int | None
    pin_max_attempts: int
    loss_effective_within_s: int
    operating_mode: OperatingMode | None
    card_class: CardClass | None
    denominations_fen: list[int]
    custom_range_fen: list[int] | None
    restricted_to: RestrictionFields | None
    clauses: ClauseFields
    fees: FeeFields
    activation: Activation


def show_version(made: TermsVersion) -> TermsVersionView:
    terms = made.terms
    return TermsVersionView(
        version=made.version,
        effective_from=made.effective_from,
        changed_by=made.changed_by,
        approval_id=None if made.approval_id is None else show_id(Prefix.APPROVAL, made.approval_id),
        spend_order=list(terms.spend_order),
        max_balance_fen=terms.max_balance_fen,
        authorization_ttl_s=terms.authorization_ttl_s,
        principal_valid_days=terms.principal_valid_days,
        bonus_valid_days=terms.bonus_valid_days,
        pin_required_above_fen=terms.pin_required_above_fen,
        pin_max_attempts=terms.pin_max_attempts,
        loss_effective_within_s=terms.loss_effective_within_s,
        operating_mode=terms.operating_mode,
        card_class=terms.card_class,
        denominations_fen=list(terms.denominations_fen),
        custom_range_fen=None if terms.custom_range_fen is None else list(terms.custom_range_fen),
        restricted_to=show_restriction(terms.restricted_to),
        clauses=same_fields(terms.clauses, ClauseFields),
        fees=same_fields(terms.fees, FeeFields),
        activation=terms.activation,
    )


def read_change(asked: TermsChange) -> ProgrammeChange:
    """The change as the room takes it."""
    given: dict[str, Any] = {
        name: value for name in ProgrammeChange.__struct_fields__ if (value := getattr(asked, name)) is not UNSET
    }
    for name in ("spend_order", "denominations_fen"):
        if name in given:
            given[name] = tuple(given[name])
    if "custom_range_fen" in given:
        given["custom_range_fen"] = read_range(given["custom_range_fen"])
    if "restricted_to" in given:
        given["restricted_to"] = read_restriction(given["restricted_to"])
    for name in {"clauses", "fees"} & given.keys():
        fields = msgspec.structs.asdict(given[name])
        given[name] = {field: value for field, value in fields.items() if value is not UNSET}
    return ProgrammeChange(**given)
