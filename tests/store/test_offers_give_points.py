"""Offers that give points, refunds that keep back what spent points are worth, authorizations that points pay."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace
from tests.store.test_offers import BANK, THREE_WAYS, balances, buy, campaign, lines, put_in_force, ten_off
from tests.store.test_offers_points import give_points, held
from tests.store.test_offers_vouchers import Shop
from tests.town import HandClock, Told, Town, audits_hold

from kaquan import payments, points, vouchers
from kaquan.audit import run_audits
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey, hash_key
from kaquan.payments import Load, Refund, Spend
from kaquan.payments.expire import expire_overdue
from kaquan.payments.instalments import give_instalments
from kaquan.payments.price import funding_of
from kaquan.points import ClawbackMode, NewBenefit, expire_points, mature_points
from kaquan.promotions import Budget, BudgetMetric, Campaign, FunderKind, Offer, OnReturn
from kaquan.promotions.kinds.invitation import Invitation
from kaquan.promotions.kinds.points_gift import PointsGift, Tier
from kaquan.vouchers import VoucherSearch


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    town = await Town.found(database, clock=HandClock())
    yield town
    await town.close()


def fifty_points(from_fen: int = 100_00, *, name: str = "满送积分", **how: object) -> Offer:
    params = PointsGift(tiers=(Tier(from_fen, 50),), each_time=True)
    return Offer(name=name, kind="points_gift", params=params, **how)  # type: ignore[arg-type]


async def offered(town: Town, of: Campaign) -> dict[str, int]:
    """How many points each funder has given."""
    merchant = town.places[0].merchant_id
    given = {}
    for kind, party in {"issuer": town.issuer.id, "merchant": merchant, "party": BANK}.items():
        found = await town.held(funding_of(of.id, FunderKind(kind), party).id)
        given[kind] = -found["points_offered"].posted_fen if "points_offered" in found else 0
    return given


async def authorize(town: Town, card_id: UUID, *amounts: int, points: int = 0) -> Told:
    spend = Spend(card_id, sum(amounts), town.places[0], town._now(), None, True, 3_600, lines=lines(*amounts))
    return await town.ask(spend._replace(points=points))


async def test_an_offer_gives_points_with_the_purchase_that_whoever_funds_it_pays(town: Town, database: str) -> None:
    await give_points(town, pending_days=7, valid_days=30)
    spring = campaign(town, fifty_points(funders=THREE_WAYS))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=900_00)
    before = await balances(town)
    told = await buy(town, card, 120_00, 130_00)
    assert (told.status, told.body["amount_fen"], told.body["points_earned"]) == (201, 250_00, 250 + 100)
    assert await held(town, card) == {"points_pending": 350}
    assert await offered(town, spring) == {"issuer": 50, "merchant": 30, "party": 20}
    await audits_hold(database)

    # half of the goods at list price: half of what they earned, half of what was given for them
    part = await town.ask(Refund(told.payment_id, None, town._now(), lines=((1, 120_00), (2, 5_00))))
    assert part.body["points_earned"] == -(125 + 50)
    assert sum((await offered(town, spring)).values()) == 50
    await audits_hold(database)
    await town.refund(told.payment_id)
    assert await balances(town) == before
    await audits_hold(database)

    again = await buy(town, card, 100_00)
    assert again.body["points_earned"] == 150
    app = town.apps[0]
    town.apps[0].clock.move(timedelta(days=9))  # type: ignore[attr-defined]
    assert await mature_points(app.pool, app.clock, town.ids, slots=app.slots) == 2
    assert await held(town, card) == {"points": 150}
    await audits_hold(database)


async def test_what_an_offer_lets_the_holder_keep_stays(town: Town, database: str) -> None:
    await give_points(town)
    put_in_force(town, campaign(town, fifty_points(on_return=OnReturn.KEEP)))
    card = await town.new_card(load_fen=900_00)
    told = await buy(town, card, 100_00)
    assert await held(town, card) == {"points": 150}
    back = await town.refund(told.payment_id)
    assert back.body["points_earned"] == -100
    assert await held(town, card) == {"points": 50}
    await audits_hold(database)


async def test_below_the_threshold_the_points_of_an_offer_go(town: Town, database: str) -> None:
    await give_points(town)
    put_in_force(town, campaign(town, fifty_points(on_return=OnReturn.THRESHOLD)))
    card = await town.new_card(load_fen=900_00)
    told = await buy(town, card, 60_00, 40_00)
    assert await held(town, card) == {"points": 150}
    await town.ask(Refund(told.payment_id, None, town._now(), lines=((2, 1_00),)))
    assert await held(town, card) == {"points": 99}
    await audits_hold(database)


async def test_without_terms_of_points_an_offer_of_points_is_left_out(town: Town, database: str) -> None:
    put_in_force(town, campaign(town, fifty_points(), ten_off(name="减", off_fen=1_00)))
    card = await town.new_card(load_fen=900_00)
    told = await buy(town, card, 100_00)
    assert (told.body["amount_fen"], told.body.get("points_earned")) == (99_00, None)
    assert told.body["pricing"]["grants"] == []
    spend = Spend(card, 100_00, town.places[0], town._now(), lines=lines(100_00))
    quote = await town.apps[0].desk.quote(town.book_id, spend, held=())
    assert [one.why for one in quote.skipped] == ["offer_without_points"]  # type: ignore[union-attr]
    await audits_hold(database)


async def test_a_budget_of_points_ends_at_exactly_its_points(town: Town, database: str) -> None:
    await give_points(town)
    budget = Budget(name="积分", metric=BudgetMetric.POINTS, maximum=120)
    put_in_force(town, campaign(town, fifty_points(), budgets=(budget,)))
    cards = [await town.new_card(load_fen=900_00) for _ in range(6)]
    told = await asyncio.gather(*(buy(town, card, 100_00) for card in cards))
    assert sorted(one.body["points_earned"] for one in told) == [100] * 4 + [150] * 2
    assert await town.count("payments_exhausted") == 1
    # more at once than the budget ever has
    assert (await buy(town, cards[0], 300_00)).body["points_earned"] == 300
    with_offer = next(one for one in told if one.body["points_earned"] == 150)
    await town.refund(with_offer.payment_id)
    await asyncio.sleep(1.1)
    assert (await buy(town, cards[1], 100_00)).body["points_earned"] == 150
    await audits_hold(database)


async def test_an_invitation_gives_points_to_both(database: str) -> None:
    town = await Town.found(database, clock=HandClock(), slots=(0, 7))
    await give_points(town, pending_days=1)
    gives = Invitation(from_fen=100_00, inviter_points=200, invited_points=100)
    spring = campaign(town, Offer(name="邀请", kind="invitation", params=gives, funders=THREE_WAYS))
    put_in_force(town, spring)
    friend = await town.new_card()
    for _ in range(12):
        card = await town.new_card()
        if town.slot_of(card) != town.slot_of(friend):
            break
    told = await town.ask(Load(card, 100_00, 0, town._now(), invited_by=friend))
    assert (told.status, told.body["points_earned"]) == (201, 100)
    assert (await held(town, card), await held(town, friend)) == ({"points_pending": 100}, {})
    app = town.apps[0]
    for _ in range(2):
        await give_instalments(app.pool, app.clock, town.ids, app.programmes.get, slots=app.slots)
    assert await held(town, friend) == {"points_pending": 200}
    # a load is made at no merchant: its share is the issuer's
    assert await offered(town, spring) == {"issuer": 240, "merchant": 0, "party": 60}
    await audits_hold(database)
    app.clock.move(timedelta(days=3))  # type: ignore[attr-defined]
    assert await mature_points(app.pool, app.clock, town.ids, slots=app.slots) == 2
    assert (await held(town, card), await held(town, friend)) == ({"points": 100}, {"points": 200})
    await audits_hold(database)
    await town.close()


@pytest.mark.parametrize("mode", list(ClawbackMode))
async def test_points_that_were_spent_are_owed_let_go_or_kept_back(
    town: Town, database: str, mode: ClawbackMode
) -> None:
    """A purchase earns 200 points, which pay 20.00 of another; then both come back."""
    await give_points(town, clawback=mode)
    card = await town.new_card(load_fen=900_00)
    first = await town.purchase(card, 200_00)
    spent = await buy(town, card, 20_00, points=200)
    assert (spent.body["amount_fen"], await held(town, card)) == (0, {})
    part = await town.refund(first.payment_id, 50_00)
    worth = 5_00 if mode is ClawbackMode.REFUND else 0
    assert (part.body["amount_fen"], part.body.get("withheld_fen", 0)) == (50_00, worth)
    assert part.body["pockets"] == [{"pocket": "principal", "amount_fen": 50_00 - worth}]
    await audits_hold(database)
    rest = await town.refund(first.payment_id)
    assert (rest.body["amount_fen"], rest.body.get("withheld_fen", 0)) == (150_00, worth * 3)
    assert (await town.refund(first.payment_id)).code == "refund_exceeds_payment"
    assert await town.available_fen(card) == 900_00 - worth * 4 == rest.body["balance_fen"]
    expected = {"points_debt": 200} if mode is ClawbackMode.DEBT else {}
    assert await held(town, card) == expected
    await audits_hold(database)
    # what points paid comes back: the points were bought with what was kept back, were let go, or are owed
    await town.refund(spent.payment_id)
    now = await balances(town)
    if mode is ClawbackMode.DEBT:
        assert await held(town, card) == {"points": 200, "points_debt": 200}
    else:
        assert await held(town, card) == {"points": 200}
    moved = {name: one[0] for name, one in now.items() if name[1] in ("card_principal", "points_expense")}
    if mode is ClawbackMode.REFUND:
        assert moved == {(card.hex, "card_principal"): 880_00, (town.issuer.id.hex, "points_expense"): 20_00}
    else:
        assert moved == {(card.hex, "card_principal"): 900_00}
    await audits_hold(database)


async def test_a_refund_keeps_back_no_more_than_it_brings(town: Town, database: str) -> None:
    await give_points(town, clawback=ClawbackMode.REFUND)
    put_in_force(town, campaign(town, Offer(
        name="多送", kind="points_gift", params=PointsGift(tiers=(Tier(1_00, 900),)))))  # fmt: skip
    card = await town.new_card(load_fen=900_00)
    told = await buy(town, card, 10_00)
    assert told.body["points_earned"] == 910
    put_in_force(town)
    await buy(town, card, 91_00, points=910)
    back = await town.refund(told.payment_id)
    assert (back.body["amount_fen"], back.body["withheld_fen"], back.body["pockets"]) == (10_00, 10_00, [])
    assert await held(town, card) == {}
    await audits_hold(database)


async def test_an_authorization_holds_points_and_captures_what_it_takes(town: Town, database: str) -> None:
    await give_points(town, pending_days=7)
    spring = campaign(town, fifty_points(funders=THREE_WAYS))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=900_00)
    await town.purchase(card, 203_00)
    app = town.apps[0]
    app.clock.move(timedelta(days=9))  # type: ignore[attr-defined]
    await mature_points(app.pool, app.clock, town.ids, slots=app.slots)
    assert await held(town, card) == {"points": 303}
    before = await balances(town)

    opened = await authorize(town, card, 60_00, 40_00, points=200)
    assert (opened.status, opened.body.get("points_earned")) == (201, None)
    assert (await town.held(points.member_id(card)))["points"].reserved_fen == 200
    assert (await buy(town, card, 60_00, points=200)).code == "points_too_few"
    await audits_hold(database)
    await town.void(opened.payment_id)
    assert await balances(town) == before
    await audits_hold(database)

    opened = await authorize(town, card, 60_00, 40_00, points=200)
    first = await town.capture(opened.payment_id, 30_00, final=False)
    assert (first.status, first.body["points_earned"]) == (200, 30 + 18)
    await audits_hold(database)
    back = await town.refund(opened.payment_id, 10_00)
    assert (back.status, back.body["pricing"]["points"]) == (201, 25)
    await audits_hold(database)
    second = await town.capture(opened.payment_id, 20_00)
    assert (second.status, second.body["status"]) == (200, "completed")
    kept = await town.held(points.member_id(card))
    assert kept["points"].reserved_fen == 0
    await audits_hold(database)
    await town.refund(opened.payment_id)
    assert await balances(town) == before
    assert await offered(town, spring) == {"issuer": 50, "merchant": 30, "party": 20}
    await audits_hold(database)


async def test_an_authorization_without_a_basket_earns_at_its_captures(town: Town, database: str) -> None:
    await give_points(town)
    card = await town.new_card(load_fen=300_00, bonus_fen=10_00)
    before = await balances(town)
    opened = await town.authorize(card, 50_00)
    assert await held(town, card) == {}
    first = await town.capture(opened.payment_id, 25_50, final=False)
    assert first.body["points_earned"] == 15  # the bonus pocket pays first and earns nothing
    await town.capture(opened.payment_id)
    assert await held(town, card) == {"points": 15 + 24}
    await town.refund(opened.payment_id, 25_00)
    await audits_hold(database)
    await town.refund(opened.payment_id)
    assert await held(town, card) == {}
    assert await balances(town) == before
    await audits_hold(database)


async def test_points_alone_pay_an_authorization_that_expires(town: Town, database: str) -> None:
    await give_points(town)
    card = await town.new_card(load_fen=300_00)
    await town.purchase(card, 200_00)
    before = await balances(town)
    opened = await authorize(town, card, 20_00, points=200)
    assert (opened.status, opened.body["amount_fen"]) == (201, 0)
    app = town.apps[0]
    app.clock.move(timedelta(hours=2))  # type: ignore[attr-defined]
    assert await expire_overdue(app.desk, app.pool, app.slots, app.clock.now()) == 1
    assert await balances(town) == before

    opened = await authorize(town, card, 20_00, points=200)
    taken = await town.capture(opened.payment_id)
    assert (taken.status, await held(town, card)) == (200, {})
    back = await town.refund(opened.payment_id)
    assert (back.status, back.body["pricing"]["points"]) == (201, 200)
    assert await balances(town) == before
    await audits_hold(database)


async def test_points_are_spent_once_by_many_at_once(database: str) -> None:
    town = await Town.found(database, clock=HandClock(), processes=2)
    await give_points(town)
    card = await town.new_card(load_fen=900_00)
    await town.purchase(card, 200_00)
    for app in town.apps:
        await app.refresh()
    spend = Spend(card, 50_00, town.places[0], town._now(), lines=lines(50_00), points=200)
    told = await asyncio.gather(
        *(
            town.ask(spend._replace(authorize=n % 3 == 0, expires_in_s=60 if n % 3 == 0 else None), process=n % 2)
            for n in range(8)
        )
    )
    assert sorted(one.status for one in told) == [201] + [409] * 7
    assert {one.code for one in told if one.status != 201} == {"points_too_few"}
    await audits_hold(database)
    await town.close()


async def test_a_benefit_gives_vouchers_in_the_commit_that_takes_its_points(town: Town, database: str) -> None:
    await give_points(town)
    app, clock = town.apps[0], town.apps[0].clock
    assert isinstance(clock, HandClock)
    template = await Shop(town, clock).template()
    card, poor = await town.new_card(load_fen=900_00), await town.new_card(load_fen=900_00)
    await town.purchase(card, 200_00)
    new = NewBenefit(
        programme_id=town.programme.id, code="代金券", name="100积分换2张券", cost_points=100, stock=2,
        template_id=template.id, voucher_count=2,
    )  # fmt: skip
    args = (app.pool, app.clock, town.ids)
    gone = await payments.create_benefit(*args, book_id=town.book_id, new=replace(new, template_id=town.ids.new()))
    assert isinstance(gone, Refusal)
    assert (gone.code, gone.field) == ("not_found", "template_id")
    benefit = await payments.create_benefit(*args, book_id=town.book_id, new=new)
    assert not isinstance(benefit, Refusal)

    async def take(card_id: UUID, key: str) -> Answer | Refusal:
        return await payments.take_benefit(
            app.pool, town.hand(), book_id=town.book_id, slots=app.slots, card_id=card_id, benefit_id=benefit.id,
            birth_month=None, key=RequestKey(key, hash_key(town.book_id, key), bytes(32)),
            render=lambda deed: Answer(201, deed.id.hex.encode()),
        )  # fmt: skip

    async def has(card_id: UUID) -> int:
        found = await vouchers.list_vouchers(
            app.pool, book_id=town.book_id, slots=app.slots,
            search=VoucherSearch(holder_id=card_id),
        )  # fmt: skip
        assert not isinstance(found, Refusal)
        return len(found.data)

    told = await asyncio.gather(*(take(card, f"b{n}") for n in range(4)))
    assert sum(isinstance(one, Answer) for one in told) == 2
    assert {one.code for one in told if isinstance(one, Refusal)} <= {"points_benefit_gone", "points_too_few"}
    assert (await has(card), await held(town, card)) == (4, {})
    refused = await take(poor, "p")
    assert isinstance(refused, Refusal)
    assert await has(poor) == 0
    await audits_hold(database)
    found = await vouchers.list_vouchers(
        app.pool, book_id=town.book_id, slots=app.slots, search=VoucherSearch(holder_id=card)
    )
    paid = await buy(town, card, 50_00, voucher_ids=(found.data[0].id,))
    assert paid.body["amount_fen"] == 30_00
    await audits_hold(database)


async def test_tenders_that_were_altered_are_found(town: Town, database: str) -> None:
    await give_points(town)
    card = await town.new_card(load_fen=900_00)
    await town.purchase(card, 300_00)
    opened = await authorize(town, card, 100_00, points=100)
    await town.capture(opened.payment_id, 30_00, final=False)
    await town.refund(opened.payment_id, 10_00)
    await audits_hold(database)
    damage = (
        "UPDATE ledger_entry SET amount_fen = amount_fen + {} WHERE effect = 'capture' AND debit_account ="
        f" (SELECT id FROM ledger_account WHERE kind = 'points' AND owner_id = '{points.member_id(card)}')"
    )
    for by, holds in ((1, False), (-1, True)):
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            await connection.execute(damage.format(by).encode())
        report = await run_audits(database, names=["points_tenders"])
        assert report.holds is holds
        if not holds:
            ((finding,),) = [audit.findings for audit in report.audits]
            assert (finding.what, finding.expected, finding.actual) == ("points capture", 33, 34)


async def test_captures_refunds_and_a_void_at_once_keep_the_books(database: str) -> None:
    town = await Town.found(database, clock=HandClock(), processes=2)
    await give_points(town)
    spring = campaign(town, fifty_points(10_00, funders=THREE_WAYS))
    put_in_force(town, spring)
    card = await town.new_card(load_fen=900_00)
    await town.purchase(card, 123_00)
    for app in town.apps:
        await app.refresh()
    before = await balances(town)
    opened = await authorize(town, card, 70_00, 33_33, points=370)
    assert opened.status == 201
    told = await asyncio.gather(
        *(
            town.capture(opened.payment_id, fen, final=False, process=n % 2)
            for n, fen in enumerate((7_77, 11_11, 13_13))
        ),
        *(town.refund(opened.payment_id, fen, process=n % 2) for n, fen in enumerate((3_33, 5_55))),
        town.void(opened.payment_id, process=1),
        town.capture(opened.payment_id, 1_01, process=0),
        buy(town, card, 20_00, points=200),
    )
    assert {one.status for one in told} <= {200, 201, 409}
    await audits_hold(database)
    for one in told:
        if one.status == 201 and one.body["kind"] == "purchase":
            await town.refund(one.payment_id)
    await town.void(opened.payment_id)
    await town.refund(opened.payment_id)
    assert await balances(town) == before
    await audits_hold(database)
    await town.close()


async def test_points_that_are_set_aside_do_not_end_before_they_are_free(town: Town, database: str) -> None:
    await give_points(town, valid_days=1)
    card = await town.new_card(load_fen=900_00)
    await town.purchase(card, 300_00)
    spend = Spend(card, 50_00, town.places[0], town._now(), None, True, 9 * 86_400, lines=lines(50_00), points=200)
    opened = await town.ask(spend)
    assert opened.status == 201
    app = town.apps[0]
    app.clock.move(timedelta(days=3))  # type: ignore[attr-defined]
    assert await expire_points(app.pool, app.clock, town.ids, slots=app.slots) == 1
    assert await held(town, card) == {"points": 200}
    await town.capture(opened.payment_id, 15_00, final=False)
    assert await held(town, card) == {"points": 100 + 15}
    await town.void(opened.payment_id)
    assert await expire_points(app.pool, app.clock, town.ids, slots=app.slots) == 1
    assert await held(town, card) == {"points": 15}
    # what comes back has its old end
    await town.refund(opened.payment_id)
    assert await expire_points(app.pool, app.clock, town.ids, slots=app.slots) == 1
    assert await held(town, card) == {}
    await audits_hold(database)


async def test_points_that_come_back_pay_what_a_refund_takes(town: Town, database: str) -> None:
    await give_points(town)
    card = await town.new_card(load_fen=900_00)
    await town.purchase(card, 100_00)
    first = await buy(town, card, 90_00, points=100)
    assert await held(town, card) == {"points": 80}
    await buy(town, card, 8_00, points=80)
    back = await town.refund(first.payment_id)
    assert (back.body["points_earned"], back.body["pricing"]["points"]) == (-80, 100)
    assert await held(town, card) == {"points": 20}  # and nothing is owed
    await audits_hold(database)
