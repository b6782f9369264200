"""What several kinds give beside a discount."""

from uuid import UUID

import msgspec

from kaquan.promotions.kind import Fault, Gift
from kaquan.promotions.tiers import check_amount, check_count
from kaquan.promotions.types import GrantKind


class VoucherGift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``count`` vouchers of a template with a face value of ``face_fen`` each; how long they are valid is told here,
    so that the ceiling of the house can be held when the campaign is published."""

    template_id: UUID
    face_fen: int
    valid_days: int
    count: int = 1

    @property
    def worth_fen(self) -> int:
        """Their face value together."""
        return self.face_fen * self.count

    def times(self, times: int) -> Gift:
        """So many times as many."""
        return Gift(GrantKind.VOUCHERS, self.worth_fen * times, self.template_id, self.count * times)


def check_gift(field: str, gift: VoucherGift) -> list[Fault]:
    """A face value, a number and a life."""
    return [
        *check_amount(f"{field}.face_fen", gift.face_fen),
        *check_count(f"{field}.count", gift.count, most=1_000),
        *check_count(f"{field}.valid_days", gift.valid_days, most=36_500),
    ]
