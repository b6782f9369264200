"""When a holder who wishes may be refunded at all (CN-MP-RED-01)."""

from datetime import date

import pytest
from tests.unit.test_refund_quote import RULES

from kaquan.closing.close import check_redemption
from kaquan.closing.days import months_after
from kaquan.closing.refund_rules import Limit, Rule
from kaquan.kit.outcomes import Refusal

RULE = Rule("CN-MP-RED-01", "P11")
WAITS = RULES._replace(wait=Limit(3, RULE))


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 1, 15), 3, date(2026, 4, 15)),
        (date(2025, 11, 30), 3, date(2026, 2, 28)),
        (date(2023, 11, 30), 3, date(2024, 2, 29)),
        (date(2025, 12, 1), 12, date(2026, 12, 1)),
        (date(2025, 12, 31), 0, date(2025, 12, 31)),
    ],
)
def test_months_end_where_the_calendar_does(day: date, months: int, then: date) -> None:
    assert months_after(day, months) == then


def test_a_card_is_redeemed_from_three_months_after_its_purchase() -> None:
    bought = date(2026, 1, 15)
    early = check_redemption(WAITS, bought, today=date(2026, 4, 14))
    assert isinstance(early, Refusal)
    assert (early.code, early.field) == ("redemption_too_early", "cause")
    for text in (early.message("en"), early.message("zh")):
        assert "2026-04-15" in text
        assert "CN-MP-RED-01" in text
        assert "P11" in text
    assert check_redemption(WAITS, bought, today=date(2026, 4, 15)) is None
    assert check_redemption(RULES, bought, today=bought) is None


def test_a_card_that_the_law_lets_nobody_redeem_never_is() -> None:
    barred = check_redemption(WAITS._replace(barred=RULE), date(2020, 1, 1), today=date(2026, 1, 1))
    assert isinstance(barred, Refusal)
    assert (barred.code, barred.field) == ("redemption_not_allowed", "cause")
