"""A payment with a draft, purely: its budgets, its control group, and what it sees of the payment as it was."""

from datetime import UTC, datetime
from uuid import UUID

from msgspec.structs import replace
from tests.unit.promotion_facts import basket, campaign, compiled, off, percent

from kaquan.payments.kept import Kept, KeptUse, read_kept, write_kept
from kaquan.payments.limits import AMOUNT_ALONE, Maxima, Use
from kaquan.payments.part import uses_back
from kaquan.payments.seen import read_seen, see_basket
from kaquan.payments.shadow import Fate, price_shadow
from kaquan.promotions import (
    DAY_CAP_ID,
    EMPTY,
    Applied,
    Budget,
    BudgetMetric,
    BudgetReturn,
    Funder,
    FunderKind,
    Line,
    Past,
    Share,
    StackingPolicy,
)
from kaquan.promotions.compile import budget_id
from kaquan.promotions.replay import Key, for_issuers
from kaquan.promotions.shadow import Was

DRAFT = campaign().id
TWO = Budget(name="两次", metric=BudgetMetric.COUNT, maximum=2)
KEY = Key(budget_id(DRAFT, "两次"), None, "")


def test_a_draft_is_held_to_counters_of_its_own() -> None:
    book = compiled(off(), budgets=(TWO,))
    used: dict[Key, tuple[int, int]] = {}
    # that the version in force has nothing left is nothing to the draft
    exhausted = frozenset({KEY.budget_id})
    for fate, count in ((Fate.APPLIED, 1), (Fate.APPLIED, 2), (Fate.OVER_BUDGET, 2)):
        found = price_shadow(book, DRAFT, basket(100_00), exhausted=exhausted, is_sold=False, used=used)
        assert (found.fate, found.lacking) == (fate, (KEY,) if fate is Fate.OVER_BUDGET else ())
        for key, use in found.uses:
            fen, times = used.get(key, (0, 0))
            used[key] = (fen + use.amount_fen, times + 1)
        assert used[KEY][1] == count
        assert found.pricing.discount_fen == (10_00 if fate is Fate.APPLIED else 0)


def test_a_holder_without_room_in_the_day_gets_nothing_and_no_draft_changes_that() -> None:
    found = price_shadow(
        compiled(off()), DRAFT, basket(100_00), exhausted=frozenset({DAY_CAP_ID}), is_sold=False, used={}
    )
    assert (found.fate, found.pricing.discount_fen) == (Fate.SKIPPED, 0)
    assert [(one.offer, one.why) for one in found.skipped] == [("off", "offer_limit_reached")]


def test_a_holder_of_the_control_group_is_held_back() -> None:
    held = compiled(off(), control_bp=10_000)
    found = price_shadow(held, DRAFT, basket(100_00), exhausted=frozenset(), is_sold=False, used={})
    assert (found.fate, found.pricing.discount_fen) == (Fate.HELD_BACK, 0)


def test_what_was_seen_is_the_basket_and_holds_no_birthday_that_nobody_asks_for() -> None:
    bought = basket(60_00, 40_00)
    bought = bought._replace(holder=bought.holder._replace(birthday=(5, 1), segments=frozenset({"a"})))
    seen = read_seen(
        see_basket(bought, None, issuer_id=UUID(int=3), drafts=EMPTY, exhausted=frozenset({KEY.budget_id}))
    )
    again = seen.basket(bought.transaction_id, ())
    assert again == bought._replace(holder=bought.holder._replace(birthday=None), vouchers=())
    assert seen.exhausted == (KEY.budget_id,)


def test_what_was_in_force_is_what_was_published_then() -> None:
    def at(day: int) -> datetime:
        return datetime(2026, 5, day, tzinfo=UTC)

    one, two = campaign(off()), replace(campaign(percent()), version=2)
    past = Past(
        (Was(at(10), None, two), Was(at(5), at(10), one)),
        ((at(1), StackingPolicy()), (at(7), StackingPolicy(max_offers=1))),
    )
    issuer = one.terms.issuer_id
    assert past.at(at(4), issuer) == ([], StackingPolicy())
    assert past.at(at(9), issuer) == ([one], StackingPolicy(max_offers=1))
    assert past.at(at(10), issuer)[0] == [two]
    assert past.at(at(10), UUID(int=9))[0] == []


def test_offers_are_for_the_cards_of_their_issuer() -> None:
    mine, red = campaign(off()), UUID(int=0xED)
    (found,) = for_issuers([mine], {mine.terms.issuer_id: frozenset({red})})
    assert [offer.conditions.programme_ids for offer in found.terms.offers] == [frozenset({red})]
    (without,) = for_issuers([mine], {mine.terms.issuer_id: frozenset()})
    assert without.terms.offers == ()
    assert for_issuers([mine], {}) == []


def test_what_comes_back_of_uses() -> None:
    funder = Funder(FunderKind.ISSUER, None, 10_000)
    share = Share(1, DRAFT, "满减", None, funder, 10_00)
    uses = tuple(
        KeptUse(UUID(int=n), Use(UUID(int=n), 10_00, 0, 0, 0, Maxima(), True), how, DRAFT if n else None)
        for n, how in enumerate(BudgetReturn)
    )
    kept = Kept(
        (Line(1, "", frozenset(), 1, 100_00),), (0,), (Applied(DRAFT, 1, "满减", None, 10_00),), (share,), (), uses
    )
    assert read_kept(write_kept(kept)) == kept
    part = uses_back(kept, ((0, 4_00),), (), everything=False)
    assert [(use.key.int, use.amount_fen, use.maxima) for use in part] == [(1, 4_00, AMOUNT_ALONE)]
    rest = uses_back(kept, ((0, 6_00),), (), everything=True)
    assert [(use.key.int, use.amount_fen, use.maxima) for use in rest] == [(0, 10_00, Maxima()), (1, 6_00, Maxima())]
    assert uses_back(kept, (), (), everything=False) == ()
