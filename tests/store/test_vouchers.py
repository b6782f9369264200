"""Vouchers on a real database: issue, claim, lock, redeem, return, transfer, expiry, cancelling, into a card."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.conftest import make_database
from tests.town import KEYRING, HandClock, Town, audits_hold

from kaquan import parties, vouchers
from kaquan.cards import Pocket
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey, hash_key
from kaquan.parties import FunderKind as PartyKind
from kaquan.parties.trail import SYSTEM
from kaquan.promotions import Funder, FunderKind
from kaquan.vouchers import (
    Ask,
    Granted,
    HeldBy,
    HolderKind,
    Mint,
    NewTemplate,
    NewVoucherBatch,
    Person,
    Redeemed,
    Returned,
    Telling,
    Template,
    Voucher,
    VoucherKind,
    VoucherSearch,
    VoucherStatus,
)
from kaquan.vouchers.codes import draw_codes, group

SLOTS = (3, 17, 40, 62)
NOBODY = Person()


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    return make_database(server, f"test_vouchers_{os.getpid()}", SLOTS)


class Shop:
    """A town with vouchers."""

    def __init__(self, town: Town, clock: HandClock) -> None:
        self.town, self.clock = town, clock
        self.app = town.apps[0]
        self.hand = town.hand()
        self.mint = Mint(KEYRING, SLOTS, town.ids)
        self.args: dict[str, Any] = {"book_id": town.book_id, "slots": SLOTS}

    async def template(self, **changes: Any) -> Template:
        made = await self.try_template(**changes)
        assert not isinstance(made, Refusal), made
        return made

    async def try_template(self, **changes: Any) -> Template | Refusal:
        face = changes.get("face_fen", 1_000)
        terms = {
            "issuer_id": self.town.issuer.id,
            "code": self.town.ids.new().hex,
            "name": "满100减10",
            "kind": VoucherKind.VALUE,
            "currency": "CNY",
            "face_fen": face,
            "offer_kind": "amount_off",
            "offer_params": {"tiers": [[10_000, face]]},
            "funders": (Funder(FunderKind.ISSUER, None, 10_000),),
            "valid_days": 30,
            **changes,
        }
        return await vouchers.create_template(
            self.app.pool, self.clock, self.town.ids, book_id=self.town.book_id, new=NewTemplate(**terms)
        )

    async def batch(self, template: Template, count: int, *, code_length: int | None = 16) -> vouchers.VoucherBatch:
        new = NewVoucherBatch(
            template_id=template.id, name=self.town.ids.new().hex, voucher_count=count, code_length=code_length
        )
        made = await vouchers.create_batch(self.app.pool, self.clock, self.town.ids, book_id=self.town.book_id, new=new)
        assert not isinstance(made, Refusal), made
        done = await vouchers.run_batch(
            self.app.pool, self.mint, self.clock, book_id=self.town.book_id, batch_id=made.id, chunk=40
        )
        assert not isinstance(done, Refusal), done
        return done

    async def codes(self, batch: vouchers.VoucherBatch) -> list[str]:
        found = await vouchers.read_out_codes(
            self.app.pool, KEYRING, self.hand, **self.args, batch_id=batch.id, by=SYSTEM
        )
        assert not isinstance(found, Refusal)
        return [code async for _, code, _ in found]

    async def claim(self, code: str, holder: HeldBy, person: Person = NOBODY) -> Voucher | Refusal:
        return await vouchers.claim_by_code(
            self.app.pool, KEYRING, self.hand, **self.args, code=code, holder=holder, person=person
        )

    async def stock(self, template: Template, holder: HeldBy, count: int = 1) -> list[Voucher] | Refusal:
        name = self.town.ids.new().hex
        told: list[Voucher] = []

        def render(made: list[Voucher]) -> Answer:
            told[:] = made
            return Answer(200, b"")

        done = await vouchers.claim_once(
            self.app.pool, self.hand, **self.args, template_id=template.id, holder=holder, person=NOBODY, count=count,
            key=RequestKey(name, hash_key(self.town.book_id, name), bytes(32)), render=render,
        )  # fmt: skip
        return done if isinstance(done, Refusal) else told

    async def held(self, holder: HeldBy | None = None, **changes: Any) -> Voucher:
        """A voucher that somebody holds."""
        template = await self.template(**changes)
        await self.batch(template, 1, code_length=None)
        claimed = await self.stock(template, holder or self.card())
        assert not isinstance(claimed, Refusal), claimed
        return claimed[0]

    def card(self, card_id: UUID | None = None) -> HeldBy:
        return HeldBy(HolderKind.CARD, card_id or self.town.ids.new())

    async def lock(self, *asked: Ask) -> set[UUID]:
        async with self.app.pool.connection() as connection:
            return await vouchers.lock_vouchers(
                connection, asked, slots=SLOTS, at=self.clock.now(), until=self.clock.now() + vouchers.LOCK_FOR
            )

    async def settle(self, redeemed: list[Redeemed], released: list[tuple[UUID, UUID]] | None = None) -> list[UUID]:
        async with self.app.pool.connection() as connection, connection.transaction():
            return await vouchers.settle_vouchers(
                connection, redeemed=redeemed, released=released or [], slots=SLOTS, telling=self.telling
            )

    async def give_back(self, *returned: Returned) -> list[UUID]:
        async with self.app.pool.connection() as connection, connection.transaction():
            return await vouchers.return_vouchers(connection, returned, slots=SLOTS, telling=self.telling)

    @property
    def telling(self) -> Telling:
        return Telling(self.town.ids, self.clock.now(), "till")

    async def now(self, voucher: Voucher) -> Voucher:
        found = await vouchers.get_voucher(self.app.pool, **self.args, voucher_id=voucher.id)
        assert not isinstance(found, Refusal)
        return found

    async def events(self, voucher: Voucher) -> list[tuple[str, str, str, int]]:
        """What happened, the oldest first: kind, status before and after, amount."""
        page = await vouchers.list_voucher_events(self.app.pool, **self.args, voucher_id=voucher.id, limit=50)
        assert not isinstance(page, Refusal)
        return [(one.kind, one.from_status, one.to_status, one.amount_fen) for one in reversed(page.data)]

    async def liability(self, at: datetime | None = None) -> dict[UUID, dict[str, tuple[int, int, int]]]:
        rows = await vouchers.report_liability(self.app.pool, **self.args, at=at or self.clock.now())
        told: dict[UUID, dict[str, tuple[int, int, int]]] = {}
        for template_id, status, count, face_fen, redeemed_fen in rows:
            told.setdefault(template_id, {})[status.value] = (count, face_fen, redeemed_fen)
        return told


@pytest.fixture
async def shop(own_database: str) -> AsyncIterator[Shop]:
    clock = HandClock(datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    town = await Town.found(own_database, clock=clock, slots=SLOTS)
    yield Shop(town, clock)
    await town.close()


def code_of(refused: object) -> str:
    assert isinstance(refused, Refusal), refused
    assert refused.message()
    assert refused.message("zh")
    return refused.code


async def test_a_batch_makes_codes_that_are_claimed_once(shop: Shop) -> None:
    template = await shop.template(max_per_holder=2)
    batch = await shop.batch(template, 100)
    assert (batch.issued_count, batch.finished_at is None) == (100, False)
    codes = await shop.codes(batch)
    assert len(set(codes)) == 100
    someone, other = shop.card(), shop.card()

    claimed = await shop.claim(group(codes[0]).lower(), someone)
    assert isinstance(claimed, Voucher)
    assert (claimed.status, claimed.holder, claimed.code_last4) == (VoucherStatus.HELD, someone, codes[0][-4:])
    # the end of the 30th day after the claim, in Shanghai
    assert claimed.valid_until == datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
    assert await shop.claim(codes[0], someone) == claimed, "asking again is no second claim"
    assert code_of(await shop.claim(codes[0], other)) == "voucher_not_usable"
    assert code_of(await shop.claim(draw_codes(16, 1)[0], other)) == "not_found"

    assert isinstance(await shop.claim(codes[1], someone), Voucher)
    assert code_of(await shop.claim(codes[2], someone)) == "voucher_limit_reached"
    third = await vouchers.find_by_code(shop.app.pool, KEYRING, **shop.args, code=codes[2])
    assert isinstance(third, Voucher)
    assert (third.status, await shop.events(third)) == (VoucherStatus.ISSUED, [])
    assert await shop.events(claimed) == [("claimed", "issued", "held", 0)]


async def test_many_who_claim_at_once_get_each_one(shop: Shop) -> None:
    template = await shop.template(max_per_holder=3)
    await shop.batch(template, 10, code_length=None)
    greedy, others = shop.card(), [shop.card() for _ in range(10)]
    told = await asyncio.gather(*(shop.stock(template, who) for who in [greedy] * 6 + others))
    got = [one for each in told if not isinstance(each, Refusal) for one in each]
    assert len(got) == len({one.id for one in got}) <= 10
    assert sum(one.holder == greedy for one in got) <= 3
    assert {code_of(each) for each in told if isinstance(each, Refusal)} <= {"voucher_limit_reached", "vouchers_gone"}
    left = 10 - len(got)
    rest = await shop.stock(template, shop.card(), count=3) if left >= 3 else None
    assert rest is None or not isinstance(rest, Refusal)
    assert code_of(await shop.stock(template, shop.card(), count=3 if left < 3 else 10)) in (
        "vouchers_gone", "voucher_limit_reached",
    )  # fmt: skip


async def test_a_voucher_used_twice_in_parallel_passes_once(shop: Shop) -> None:
    voucher = await shop.held()
    payments = [shop.town.ids.new() for _ in range(16)]
    told = await asyncio.gather(*(shop.lock(Ask(voucher.id, payment, voucher.version)) for payment in payments))
    (winner,) = [payment for payment, locked in zip(payments, told, strict=True) if payment in locked]
    assert await shop.lock(Ask(voucher.id, winner)) == {winner}, "who asks again for the same payment has it"
    loser = next(payment for payment in payments if payment != winner)
    assert await shop.settle([Redeemed(voucher.id, loser, 900)]) == []
    assert await shop.settle([Redeemed(voucher.id, winner, 900)]) == [voucher.id]
    assert await shop.settle([Redeemed(voucher.id, winner, 900)]) == [], "told twice it is done once"
    now = await shop.now(voucher)
    assert (now.status, now.redeemed_by, now.redeemed_fen) == (VoucherStatus.REDEEMED, winner, 900)
    assert await shop.lock(Ask(voucher.id, loser)) == set()


async def test_a_payment_gets_all_its_vouchers_or_none(shop: Shop) -> None:
    one, other = await shop.held(), await shop.held()
    first, second = shop.town.ids.new(), shop.town.ids.new()
    assert await shop.lock(Ask(one.id, first)) == {first}
    assert await shop.lock(Ask(one.id, second), Ask(other.id, second)) == set()
    assert (await shop.now(other)).status is VoucherStatus.HELD
    # one batch may hold both: the first to be asked has it
    third, fourth = shop.town.ids.new(), shop.town.ids.new()
    locked = await shop.lock(Ask(other.id, third), Ask(other.id, fourth))
    assert len(locked) == 1
    # what took nothing off is not used up
    await shop.settle([], [(other.id, locked.pop()), (one.id, first)])
    assert [(await shop.now(each)).status for each in (one, other)] == [VoucherStatus.HELD] * 2
    assert await shop.events(one) == [("claimed", "issued", "held", 0)]


async def test_who_decided_on_an_older_voucher_does_not_lock_it(shop: Shop) -> None:
    giver, taker = shop.card(), shop.card()
    voucher = await shop.held(giver, transferable=True)
    moved = await vouchers.transfer_voucher(
        shop.app.pool, shop.hand, **shop.args, voucher_id=voucher.id, giver=giver, taker=taker, person=NOBODY
    )
    assert isinstance(moved, Voucher)
    assert moved.holder == taker
    payment = shop.town.ids.new()
    assert await shop.lock(Ask(voucher.id, payment, voucher.version)) == set()
    assert await shop.lock(Ask(voucher.id, payment, moved.version)) == {payment}


async def test_locks_that_were_left_end_as_their_payment_did(shop: Shop) -> None:
    posted, lost, running = await shop.held(), await shop.held(), await shop.held()
    of_posted, of_lost, of_running = (shop.town.ids.new() for _ in range(3))
    await shop.lock(Ask(posted.id, of_posted), Ask(lost.id, of_lost))
    shop.clock.move(timedelta(minutes=2))
    await shop.lock(Ask(running.id, of_running))

    async def find_outcome(book_id: int, transaction_id: UUID) -> dict[UUID, int] | None:
        assert book_id == shop.town.book_id or transaction_id not in (of_posted, of_lost)
        return {posted.id: 700} if transaction_id == of_posted else None

    async def sweep() -> int:
        return await vouchers.sweep_locks(
            shop.app.pool, shop.clock, shop.town.ids, slots=SLOTS, find_outcome=find_outcome
        )

    assert await sweep() >= 2
    assert await sweep() == 0
    now = [await shop.now(each) for each in (posted, lost, running)]
    assert [one.status.value for one in now] == ["redeemed", "held", "locked"]
    assert now[0].redeemed_fen == 700
    await shop.settle([], [(running.id, of_running)])


async def test_what_is_refunded_comes_back_in_parts_and_whole(shop: Shop) -> None:
    voucher = await shop.held()
    payment, part, rest = (shop.town.ids.new() for _ in range(3))
    await shop.lock(Ask(voucher.id, payment))
    await shop.settle([Redeemed(voucher.id, payment, 1_000)])
    assert await shop.give_back(Returned(voucher.id, payment, part, 400)) == [voucher.id]
    assert await shop.give_back(Returned(voucher.id, payment, part, 400)) == [], "told twice it is done once"
    assert await shop.give_back(Returned(voucher.id, payment, rest, 601)) == [], "more than it took off"
    assert await shop.give_back(Returned(voucher.id, rest, rest, 600)) == [], "another payment's"
    now = await shop.now(voucher)
    assert (now.status, now.returned_fen) == (VoucherStatus.REDEEMED, 400)
    assert await shop.give_back(Returned(voucher.id, payment, rest, 600)) == [voucher.id]
    now = await shop.now(voucher)
    assert (now.status, now.redeemed_by, now.redeemed_fen, now.returned_fen) == (VoucherStatus.HELD, None, 0, 0)
    assert [kind for kind, *_ in await shop.events(voucher)] == ["claimed", "redeemed", "part_returned", "returned"]
    again = shop.town.ids.new()
    assert await shop.lock(Ask(voucher.id, again)) == {again}, "its holder may use it again"
    await shop.settle([], [(voucher.id, again)])

    spent = await shop.held(returnable=False)
    await shop.lock(Ask(spent.id, payment))
    await shop.settle([Redeemed(spent.id, payment, 1_000)])
    assert await shop.give_back(Returned(spent.id, payment, rest, 1_000)) == [spent.id]
    assert (await shop.now(spent)).status is VoucherStatus.REDEEMED


async def test_grants_come_with_their_payment_and_go_with_its_refund(shop: Shop) -> None:
    template = await shop.template(face_fen=2_500, valid_days=10)
    card_id, payment = shop.town.ids.new(), shop.town.ids.new()
    months = tuple(shop.clock.now() + timedelta(days=30 * n) for n in range(3))
    granted = Granted(template, shop.card(card_id), card_id, payment, 4, 9_999, months)
    async with shop.app.pool.connection() as connection, connection.transaction(force_rollback=True):
        await vouchers.issue_grants(connection, [granted], slots=SLOTS, telling=shop.telling)
    listed = VoucherSearch(holder_id=card_id)
    assert (await vouchers.list_vouchers(shop.app.pool, **shop.args, search=listed)).data == []
    async with shop.app.pool.connection() as connection, connection.transaction():
        ((*given,),) = await vouchers.issue_grants(connection, [granted], slots=SLOTS, telling=shop.telling)
    found = (await vouchers.list_vouchers(shop.app.pool, **shop.args, search=listed)).data
    assert {one.id for one in found} == set(given)
    found.reverse()
    assert [one.face_fen for one in found] == [2_500, 2_500, 2_500, 2_499]
    assert [one.valid_from for one in found] == [months[0], months[0], months[1], months[2]]
    assert {one.slot for one in found} == {SLOTS[card_id.int % 4]}, "in the card's slot"
    assert await shop.lock(Ask(found[3].id, payment)) == set(), "the last instalment is not due"
    assert await shop.lock(Ask(found[0].id, payment)) == {payment}
    await shop.settle([Redeemed(found[0].id, payment, 5)])
    async with shop.app.pool.connection() as connection, connection.transaction():
        revoked = await vouchers.revoke_grants(
            connection, slot=found[0].slot, transaction_id=payment, template_id=template.id, count=4,
            telling=shop.telling,
        )  # fmt: skip
    assert revoked == 3, "what is used cannot be taken back"
    assert [(await shop.now(one)).status.value for one in found] == ["redeemed"] + ["cancelled"] * 3


async def test_vouchers_expire_at_the_end_of_their_day(shop: Shop) -> None:
    voucher, locked = await shop.held(valid_days=1), await shop.held(valid_days=1)
    until = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)  # midnight in Shanghai
    assert voucher.valid_until == until
    payment = shop.town.ids.new()
    await shop.lock(Ask(locked.id, payment))

    async def expire() -> int:
        return await vouchers.expire_vouchers(shop.app.pool, shop.clock, shop.town.ids, slots=SLOTS)

    shop.clock.at = until - timedelta(seconds=1)
    await expire()
    assert (await shop.now(voucher)).status is VoucherStatus.HELD
    shop.clock.at = until
    assert await shop.lock(Ask(voucher.id, payment)) == set()
    assert await expire() >= 1
    assert (await shop.now(voucher)).status is VoucherStatus.EXPIRED
    assert await shop.settle([Redeemed(locked.id, payment, 100)]) == [locked.id], "it was locked in time"
    assert await expire() == 0


async def test_giving_on_follows_the_template(shop: Shop) -> None:
    giver, taker = shop.card(), shop.card()

    async def transfer(voucher: Voucher, to: HeldBy = taker, by: HeldBy = giver) -> Voucher | Refusal:
        return await vouchers.transfer_voucher(
            shop.app.pool, shop.hand, **shop.args, voucher_id=voucher.id, giver=by, taker=to, person=NOBODY
        )

    bound = await shop.held(giver)
    assert code_of(await transfer(bound)) == "voucher_not_transferable"
    free = await shop.held(giver, transferable=True, max_per_holder=1)
    assert code_of(await transfer(free, by=taker, to=shop.card())) == "voucher_not_held"
    for voucher in (bound, free):
        assert (await shop.now(voucher)).holder == giver
    moved = await transfer(free)
    assert isinstance(moved, Voucher)
    assert await transfer(free) == moved
    await shop.batch(await _template_of(shop, free), 1, code_length=None)
    second = await shop.stock(await _template_of(shop, free), shop.card())
    assert not isinstance(second, Refusal)
    assert code_of(await transfer(second[0], by=second[0].holder or giver)) == "voucher_limit_reached"
    assert (await shop.now(second[0])).holder == second[0].holder


async def _template_of(shop: Shop, voucher: Voucher) -> Template:
    found = await vouchers.get_template(shop.app.pool, book_id=shop.town.book_id, id_=voucher.template_id)
    assert not isinstance(found, Refusal)
    return found


async def test_a_voucher_is_paid_into_a_card_by_its_funders(shop: Shop) -> None:
    city = await parties.create_funder(
        shop.app.pool, shop.clock, shop.town.ids, book_id=shop.town.book_id, code="city", name="市商务局",
        kind=PartyKind.GOVERNMENT,
    )  # fmt: skip
    assert not isinstance(city, Refusal)
    funders = (Funder(FunderKind.PARTY, city.id, 6_667), Funder(FunderKind.ISSUER, None, 3_333))
    card_id = await shop.town.new_card(load_fen=500)
    voucher = await shop.held(
        shop.card(card_id), funders=funders, load_pocket=Pocket.BONUS, face_fen=1_001, district="黄浦区"
    )

    async def load(voucher: Voucher, card: UUID, name: str) -> Answer | Refusal:
        key = RequestKey(name, hash_key(shop.town.book_id, name), bytes(32))
        return await vouchers.load_voucher(
            shop.app.pool, shop.hand, **shop.args, voucher_id=voucher.id, card_id=card, key=key,
            render=lambda loaded: Answer(201, str(loaded.amount_fen).encode()),
        )  # fmt: skip

    elsewhere = await shop.town.new_card()
    assert code_of(await load(voucher, elsewhere, "a")) == "voucher_not_held"
    assert (await shop.town.held(elsewhere))["card_bonus"].posted_fen == 0
    told = await asyncio.gather(*(load(voucher, card_id, f"b{n}") for n in range(4)))
    assert sum(isinstance(one, Answer) for one in told) == 1, "once, however many ask"
    assert {code_of(one) for one in told if isinstance(one, Refusal)} == {"voucher_not_usable"}
    assert (await shop.town.held(card_id))["card_bonus"].posted_fen == 1_001
    assert (await shop.town.held(city.id))["voucher_funding"].posted_fen == -667
    assert (await shop.town.held(shop.town.issuer.id))["voucher_funding"].posted_fen == -334
    assert (await shop.now(voucher)).status is VoucherStatus.LOADED
    assert (await shop.town.purchase(card_id, 1_501)).status == 201, "it is spent like any other value"

    plain = await shop.held(shop.card(card_id))
    assert code_of(await load(plain, card_id, "c")) == "voucher_not_loadable"
    assert (await shop.now(plain)).status is VoucherStatus.HELD
    rows = await vouchers.report_funding(shop.app.pool, **shop.args, at=shop.clock.now())
    mine = [row for row in rows if row.template_id == voucher.template_id]
    assert [(row.party_id, row.district, row.loaded_fen, row.outstanding_fen) for row in mine] == [
        (city.id, "黄浦区", 667, 0), (None, "黄浦区", 334, 0),
    ]  # fmt: skip


async def test_liability_is_told_for_any_moment(shop: Shop) -> None:
    template = await shop.template()
    start = shop.clock.now()
    await shop.batch(template, 4, code_length=None)
    made = shop.clock.now()
    claimed = await shop.stock(template, shop.card(), count=3)
    assert not isinstance(claimed, Refusal)
    held = shop.clock.now()
    payment, refund = shop.town.ids.new(), shop.town.ids.new()
    await shop.lock(Ask(claimed[0].id, payment))
    await shop.settle([Redeemed(claimed[0].id, payment, 800)])
    used = shop.clock.now()
    await shop.give_back(Returned(claimed[0].id, payment, refund, 800))
    await vouchers.cancel_voucher(
        shop.app.pool, shop.hand, **shop.args, voucher_id=claimed[1].id, reason="发错了", by=SYSTEM
    )
    assert template.id not in await shop.liability(start)
    assert (await shop.liability(made))[template.id] == {"issued": (4, 4_000, 0)}
    assert (await shop.liability(held))[template.id] == {"issued": (1, 1_000, 0), "held": (3, 3_000, 0)}
    assert (await shop.liability(used))[template.id] == {
        "issued": (1, 1_000, 0), "held": (2, 2_000, 0), "redeemed": (1, 1_000, 800),
    }  # fmt: skip
    assert (await shop.liability())[template.id] == {
        "issued": (1, 1_000, 0), "held": (2, 2_000, 0), "cancelled": (1, 1_000, 0),
    }  # fmt: skip


async def test_a_batch_is_cancelled_but_for_what_was_claimed(shop: Shop) -> None:
    template = await shop.template()
    new = NewVoucherBatch(template_id=template.id, name="half", voucher_count=60, code_length=None)
    batch = await vouchers.create_batch(shop.app.pool, shop.clock, shop.town.ids, book_id=shop.town.book_id, new=new)
    assert not isinstance(batch, Refusal)
    again = await vouchers.create_batch(shop.app.pool, shop.clock, shop.town.ids, book_id=shop.town.book_id, new=new)
    assert code_of(again) == "already_exists"
    assert (shop.town.book_id, batch.id) in await vouchers.unfinished_batches(shop.app.pool)
    await vouchers.run_batch(
        shop.app.pool, shop.mint, shop.clock, book_id=shop.town.book_id, batch_id=batch.id, chunk=25
    )
    claimed = await shop.stock(template, shop.card(), count=5)
    assert not isinstance(claimed, Refusal)

    async def refuse(connection: object) -> Refusal | None:
        return vouchers_not_approved

    vouchers_not_approved = parties.outcomes.APPROVAL_NOT_APPROVED.refuse("approval_id", status="proposed")
    how = {**shop.args, "batch_id": batch.id, "reason": "活动取消", "by": SYSTEM}
    refused = await vouchers.cancel_batch(shop.app.pool, shop.hand, **how, approve=refuse)
    assert code_of(refused) == "approval_not_approved"
    assert (await shop.liability())[template.id]["issued"] == (55, 55_000, 0), "nothing was done"
    done = await vouchers.cancel_batch(shop.app.pool, shop.hand, **how)
    assert not isinstance(done, Refusal)
    assert done[1] == 55
    assert (await shop.liability())[template.id] == {"held": (5, 5_000, 0), "cancelled": (55, 55_000, 0)}


async def test_codes_that_are_too_easy_to_guess_are_not_made(shop: Shop) -> None:
    template = await shop.template()

    async def create(**changes: Any) -> vouchers.VoucherBatch | Refusal:
        new = {"template_id": template.id, "name": "n", "voucher_count": 1_500, "code_length": 12, **changes}
        return await vouchers.create_batch(
            shop.app.pool, shop.clock, shop.town.ids, book_id=shop.town.book_id, new=NewVoucherBatch(**new)
        )

    assert not isinstance(await create(voucher_count=41_000), Refusal)
    assert code_of(await create(name="more")) == "code_space_too_small"
    assert code_of(await create(name="short", code_length=8)) == "code_space_too_small"
    assert code_of(await create(name="none", voucher_count=0)) == "invalid_field"
    assert code_of(await create(name="long", code_length=23)) == "invalid_field"
    page = await vouchers.list_batches(
        shop.app.pool, book_id=shop.town.book_id, search=vouchers.Search(template_id=template.id)
    )
    assert [one.name for one in page.data] == ["n"]


async def test_a_file_gives_everybody_theirs_or_nobody(shop: Shop) -> None:
    template = await shop.template(max_per_holder=3)
    cards = [await shop.town.new_card() for _ in range(2)]
    rows: list[tuple[int, list[str]]] = [
        (1, ["卡号", "数量"]),
        (2, [f"card_{cards[0].hex}", "2"]),
        (3, [f"card_{cards[1].hex}", ""]),
    ]

    async def assign(name: str, rows: list[tuple[int, list[str]]]) -> vouchers.VoucherBatch | Refusal:
        return await vouchers.assign_vouchers(
            shop.app.pool, shop.hand, shop.app.finder, **shop.args, template_id=template.id, name=name, rows=rows
        )

    bad = [*rows, (4, ["8888010000000001230", "1"]), (5, [f"card_{cards[1].hex}", "101"])]
    refused = await assign("bad", bad)
    assert code_of(refused) == "voucher_file_has_bad_lines"
    assert isinstance(refused, Refusal)
    assert (refused.details["count"], refused.details["line"]) == (2, 4)
    assert template.id not in await shop.liability()
    done = await assign("good", rows)
    assert isinstance(done, vouchers.VoucherBatch)
    assert (done.issued_count, done.source) == (3, "assigned")
    assert code_of(await assign("good", [rows[0], (2, [f"card_{cards[1].hex}", "1"])])) == "already_exists"
    over = await assign("over", rows)
    assert code_of(over) == "voucher_file_has_bad_lines", "two and two are more than three"
    assert (await shop.liability())[template.id] == {"held": (3, 3_000, 0)}


async def test_foreign_codes_are_taken_in_whole(shop: Shop) -> None:
    template = await shop.template()

    async def take(name: str, *lines: list[str]) -> vouchers.VoucherBatch | Refusal:
        rows = [(1, ["券码", "有效期"]), *((n, line) for n, line in enumerate(lines, start=2))]
        return await vouchers.import_codes(
            shop.app.pool,
            shop.mint,
            shop.hand,
            book_id=shop.town.book_id,
            template_id=template.id,
            name=name,
            rows=rows,
        )

    one = f"partner-{shop.town.ids.new().hex[:12]}"
    assert code_of(await take("bad", [one, ""], [one.upper(), ""])) == "voucher_file_has_bad_lines"
    done = await take("good", [one, "2026-03-05"], ["ABCD" + one, ""])
    assert isinstance(done, vouchers.VoucherBatch)
    assert done.issued_count == 2
    assert code_of(await take("again", [one, ""])) == "voucher_file_has_bad_lines"
    claimed = await shop.claim(one, shop.card())
    assert isinstance(claimed, Voucher)
    assert claimed.valid_until == datetime(2026, 3, 5, 16, 0, tzinfo=UTC)
    shown = await vouchers.reveal_code(shop.app.pool, KEYRING, shop.hand, **shop.args, voucher_id=claimed.id, by=SYSTEM)
    assert shown == one.replace("-", "").upper()


async def test_templates_are_checked(shop: Shop) -> None:
    async def refused(**changes: Any) -> tuple[str, str | None]:
        made = await shop.try_template(**changes)
        assert isinstance(made, Refusal), made
        assert made.message("zh")
        return made.code, made.field

    issuer = Funder(FunderKind.ISSUER, None, 5_000)
    for changes, field in (
        ({"valid_until": shop.clock.now() + timedelta(days=1)}, "valid_until"),
        ({"valid_days": None, "valid_until": shop.clock.now() - timedelta(days=1)}, "valid_until"),
        ({"valid_days": None, "valid_until": shop.clock.now() + timedelta(days=1),
          "valid_from": shop.clock.now() + timedelta(days=2)}, "valid_from"),
        ({"funders": (issuer,)}, "funders"),
        ({"funders": (issuer, issuer)}, "funders"),
        ({"funders": (Funder(FunderKind.PARTY, None, 10_000),)}, "funders"),
        ({"load_pocket": Pocket.PRINCIPAL}, "load_pocket"),
        ({"funders": (Funder(FunderKind.MERCHANT, None, 10_000),), "load_pocket": Pocket.BONUS}, "load_pocket"),
        ({"offer_kind": "free_beer"}, "offer_kind"),
        ({"offer_params": {"tiers": [["x", 1]]}}, "offer_params"),
        ({"offer_params": {"tiers": [[500, 1_000]]}}, "offer_params.tiers[0].off_fen"),
        ({"offer_conditions": {"weather": "rain"}}, "offer_conditions"),
        ({"face_fen": 0, "offer_params": {"tiers": [[500, 100]]}}, "face_fen"),
        ({"offer_params": {"tiers": [[10_000, 900]]}}, "face_fen"),
    ):  # fmt: skip
        code, named = await refused(**changes)
        assert code == "invalid_field", changes
        assert named == field, changes
    unknown = (Funder(FunderKind.PARTY, shop.town.ids.new(), 10_000),)
    assert await refused(funders=unknown) == ("not_found", "funders")
    assert await refused(issuer_id=shop.town.ids.new()) == ("not_found", "issuer_id")
    template = await shop.template()
    assert await refused(code=template.code) == ("already_exists", "code")
    ended = await vouchers.end_template(
        shop.app.pool, shop.clock, shop.town.ids, book_id=shop.town.book_id, id_=template.id
    )
    assert isinstance(ended, Template)
    assert ended.ended_at is not None
    assert code_of(await shop.stock(template, shop.card())) == "voucher_template_ended"
    offer = vouchers.compile_template(template, face_fen=300)
    assert offer.params.tiers == ((10_000, 300),)


async def test_every_audit_holds(shop: Shop, own_database: str) -> None:
    """After all that the tests above did."""
    await audits_hold(own_database)
