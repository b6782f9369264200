"""The effect of a template: an offer of a promotions kind, checked when the template is made, compiled for pricing."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from kaquan.kit.outcomes import Refusal
from kaquan.promotions import CompiledOffer, Conditions, Offer, Stacking, compile_offer, find_kinds
from kaquan.promotions.kind import PurchaseKind
from kaquan.promotions.kinds.amount_off import AmountOff, Tier
from kaquan.vouchers.outcomes import invalid
from kaquan.vouchers.types import NewTemplate, Template, VoucherKind


def check_effect(new: NewTemplate) -> Refusal | None:
    """Whether the offer of a template can be. Refused: ``invalid_field`` (offer_kind, offer_params, offer_conditions,
    offer_stacking, face_fen)."""
    kind = find_kinds().get(new.offer_kind)
    if not isinstance(kind, PurchaseKind):
        names = ", ".join(sorted(name for name, one in find_kinds().items() if isinstance(one, PurchaseKind)))
        return invalid("offer_kind", f"must be one of: {names}", allowed_zh=f"应为以下之一：{names}")
    for field, type_, value in (
        ("offer_params", kind.params, new.offer_params),
        ("offer_conditions", Conditions, new.offer_conditions),
        ("offer_stacking", Stacking, new.offer_stacking),
    ):
        if b"\\u0000" in msgspec.json.encode(value):
            return invalid(field, "must not contain NUL", allowed_zh="不得含有空字符")  # which PostgreSQL cannot hold
        try:
            msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            return invalid(field, str(error), allowed_zh=str(error))
    params = msgspec.convert(new.offer_params, kind.params)
    for fault in kind.check(params):
        return invalid(f"offer_params.{fault.field}", fault.allowed, allowed_zh=fault.allowed_zh)
    if isinstance(params, AmountOff) and not params.each_time and new.kind is VoucherKind.VALUE:
        most_fen = params.tiers[-1].off_fen
        if new.face_fen != most_fen:
            return invalid(
                "face_fen", f"must be what it takes off: {most_fen}", allowed_zh=f"应等于减免金额 {most_fen}"
            )
    return None


def compile_template(template: Template, *, face_fen: int | None = None) -> CompiledOffer:
    """The offer that a voucher of this template is, for :class:`kaquan.promotions.VoucherInHand`.

    ``face_fen`` is the voucher's own face value where it differs from its template's (a random packet, an instalment):
    what it takes off is then that. When a voucher can be used is the voucher's, not the offer's.
    """
    kind = find_kinds()[template.offer_kind]
    params: Any = msgspec.convert(template.offer_params, kind.params)
    if face_fen not in (None, template.face_fen) and isinstance(params, AmountOff) and len(params.tiers) == 1:
        assert face_fen is not None
        params = replace(params, tiers=(Tier(params.tiers[0].from_fen, face_fen),))
    offer = Offer(
        name=template.code,
        kind=template.offer_kind,
        params=params,
        conditions=msgspec.convert(template.offer_conditions, Conditions),
        stacking=msgspec.convert(template.offer_stacking, Stacking),
    )
    return compile_offer(
        offer,
        campaign_id=template.id,
        version=1,
        code=template.code,
        # the wall clock, of all days
        starts_at=datetime.min,  # noqa: DTZ901
        ends_at=datetime.max,  # noqa: DTZ901
        funders=template.funders,
    )
