"""Balance that goes from card to card: exactly, once, in one slot and over two, whatever is interrupted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.town import KEYRING, HandClock, Town, any_customer, audits_hold

from kaquan import cards
from kaquan.cards import (
    Card,
    CardForm,
    CardStatus,
    Press,
    Replacement,
    Transfer,
    TransferKind,
    TransferStatus,
    store,
)
from kaquan.cards.transfer import Mover, finish_transfer, new_transfer
from kaquan.kit.ids import SystemIds
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import RequestKey, hash_key, slot_of
from kaquan.parties import Mode

ANNA, BO = UUID(int=0xA), UUID(int=0xB)
Terms = list[tuple[Any, ...]]


class Movers:
    """A town, and short ways to move balance between cards."""

    def __init__(self, town: Town, clock: HandClock) -> None:
        self.town, self.clock = town, clock
        self.app = town.apps[0]
        self.pool, self.slots, self.book_id = self.app.pool, self.app.slots, town.book_id
        self.press = Press(KEYRING, self.slots, town.ids)

    async def card(
        self, load_fen: int = 0, bonus_fen: int = 0, *, owner: UUID | None = ANNA, slot: int | None = None, **how: Any
    ) -> UUID:
        """A card of a person, in this slot if that is asked for."""
        while True:
            card_id = await self.town.new_card(**how)
            if slot is None or slot_of(card_id, self.slots) == slot:
                break
        if owner is not None:
            done = await cards.register_card(
                self.pool, self.town.hand(), any_customer, **self.about(card_id), customer_id=owner
            )
            assert isinstance(done, Card)
        if load_fen:
            assert (await self.town.load(card_id, load_fen, bonus_fen=bonus_fen)).code is None
        return card_id

    def about(self, card_id: UUID) -> dict[str, Any]:
        return {"book_id": self.book_id, "slots": self.slots, "card_id": card_id}

    async def get(self, card_id: UUID) -> Card:
        found = await cards.get_card(self.pool, **self.about(card_id))
        assert isinstance(found, Card)
        return found

    async def move(
        self, source: UUID, target: UUID, *, key: str | None = None, book_id: int | None = None
    ) -> Transfer | Refusal:
        return await cards.transfer_balance(
            self.pool,
            self.town.hand(),
            book_id=book_id or self.book_id,
            slots=self.slots,
            from_card_id=source,
            to_card_id=target,
            key=None if key is None else RequestKey(key, hash_key(self.book_id, key), b"request"),
        )

    async def replace(self, card_id: UUID, new: UUID | None = None, *, key: str | None = None) -> Replacement | Refusal:
        return await cards.replace_card(
            self.pool,
            self.town.hand(),
            self.press,
            **self.about(card_id),
            new_card_id=new,
            reason="卡片损坏",
            key=None if key is None else RequestKey(key, hash_key(self.book_id, key), b"request"),
        )

    async def sweep(self) -> int:
        self.clock.move(timedelta(seconds=11))
        return await cards.finish_transfers(self.pool, self.clock, SystemIds(), slots=self.slots)

    async def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(sql.encode(), params)).fetchall()

    async def lots(self, card_id: UUID) -> Terms:
        """What is free on a card: pocket, origin, terms and amount of each lot, in the order in which it is spent."""
        return await self.rows(
            "SELECT a.kind, l.origin_transaction_id, l.paid_fen, l.given_fen, l.expires_at,"
            " l.remaining_fen - l.reserved_fen FROM ledger_account a"
            " JOIN ledger_lot l ON l.slot = a.slot AND l.account_id = a.id"
            " WHERE a.owner_id = %s AND l.remaining_fen > l.reserved_fen ORDER BY a.kind, l.expires_at, l.lot",
            card_id,
        )

    async def everything(self) -> list[list[tuple[Any, ...]]]:
        return [
            await self.rows(f"SELECT * FROM {table} WHERE book_id = %s ORDER BY 1, 2, 3", self.book_id)
            for table in ("cards_card", "cards_event", "cards_transfer", "ledger_account", "ledger_transaction")
        ]

    async def transfers(self) -> list[tuple[Any, ...]]:
        return await self.rows(
            "SELECT kind, status, amount_fen FROM cards_transfer WHERE book_id = %s ORDER BY id", self.book_id
        )


async def movers(conninfo: str, slots: Sequence[int]) -> Movers:
    clock = HandClock()
    town = await Town.found(
        conninfo,
        clock=clock,
        slots=tuple(slots),
        processes=2,
        max_balance_fen=100_000,
        principal_valid_days=365,
        bonus_valid_days=30,
    )
    return Movers(town, clock)


@pytest.fixture
async def one(database: str) -> AsyncIterator[Movers]:
    made = await movers(database, (0,))
    yield made
    await made.town.close()


@pytest.fixture
async def four(database_of_four_slots: str) -> AsyncIterator[Movers]:
    made = await movers(database_of_four_slots, (3, 17, 40, 62))
    yield made
    await made.town.close()


def refused(result: object, code: str, field: str | None = None) -> None:
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    assert result.message("zh")


# --- transfer of balance


@pytest.mark.parametrize("slot", [17, 40])
async def test_every_lot_moves_with_its_terms_and_its_origin(four: Movers, slot: int) -> None:
    source = await four.card(1_000, 100, slot=17)
    four.clock.move(timedelta(days=3))
    await four.town.load(source, 500, bonus_fen=60)
    await four.town.purchase(source, 130)
    target = await four.card(70, slot=slot)
    before = await four.lots(source)
    had = await four.lots(target)
    assert len(before) == 3
    done = await four.move(source, target)
    assert isinstance(done, Transfer)
    assert (done.status, done.amount_fen) == (TransferStatus.COMPLETED, 1_530)
    assert (done.in_id is None) == (slot == 17)
    assert await four.lots(source) == []
    assert sorted(await four.lots(target)) == sorted(before + had)
    assert await four.town.available_fen(target) == 1_600
    clearing = await four.town.held(four.town.issuer.id)
    if "transfer_clearing" in clearing:
        assert clearing["transfer_clearing"].posted_fen == 0
    # what came is spent as it would have been: the bonus that expires first, in front
    assert (await four.town.purchase(target, 30)).code is None
    assert sum(row[5] for row in await four.lots(target) if row[0] == "card_bonus") == 0
    assert (await four.town.load(target, 10)).code is None
    await audits_hold(four.town.conninfo)


async def test_what_is_refunded_later_comes_back_to_the_card_that_paid(one: Movers) -> None:
    source, target = await one.card(1_000), await one.card()
    paid = await one.town.purchase(source, 400)
    assert isinstance(await one.move(source, target), Transfer)
    assert (await one.town.refund(paid.payment_id)).code is None
    assert await one.town.available_fen(source) == 400
    assert isinstance(await one.move(source, target), Transfer)
    assert await one.town.available_fen(target) == 1_000
    await audits_hold(one.town.conninfo)


async def test_what_a_transfer_is_refused_for(one: Movers) -> None:
    source, target = await one.card(1_000), await one.card(99_500)
    bos, nobodys, empty = await one.card(5, owner=BO), await one.card(5, owner=None), await one.card()
    blocked, lost = await one.card(), await one.card()
    await one.town.block(blocked)
    await cards.report_loss(one.pool, one.town.hand(), **one.about(lost), cause=cards.LossCause.STOLEN)
    before = await one.everything()
    refused(await one.move(source, source), "cards_do_not_match", "to_card_id")
    refused(await one.move(source, bos), "cards_do_not_match", "to_card_id")
    refused(await one.move(source, nobodys), "cards_do_not_match", "to_card_id")
    refused(await one.move(nobodys, source), "cards_do_not_match", "to_card_id")
    refused(await one.move(source, blocked), "card_blocked", "to_card_id")
    refused(await one.move(lost, source), "card_lost", "id")
    refused(await one.move(empty, source), "nothing_to_transfer")
    refused(await one.move(source, target), "transfer_exceeds_cap", "to_card_id")
    refused(await one.move(source, UUID(int=1)), "not_found", "to_card_id")
    refused(await one.move(UUID(int=1), source), "not_found", "id")
    refused(await one.move(source, empty, book_id=one.town.books[Mode.TEST].id), "not_found", "id")
    assert await one.everything() == before


async def test_one_key_is_one_transfer(one: Movers) -> None:
    source, target = await one.card(1_000), await one.card()
    told = await asyncio.gather(*(one.move(source, target, key="k") for _ in range(16)))
    assert {(transfer.id, transfer.amount_fen) for transfer in told if isinstance(transfer, Transfer)} == {
        (told[0].id, 1_000)  # type: ignore[union-attr]
    }
    await one.town.load(source, 300)
    again = await one.move(source, target, key="k")
    assert isinstance(again, Transfer)
    assert again.amount_fen == 1_000
    assert await one.town.available_fen(source) == 300
    key = RequestKey("k", hash_key(one.book_id, "k"), b"another request")
    other = await cards.transfer_balance(
        one.pool, one.town.hand(), book_id=one.book_id, slots=one.slots, from_card_id=source, to_card_id=target, key=key
    )
    refused(other, "idempotency_key_reused", "Idempotency-Key")
    assert await one.town.available_fen(target) == 1_000


async def test_transfers_in_a_circle_beside_payments_lose_nothing(four: Movers) -> None:
    ring = [await four.card(1_000, 50, slot=slot) for slot in four.slots for _ in range(2)]

    async def pay(card_id: UUID) -> int:
        told = await four.town.purchase(card_id, 30, process=1)
        assert told.code in (None, "insufficient_funds", "busy")
        return 30 if told.code is None else 0

    work: list[Any] = []
    for _ in range(3):
        for source, target in zip(ring, ring[1:] + ring[:1], strict=True):
            work += [four.move(source, target), pay(source)]
    told = await asyncio.gather(*work)
    spent_fen = sum(one for one in told if isinstance(one, int))
    codes = {one.code for one in told if isinstance(one, Refusal)}
    assert codes <= {"nothing_to_transfer", "busy"}
    await four.sweep()
    assert sum([await four.town.available_fen(card) for card in ring]) == 8 * 1_050 - spent_fen
    assert {status for _, status, _ in await four.transfers()} <= {"completed", "abandoned"}
    await audits_hold(four.town.conninfo)


async def test_a_transfer_that_was_left_at_any_step_is_finished_once(four: Movers) -> None:
    for steps in (0, 1, 2):
        source, target = await four.card(1_000, 20, slot=3), await four.card(slot=62)
        before = await four.lots(source)
        intent = new_transfer(four.town.hand(), TransferKind.BALANCE, source=await four.get(source), target_id=target)
        assert await store.post_together(four.pool, store.add_transfer(intent))
        mover = Mover(four.pool, four.town.hand(), four.slots)
        if steps > 0:
            await mover.leave(intent)
            assert await four.town.available_fen(source) == 0
            assert await four.town.available_fen(target) == 0
        if steps > 1:
            out = await store.load_transfer(four.pool, book_id=four.book_id, slot=intent.slot, transfer_id=intent.id)
            assert out is not None
            assert out.status is TransferStatus.OUT
            await mover.arrive(out)
            # whoever died before the intent said so is done again
            async with four.pool.connection() as connection:
                await connection.execute(
                    "UPDATE cards_transfer SET status = 'out', finished_at = NULL WHERE id = %s", (intent.id,)
                )
        await audits_hold(four.town.conninfo)
        assert await four.sweep() >= 1
        finished = await asyncio.gather(
            *(finish_transfer(four.pool, four.town.hand(), slots=four.slots, transfer=intent) for _ in range(4))
        )
        assert {one.status for one in finished if isinstance(one, Transfer)} == {TransferStatus.COMPLETED}
        assert await four.lots(target) == before
        await audits_hold(four.town.conninfo)


async def test_a_transfer_whose_card_was_blocked_meanwhile_is_abandoned(one: Movers) -> None:
    source, target = await one.card(1_000), await one.card()
    intent = new_transfer(one.town.hand(), TransferKind.BALANCE, source=await one.get(source), target_id=target)
    assert await store.post_together(one.pool, store.add_transfer(intent))
    await one.town.block(source)
    await one.sweep()
    assert await one.transfers() == [("balance", "abandoned", 0)]
    assert await one.town.available_fen(source) == 1_000
    refused(
        await finish_transfer(one.pool, one.town.hand(), slots=one.slots, transfer=replace(intent)),
        "card_blocked",
        "to_card_id",
    )
    await audits_hold(one.town.conninfo)


# --- replacement


async def test_a_lost_card_is_replaced_by_a_digital_one(one: Movers) -> None:
    card = await one.card(1_000, 100)
    before = await one.lots(card)
    held = await one.town.authorize(card, 250)
    await cards.report_loss(one.pool, one.town.hand(), **one.about(card), cause=cards.LossCause.LOST)
    done = await one.replace(card, key="r")
    assert isinstance(done, Replacement)
    assert (done.old.status, done.old.replaced_by_id) == (CardStatus.REPLACED, done.new.id)
    assert (done.new.status, done.new.replaces_id, done.new.customer_id) == (CardStatus.ACTIVE, card, ANNA)
    assert (done.transfer.status, done.transfer.amount_fen) == (TransferStatus.COMPLETED, 850)
    assert await one.town.available_fen(done.new.id) == 850
    again = await one.replace(card, key="r")
    assert isinstance(again, Replacement)
    assert again.new.id == done.new.id
    refused(await one.replace(card), "card_replaced")
    assert (await one.town.purchase(card, 1)).code == "card_replaced"
    # what was set aside is captured from the old card; what is given back goes on to the new one
    assert (await one.town.capture(held.payment_id, 100)).code is None
    await audits_hold(one.town.conninfo)
    assert await one.sweep() == 1
    assert await one.town.available_fen(card) == 0
    assert await one.town.available_fen(done.new.id) == 1_000
    assert sum(row[5] for row in await one.lots(done.new.id)) == 1_000
    assert {row[1:5] for row in await one.lots(done.new.id)} <= {row[1:5] for row in before}
    assert await one.sweep() == 0
    assert [kind for kind, _, _ in await one.transfers()] == ["replacement", "forward"]
    await audits_hold(one.town.conninfo)


async def test_a_refund_follows_a_card_that_was_replaced_twice(four: Movers) -> None:
    card = await four.card(1_000)
    paid = await four.town.purchase(card, 600)
    first = await four.replace(card)
    assert isinstance(first, Replacement)
    second = await four.replace(first.new.id)
    assert isinstance(second, Replacement)
    assert (await four.town.refund(paid.payment_id)).code is None
    for _ in range(2):
        await four.sweep()
    assert await four.town.available_fen(second.new.id) == 1_000
    await audits_hold(four.town.conninfo)


async def test_a_physical_card_takes_one_of_another_slot(four: Movers) -> None:
    old = await four.card(1_000, slot=3, form=CardForm.PHYSICAL)
    before = await four.lots(old)
    refused(await four.replace(old), "replacement_not_usable", "new_card_id")
    used = await four.card(form=CardForm.PHYSICAL)
    digital = await four.card(owner=None, active=False)
    state = await four.everything()
    for unusable in (used, digital, old):
        refused(await four.replace(old, unusable), "replacement_not_usable", "new_card_id")
    refused(await four.replace(old, UUID(int=1)), "not_found", "new_card_id")
    assert await four.everything() == state
    new = await four.card(owner=None, active=False, slot=62, form=CardForm.PHYSICAL)
    done = await four.replace(old, new)
    assert isinstance(done, Replacement)
    assert (done.new.id, done.new.status, done.new.customer_id) == (new, CardStatus.ACTIVE, ANNA)
    assert await four.lots(new) == before
    await audits_hold(four.town.conninfo)


async def test_of_many_replacements_at_once_one_happens(one: Movers) -> None:
    card = await one.card(1_000)
    told = await asyncio.gather(*(one.replace(card) for _ in range(12)))
    done = [one for one in told if isinstance(one, Replacement)]
    assert len(done) == 1
    assert {one.code for one in told if isinstance(one, Refusal)} == {"card_replaced"}
    assert await one.town.available_fen(done[0].new.id) == 1_000
    same = await one.card(500)
    told = await asyncio.gather(*(one.replace(same, key="same") for _ in range(12)))
    assert len({one.new.id for one in told if isinstance(one, Replacement)}) == 1
    assert not [one for one in told if isinstance(one, Refusal)]
    await audits_hold(one.town.conninfo)


async def test_a_blocked_or_given_card_is_not_replaced(one: Movers) -> None:
    blocked, issued, given = await one.card(10), await one.card(owner=None, active=False), await one.card(10)
    await one.town.block(blocked)
    offered = await cards.offer_gift(one.pool, one.town.hand(), KEYRING, **one.about(given), message=None)
    assert not isinstance(offered, Refusal)
    before = await one.everything()
    refused(await one.replace(blocked), "card_blocked")
    refused(await one.replace(issued), "card_not_active")
    refused(await one.replace(given), "card_in_gift")
    refused(await one.replace(UUID(int=1)), "not_found", "id")
    assert await one.everything() == before
