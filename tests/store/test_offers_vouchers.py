"""Vouchers in payments: redeemed once, given back, granted with a purchase and taken back with it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.store.test_offers import balances, buy, campaign, put_in_force, ten_off
from tests.town import KEYRING, HandClock, Town, audits_hold

from kaquan import vouchers
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey, hash_key
from kaquan.payments import Refund
from kaquan.payments.redeem import sweep
from kaquan.promotions import Funder, FunderKind, Offer
from kaquan.promotions.gifts import VoucherGift
from kaquan.promotions.kinds.gift_vouchers import GiftVouchers
from kaquan.promotions.kinds.gift_vouchers import Tier as GiftTier
from kaquan.vouchers import (
    Ask,
    HeldBy,
    HolderKind,
    Mint,
    NewTemplate,
    NewVoucherBatch,
    Person,
    Template,
    Voucher,
    VoucherKind,
    VoucherSearch,
    VoucherStatus,
)


class Shop:
    """A town with vouchers."""

    def __init__(self, town: Town, clock: HandClock) -> None:
        self.town, self.clock, self.app = town, clock, town.apps[0]

    async def template(self, *, from_fen: int = 50_00, off_fen: int = 20_00) -> Template:
        new = NewTemplate(
            issuer_id=self.town.issuer.id,
            code=self.town.ids.new().hex,
            name="代金券",
            kind=VoucherKind.VALUE,
            currency="CNY",
            face_fen=off_fen,
            offer_kind="amount_off",
            offer_params={"tiers": [[from_fen, off_fen]]},
            funders=(Funder(FunderKind.ISSUER, None, 6_000), Funder(FunderKind.MERCHANT, None, 4_000)),
            valid_days=30,
        )
        made = await vouchers.create_template(
            self.app.pool, self.clock, self.town.ids, book_id=self.town.book_id, new=new
        )
        assert not isinstance(made, Refusal), made
        return made

    async def give(self, template: Template, card_id: UUID, count: int = 1) -> list[UUID]:
        """So many vouchers for a card."""
        app, town = self.app, self.town
        batch = await vouchers.create_batch(
            app.pool,
            self.clock,
            town.ids,
            book_id=town.book_id,
            new=NewVoucherBatch(
                template_id=template.id, name=town.ids.new().hex, voucher_count=count, code_length=None
            ),
        )
        assert not isinstance(batch, Refusal)
        mint = Mint(KEYRING, app.slots, town.ids)
        await vouchers.run_batch(app.pool, mint, self.clock, book_id=town.book_id, batch_id=batch.id)
        told: list[Voucher] = []

        def render(made: list[Voucher]) -> Answer:
            told[:] = made
            return Answer(200, b"")

        name = town.ids.new().hex
        done = await vouchers.claim_once(
            app.pool,
            town.hand(),
            book_id=town.book_id,
            slots=app.slots,
            template_id=template.id,
            holder=HeldBy(HolderKind.CARD, card_id),
            person=Person(),
            count=count,
            key=RequestKey(name, hash_key(town.book_id, name), bytes(32)),
            render=render,
        )
        assert not isinstance(done, Refusal), done
        return [voucher.id for voucher in told]

    async def now(self, voucher_id: UUID) -> Voucher:
        found = await vouchers.get_voucher(
            self.app.pool, book_id=self.town.book_id, slots=self.app.slots, voucher_id=voucher_id
        )
        assert not isinstance(found, Refusal)
        return found

    async def of(self, card_id: UUID) -> list[Voucher]:
        page = await vouchers.list_vouchers(
            self.app.pool, book_id=self.town.book_id, slots=self.app.slots, search=VoucherSearch(holder_id=card_id)
        )
        return list(page.data)


@pytest.fixture(params=[1, 4])
async def shop(request: pytest.FixtureRequest, database: str, database_of_four_slots: str) -> AsyncIterator[Shop]:
    clock = HandClock()
    where: Any = {1: (database, (0,)), 4: (database_of_four_slots, (3, 17, 40, 62))}[request.param]
    town = await Town.found(where[0], clock=clock, slots=where[1])
    yield Shop(town, clock)
    await town.close()


async def test_a_voucher_is_redeemed_with_its_purchase_and_comes_back_with_its_refund(shop: Shop) -> None:
    town = shop.town
    card = await town.new_card(load_fen=500_00)
    (voucher_id,) = await shop.give(await shop.template(), card)
    before = await balances(town)
    told = await buy(town, card, 60_00, 40_00, voucher_ids=(voucher_id,))
    assert (told.status, told.body["amount_fen"]) == (201, 80_00)
    now = await shop.now(voucher_id)
    assert (now.status, now.redeemed_by, now.redeemed_fen) == (VoucherStatus.REDEEMED, told.payment_id, 20_00)

    back = await town.ask(Refund(told.payment_id, None, town._now(), lines=((2, 40_00),)))
    assert back.body["amount_fen"] == 32_00
    now = await shop.now(voucher_id)
    assert (now.status, now.returned_fen) == (VoucherStatus.REDEEMED, 8_00)
    await town.refund(told.payment_id)
    assert (await shop.now(voucher_id)).status is VoucherStatus.HELD
    assert await balances(town) == before
    await audits_hold(town.conninfo)


async def test_of_many_payments_at_once_one_has_the_voucher(shop: Shop) -> None:
    town = shop.town
    card = await town.new_card(load_fen=500_00)
    (voucher_id,) = await shop.give(await shop.template(), card)
    told = await asyncio.gather(*(buy(town, card, 60_00, voucher_ids=(voucher_id,)) for _ in range(6)))
    assert sorted(one.status for one in told) == [201] + [409] * 5
    assert {one.code for one in told if one.status == 409} == {"voucher_not_usable"}
    assert await town.available_fen(card) == 460_00
    await audits_hold(town.conninfo)


async def test_a_voucher_without_an_effect_stays_with_its_holder(shop: Shop) -> None:
    town = shop.town
    card = await town.new_card(load_fen=500_00)
    low, high = await shop.template(), await shop.template(from_fen=200_00)
    (first,), (second,) = await shop.give(low, card), await shop.give(high, card)
    told = await buy(town, card, 100_00, voucher_ids=(first, second))
    assert told.body["amount_fen"] == 80_00
    assert (await shop.now(first)).status is VoucherStatus.REDEEMED
    assert (await shop.now(second)).status is VoucherStatus.HELD


async def test_what_is_not_the_holders_is_refused_and_nothing_moves(shop: Shop) -> None:
    town = shop.town
    card, other = await town.new_card(load_fen=500_00), await town.new_card(load_fen=500_00)
    (voucher_id,) = await shop.give(await shop.template(), other)
    before = await balances(town)
    told = await buy(town, card, 100_00, voucher_ids=(voucher_id,))
    assert (told.code, told.body.get("field")) == ("voucher_not_held", "vouchers")
    assert (await buy(town, card, 100_00, voucher_ids=(town.ids.new(),))).code == "not_found"
    shop.clock.move(timedelta(days=40))
    assert (await buy(town, other, 100_00, voucher_ids=(voucher_id,))).code == "voucher_expired"
    assert await balances(town) == before
    assert (await shop.now(voucher_id)).status is VoucherStatus.HELD


async def test_an_authorization_holds_the_voucher_and_a_void_returns_it(shop: Shop) -> None:
    town = shop.town
    card = await town.new_card(load_fen=500_00)
    (voucher_id,) = await shop.give(await shop.template(), card)
    before = await balances(town)
    told = await buy(town, card, 100_00, voucher_ids=(voucher_id,), authorize=True)
    assert told.body["amount_fen"] == 80_00
    assert (await shop.now(voucher_id)).status is VoucherStatus.REDEEMED
    await town.void(told.payment_id)
    assert (await shop.now(voucher_id)).status is VoucherStatus.HELD
    assert await balances(town) == before
    told = await buy(town, card, 100_00, voucher_ids=(voucher_id,), authorize=True)
    await town.capture(told.payment_id, 40_00)
    now = await shop.now(voucher_id)
    assert (now.status, now.redeemed_fen, now.returned_fen) == (VoucherStatus.REDEEMED, 20_00, 10_00)


async def test_a_lock_that_was_left_ends_by_what_became_of_the_payment(shop: Shop) -> None:
    town = shop.town
    card = await town.new_card(load_fen=500_00)
    (left,) = await shop.give(await shop.template(), card)
    async with shop.app.pool.connection() as connection:
        at = shop.clock.now()
        nobody = town.ids.new_near(card)
        asked = [Ask(left, nobody)]
        assert await vouchers.lock_vouchers(connection, asked, slots=shop.app.slots, at=at, until=at) == {nobody}
    assert await sweep(shop.app.pool, shop.clock, town.ids, slots=shop.app.slots) == 1
    assert (await shop.now(left)).status is VoucherStatus.HELD


async def test_vouchers_are_granted_with_a_purchase_and_taken_back_with_it(shop: Shop) -> None:
    town = shop.town
    template = await shop.template()
    gift = VoucherGift(template_id=template.id, face_fen=20_00, valid_days=30, count=3)
    grant = Offer(name="满送", kind="gift_vouchers", params=GiftVouchers(tiers=(GiftTier(100_00, gift),)))
    put_in_force(town, campaign(town, grant, ten_off(1_000_00)))
    card = await town.new_card(load_fen=500_00)
    before = await balances(town)
    told = await buy(town, card, 60_00, 60_00)
    assert told.body["amount_fen"] == 120_00
    given = await shop.of(card)
    assert [one.status for one in given] == [VoucherStatus.HELD] * 3
    assert {one.granted_by for one in given} == {told.payment_id}
    await town.refund(told.payment_id, 60_00)
    assert [one.status for one in await shop.of(card)].count(VoucherStatus.HELD) == 2
    await town.refund(told.payment_id)
    assert {one.status for one in await shop.of(card)} == {VoucherStatus.CANCELLED}
    assert await balances(town) == before
    await audits_hold(town.conninfo)
