"""What offers ask of stores and holders is judged by what is known of them, live, in a quote and over history."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace
from tests.store.test_history import read
from tests.store.test_offers import balances, buy, campaign, put_in_force, ten_off
from tests.store.test_offers_loads import load
from tests.store.test_offers_points import RULE, give_points, held
from tests.store.test_offers_vouchers import Shop
from tests.town import KEYRING, HandClock, Told, Town, any_customer, audits_hold

from kaquan import cards, parties, points, vouchers
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey, hash_key, slot_of
from kaquan.parties import customers
from kaquan.payments import Refund, Spend, store
from kaquan.payments.quote import Quote
from kaquan.points import Multiplier, PointsTerms, member_id
from kaquan.promotions import Asks, Birthday, Campaign, Conditions, Funder, FunderKind, Offer, OnReturn, Stacking
from kaquan.promotions.kinds import invitation, load_bonus
from kaquan.vouchers import NewTemplate, VoucherKind

SLOTS = (3, 17, 40, 62)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(datetime(2026, 3, 1, 4, tzinfo=UTC))  # noon in Shanghai


@pytest.fixture
async def town(database: str, clock: HandClock) -> AsyncIterator[Town]:
    town = await Town.found(database, clock=clock)
    yield town
    await town.close()


@pytest.fixture
async def wide(database_of_four_slots: str) -> AsyncIterator[Town]:
    town = await Town.found(database_of_four_slots, clock=HandClock(datetime.now(UTC)), slots=SLOTS, processes=2)
    yield town
    await town.close()


async def person(town: Town, birthday: tuple[int, int] | None = None) -> UUID:
    app = town.apps[0]
    new = customers.NewCustomer(name="王敏", birthday=birthday)
    made = await customers.create_customer(app.pool, KEYRING, app.clock, town.ids, book_id=town.book_id, new=new)
    assert not isinstance(made, Refusal), made
    return made.id


async def card_of(town: Town, customer_id: UUID, *, load_fen: int = 500_00, slot: int | None = None) -> UUID:
    """A card of somebody, in a slot if one is named."""
    app = town.apps[0]
    while True:
        card_id = await town.new_card()
        if slot is None or slot_of(card_id, app.slots) == slot:
            break
    done = await cards.register_card(
        app.pool, town.hand(), any_customer, book_id=town.book_id, slots=app.slots, card_id=card_id,
        customer_id=customer_id,
    )  # fmt: skip
    assert not isinstance(done, Refusal)
    if load_fen:
        assert (await town.load(card_id, load_fen)).status == 201
    return card_id


async def label(
    town: Town, *ids: UUID, add: frozenset[str] = frozenset(), remove: frozenset[str] = frozenset()
) -> None:
    app = town.apps[0]
    done = await customers.label_customers(
        app.pool, app.clock, town.ids, book_id=town.book_id, customer_ids=ids, add=add, remove=remove
    )
    assert done == len(ids)


async def quoted(town: Town, card_id: UUID, *amounts: int, **other: Any) -> int:
    """What the till is told that goods would cost."""
    spend = Spend(card_id, sum(amounts), town.places[0], town._now())._replace(**other)
    quote = await town.apps[0].desk.quote(town.book_id, spend, held=())
    assert isinstance(quote, Quote), quote
    return quote.payable_fen


async def pays(town: Town, card_id: UUID, amount_fen: int = 100_00) -> int:
    """What a purchase costs: the same as its quote says."""
    expected = await quoted(town, card_id, amount_fen)
    told = await buy(town, card_id, amount_fen)
    assert told.status == 201, told
    assert told.body["amount_fen"] == expected
    return expected


def asking(**conditions: Any) -> Offer:
    return ten_off(conditions=Conditions(**conditions))


@pytest.mark.parametrize(
    ("wanted", "at", "birthday", "holds"),
    [
        (Birthday.DAY, (2026, 3, 1), (3, 1), True),
        (Birthday.DAY, (2026, 3, 1), (3, 2), False),
        (Birthday.DAY, (2026, 2, 28), (2, 29), True),  # a year without the day
        (Birthday.DAY, (2028, 2, 28), (2, 29), False),
        (Birthday.DAY, (2028, 2, 29), (2, 29), True),
        (Birthday.WEEK, (2026, 3, 3), (2, 29), True),
        (Birthday.WEEK, (2026, 3, 4), (2, 29), False),
        (Birthday.WEEK, (2026, 12, 30), (1, 2), True),
        (Birthday.MONTH, (2026, 3, 31), (3, 1), True),
        (Birthday.MONTH, (2026, 4, 1), (3, 1), False),
        (Birthday.MONTH, (2026, 3, 31), None, False),
    ],
)
async def test_a_birthday(
    town: Town,
    clock: HandClock,
    wanted: Birthday,
    at: tuple[int, int, int],
    birthday: tuple[int, int] | None,
    holds: bool,
) -> None:
    clock.at = datetime(*at, 4, tzinfo=UTC)
    spring = campaign(town, asking(birthday=wanted))
    put_in_force(town, Campaign(spring.id, 1, replace(spring.terms, ends_at=datetime(2028, 12, 31))))  # noqa: DTZ001
    card = await card_of(town, await person(town, birthday))
    assert await pays(town, card) == (90_00 if holds else 100_00)
    unknown = await town.new_card(load_fen=500_00)
    assert await pays(town, unknown) == 100_00


async def test_segments_are_those_of_now(town: Town) -> None:
    put_in_force(
        town, campaign(town, asking(segments=frozenset({"会员", "邻居"}), except_segments=frozenset({"员工"})))
    )
    somebody = await person(town)
    card = await card_of(town, somebody)
    assert await pays(town, card) == 100_00
    await label(town, somebody, add=frozenset({"邻居", "老人"}))
    assert await pays(town, card) == 90_00
    await label(town, somebody, add=frozenset({"员工"}))
    assert await pays(town, card) == 100_00
    await label(town, somebody, remove=frozenset({"员工", "老人"}))
    assert await pays(town, card) == 90_00
    nobody = await town.new_card(load_fen=500_00)
    assert await pays(town, nobody) == 100_00
    app = town.apps[0]
    forgotten = await customers.forget_customer(
        app.pool, KEYRING, app.clock, town.ids, book_id=town.book_id, id_=somebody, retention=None
    )
    assert not isinstance(forgotten, Refusal)
    assert await pays(town, card) == 100_00


async def test_an_offer_that_only_leaves_out_is_for_who_is_not_registered_too(town: Town) -> None:
    put_in_force(town, campaign(town, asking(except_segments=frozenset({"员工"}))))
    assert await pays(town, await town.new_card(load_fen=500_00)) == 90_00
    staff = await person(town)
    await label(town, staff, add=frozenset({"员工"}))
    assert await pays(town, await card_of(town, staff)) == 100_00


async def test_the_tier_is_that_of_the_cards_member(town: Town, database: str) -> None:
    await give_points(town, tiers=(points.TierRule(name="银", least=1), points.TierRule(name="金", least=1_000)))
    put_in_force(town, campaign(town, asking(tiers=frozenset({"金"}))))
    card = await town.new_card(load_fen=500_00)
    assert await pays(town, card) == 100_00
    for tier, fen in (("银", 100_00), ("金", 90_00)):
        with psycopg.connect(database, autocommit=True) as owner:
            owner.execute("UPDATE points_member SET tier = %s WHERE id = %s", (tier, member_id(card)))
        assert await pays(town, card) == fen


async def test_the_district_is_that_of_the_store(town: Town, database: str) -> None:
    put_in_force(town, campaign(town, asking(districts=frozenset({"310101", "黄浦区"}))))
    card = await town.new_card(load_fen=1_000_00)
    assert await pays(town, card) == 100_00
    app, store_id = town.apps[0], town.places[0].store_id
    for district, fen in (("黄浦区", 90_00), ("徐汇区", 100_00), ("310101", 90_00), (None, 100_00)):
        change = parties.StoreChange(district=district)
        changed = await parties.change_store(
            app.pool, app.clock, town.ids, book_id=town.book_id, id_=store_id, change=change
        )
        assert not isinstance(changed, Refusal)
        assert changed.district == district
        await app.refresh()
        assert await pays(town, card) == fen
    await audits_hold(database)


async def test_a_first_purchase_is_a_persons_first(town: Town, database: str) -> None:
    put_in_force(town, campaign(town, asking(first_purchase=True)))
    somebody = await person(town)
    first, second = [await card_of(town, somebody) for _ in range(2)]
    assert await pays(town, first) == 90_00
    assert await pays(town, first) == 100_00
    assert await pays(town, second) == 100_00
    others = await card_of(town, await person(town))
    assert await pays(town, others) == 90_00
    alone = await town.new_card(load_fen=500_00)
    assert await pays(town, alone) == 90_00
    assert await pays(town, alone) == 100_00
    await audits_hold(database)


async def test_a_purchase_that_was_first_without_the_offer_is_first_all_the_same(town: Town) -> None:
    put_in_force(town, campaign(town, asking(first_purchase=True)))
    somebody = await person(town)
    first, second = [await card_of(town, somebody) for _ in range(2)]
    assert await pays(town, first, 99_99) == 99_99  # below the threshold
    assert await pays(town, second) == 100_00


async def test_a_first_that_was_voided_is_none(town: Town, database: str) -> None:
    put_in_force(town, campaign(town, asking(first_purchase=True)))
    somebody = await person(town)
    first, second = [await card_of(town, somebody) for _ in range(2)]
    before = await balances(town)
    held_back = await buy(town, first, 100_00, authorize=True)
    assert held_back.body["amount_fen"] == 90_00
    assert await quoted(town, second, 100_00) == 100_00
    assert (await town.void(held_back.payment_id)).status == 200
    assert await balances(town) == before
    assert await pays(town, second) == 90_00
    await audits_hold(database)


async def test_of_first_purchases_at_one_moment_one_is_first(wide: Town) -> None:
    """Cards of one person in every slot, taken by two processes: whichever campaigns ask, one gets it."""
    aside = ten_off(50_00, name="首单", stacking=Stacking(group=""), conditions=Conditions(first_purchase=True))
    put_in_force(wide, campaign(wide, asking(first_purchase=True), aside))
    for _ in range(3):
        somebody = await person(wide)
        owned = [await card_of(wide, somebody, slot=slot) for slot in SLOTS]
        before = await wide.count("payments_pricing")

        async def pay(number: int, owned: list[UUID] = owned) -> Told:
            spend = Spend(owned[number % 4], 100_00, wide.places[0], wide._now())
            return await wide.ask(spend, process=number // 4)

        told = await asyncio.gather(*(pay(number) for number in range(8)))
        assert [one.status for one in told] == [201] * 8
        assert sorted(one.body["amount_fen"] for one in told) == [80_00, *[100_00] * 7]
        assert await wide.count("payments_pricing") == before + 1
    assert await wide.count("payments_reservation") == 0
    await audits_hold(wide.conninfo)


async def test_an_invitation_is_for_a_persons_first_top_up(town: Town, database: str) -> None:
    gives = Offer(
        name="邀请有礼",
        kind="invitation",
        params=invitation.Invitation(from_fen=100_00, inviter_fen=10_00, invited_fen=5_00),
    )
    put_in_force(town, campaign(town, gives))
    inviter = await town.new_card()
    somebody = await person(town)
    first, second = [await card_of(town, somebody, load_fen=0) for _ in range(2)]
    told = await load(town, first, 100_00, invited_by=inviter)
    assert told.body["bonus_fen"] == 5_00
    for card in (first, second):
        assert (await load(town, card, 100_00, invited_by=inviter)).body["bonus_fen"] == 0
    another = await card_of(town, await person(town), load_fen=0)
    assert (await load(town, another, 100_00, invited_by=inviter)).body["bonus_fen"] == 5_00
    await audits_hold(database)


async def test_a_refund_asks_nobody_again_who_they_are(town: Town, database: str, clock: HandClock) -> None:
    """What is left is priced with the offers that applied: who, where and when held then, and does not change."""
    wanted = Conditions(
        birthday=Birthday.DAY, segments=frozenset({"会员"}), districts=frozenset({"黄浦区"}), first_purchase=True,
        weekdays=frozenset({7}),
    )  # fmt: skip
    two_tiers = ten_off(100_00, 10_00, conditions=wanted, on_return=OnReturn.THRESHOLD)
    put_in_force(town, campaign(town, two_tiers))
    app = town.apps[0]

    async def move_to(district: str) -> None:
        change = parties.StoreChange(district=district)
        done = await parties.change_store(
            app.pool, app.clock, town.ids, book_id=town.book_id, id_=town.places[0].store_id, change=change
        )
        assert not isinstance(done, Refusal)
        await app.refresh()

    await move_to("黄浦区")
    somebody = await person(town, (3, 1))
    await label(town, somebody, add=frozenset({"会员"}))
    card = await card_of(town, somebody)
    before = await balances(town)
    told = await buy(town, card, 100_00, 60_00, 40_00)
    assert told.body["amount_fen"] == 190_00
    await label(town, somebody, remove=frozenset({"会员"}))
    await move_to("徐汇区")
    clock.move(timedelta(days=2))
    # 140.00 and then 100.00 still earn the offer: only the share of what comes back is taken
    first = await town.ask(Refund(told.payment_id, None, town._now(), lines=((2, 60_00),)))
    assert first.body["amount_fen"] == 57_00
    second = await town.ask(Refund(told.payment_id, None, town._now(), lines=((3, 40_00),)))
    assert second.body["amount_fen"] == 38_00
    rest = await town.refund(told.payment_id)
    assert rest.body["amount_fen"] == 95_00
    assert await balances(town) == before
    await audits_hold(database)


async def test_nothing_is_read_of_whom_nothing_is_asked(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("read_holders", "read_bought_before", "read_loaded_before"):
        real = getattr(store, name)

        async def spy(*args: Any, name: str = name, real: Any = real, **how: Any) -> Any:
            asked.append(name)
            return await real(*args, **how)

        monkeypatch.setattr(store, name, spy)
    card = await card_of(town, await person(town), load_fen=0)
    put_in_force(town, campaign(town, asking(weekdays=frozenset({7}), districts=frozenset({"黄浦区"}))))
    assert (await load(town, card, 900_00)).status == 201
    await pays(town, card)
    assert asked == []
    put_in_force(town, campaign(town, asking(birthday=Birthday.DAY), asking(segments=frozenset({"会员"}))))
    told = await asyncio.gather(*(town.purchase(card, 1_00) for _ in range(5)))
    assert {one.status for one in told} == {201}
    assert set(asked) == {"read_holders"}
    asked.clear()
    put_in_force(town, campaign(town, asking(first_purchase=True)))
    await town.purchase(card, 1_00)
    assert asked == ["read_bought_before"]  # the card is known to have bought: other cards are not looked at


async def test_points_are_doubled_in_the_month_of_a_birthday(town: Town, database: str) -> None:
    app = town.apps[0]
    twice = Multiplier(name="生日双倍", factor_bp=20_000, birthday_month=True)
    done = await points.set_terms(
        app.pool, app.clock, town.ids, book_id=town.book_id, programme_id=town.programme.id,
        terms=PointsTerms(rules=(RULE,), multipliers=(twice,)),
    )  # fmt: skip
    assert not isinstance(done, Refusal)
    await app.refresh()
    for birthday, earned in (((3, 31), 200), ((4, 1), 100), (None, 100)):
        card = await card_of(town, await person(town, birthday))
        assert (await town.purchase(card, 100_00)).status == 201
        assert await held(town, card) == {"points": earned}
    await audits_hold(database)


async def test_vouchers_ask_too(town: Town, clock: HandClock) -> None:
    shop = Shop(town, clock)
    new = NewTemplate(
        issuer_id=town.issuer.id, code="gov", name="消费券", kind=VoucherKind.VALUE, currency="CNY", face_fen=20_00,
        offer_kind="amount_off", offer_params={"tiers": [[50_00, 20_00]]}, valid_days=30, district="黄浦区",
        offer_conditions={"segments": ["会员"]}, funders=(Funder(FunderKind.ISSUER, None, 10_000),),
    )  # fmt: skip
    template = await vouchers.create_template(town.apps[0].pool, clock, town.ids, book_id=town.book_id, new=new)
    assert not isinstance(template, Refusal), template
    somebody = await person(town)
    card = await card_of(town, somebody)
    (voucher,) = await shop.give(template, card)
    app = town.apps[0]
    elsewhere = await buy(town, card, 100_00, voucher_ids=(voucher,))
    assert elsewhere.code == "voucher_elsewhere"
    assert await town.available_fen(card) == 500_00
    change = parties.StoreChange(district="黄浦区")
    done = await parties.change_store(
        app.pool, app.clock, town.ids, book_id=town.book_id, id_=town.places[0].store_id, change=change
    )
    assert not isinstance(done, Refusal)
    await app.refresh()
    assert await quoted(town, card, 100_00, voucher_ids=(voucher,)) == 100_00  # not for this holder: it is left alone
    await label(town, somebody, add=frozenset({"会员"}))
    assert await quoted(town, card, 100_00, voucher_ids=(voucher,)) == 80_00
    told = await buy(town, card, 100_00, voucher_ids=(voucher,))
    assert (told.status, told.body["amount_fen"]) == (201, 80_00)


async def test_recorded_purchases_know_their_holders(wide: Town) -> None:
    somebody = await person(wide, (2, 29))
    await label(wide, somebody, add=frozenset({"会员"}))
    owned = [await card_of(wide, somebody, slot=slot) for slot in SLOTS[:2]]
    alone = await wide.new_card(load_fen=500_00)
    app = wide.apps[0]
    done = await parties.change_store(
        app.pool, app.clock, wide.ids, book_id=wide.book_id, id_=wide.places[0].store_id,
        change=parties.StoreChange(district="黄浦区"),
    )  # fmt: skip
    assert not isinstance(done, Refusal)
    await app.refresh()
    for card in (owned[1], owned[0], alone, owned[1]):
        assert (await wide.purchase(card, 10_00)).status == 201
    every = Asks.FIRST_PURCHASE | Asks.BIRTHDAY | Asks.SEGMENTS | Asks.TIER
    for chunk in (1, 2, 100):
        baskets = await read(wide, asks=every, chunk=chunk)
        assert [basket.holder.bought_before for basket in baskets] == [False, True, False, True]
        assert [basket.holder.birthday for basket in baskets] == [(2, 29), (2, 29), None, (2, 29)]
        assert [bool(basket.holder.segments) for basket in baskets] == [True, True, False, True]
        assert {basket.district for basket in baskets} == {"黄浦区"}
    assert all(basket.holder.birthday is None for basket in await read(wide))


async def test_a_top_up_asks_too(town: Town, database: str) -> None:
    tier = load_bonus.Tier(100_00, 5_00)
    wanted = Conditions(segments=frozenset({"会员"}), birthday=Birthday.MONTH)
    gives = Offer(name="充送", kind="load_bonus", params=load_bonus.LoadBonus(tiers=(tier,)), conditions=wanted)
    put_in_force(town, campaign(town, gives))
    somebody = await person(town, (3, 31))
    card = await card_of(town, somebody, load_fen=0)
    assert (await load(town, card, 100_00)).body["bonus_fen"] == 0
    await label(town, somebody, add=frozenset({"会员"}))
    assert (await load(town, card, 100_00)).body["bonus_fen"] == 5_00
    assert (await load(town, await town.new_card(), 100_00)).body["bonus_fen"] == 0
    await audits_hold(database)


async def test_a_voucher_of_an_amount_of_its_own_takes_that_off(town: Town, clock: HandClock, database: str) -> None:
    shop = Shop(town, clock)
    template = await shop.template()
    card = await town.new_card(load_fen=500_00)
    (voucher,) = await shop.give(template, card)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("UPDATE vouchers_voucher SET face_fen = 1234 WHERE id = %s", (voucher,))
    told = await buy(town, card, 100_00, voucher_ids=(voucher,))
    assert told.body["amount_fen"] == 100_00 - 12_34


async def test_a_benefit_of_a_birthday_asks_the_customer(town: Town) -> None:
    await give_points(town)
    app = town.apps[0]
    benefit = await points.create_benefit(
        app.pool, app.clock, town.ids, book_id=town.book_id,
        new=points.NewBenefit(
            programme_id=town.programme.id, code="cake", name="蛋糕", cost_points=0, birthday_only=True
        ),
    )  # fmt: skip
    assert not isinstance(benefit, Refusal)

    async def take(card_id: UUID, told: int | None) -> Answer | Refusal:
        name = town.ids.new().hex
        return await points.take_benefit(
            app.pool, town.hand(), book_id=town.book_id, slots=app.slots, card_id=card_id, benefit_id=benefit.id,
            birth_month=told, key=RequestKey(name, hash_key(town.book_id, name), bytes(32)),
            render=lambda _: Answer(200, b""),
        )  # fmt: skip

    march, april = [await card_of(town, await person(town, (month, 9))) for month in (3, 4)]
    assert isinstance(await take(march, None), Answer)
    for card, told in ((april, 3), (await town.new_card(), None)):
        refused = await take(card, told)
        assert isinstance(refused, Refusal)
        assert refused.code == "points_benefit_not_for_member"
    assert isinstance(await take(await town.new_card(), 3), Answer)
