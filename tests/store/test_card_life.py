"""The life of a card in a real database: its log, its owner, its PIN, its loss, its gift."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.town import KEYRING, HandClock, Town, any_customer, audits_hold

from kaquan import cards
from kaquan.cards import (
    Card,
    CardClass,
    CardEvent,
    CardForm,
    CardStatus,
    ClaimedGift,
    GiftStatus,
    LossCause,
    OfferedGift,
    PinState,
    PinStatus,
    Press,
)
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.parties import Mode
from kaquan.payments import read_timeline
from kaquan.payments.timeline import Source

ANNA, BO = UUID(int=0xA), UUID(int=0xB)
PIN = "135792"
HOUR_S = 3_600


class Life:
    """A town with one card, and short ways to change it."""

    def __init__(self, town: Town, clock: HandClock, card: UUID) -> None:
        self.town, self.clock, self.card = town, clock, card
        self.pool, self.slots = town.apps[0].pool, town.apps[0].slots

    def about(self, card: UUID | None = None, book_id: int | None = None) -> dict[str, Any]:
        return {"book_id": book_id or self.town.book_id, "slots": self.slots, "card_id": card or self.card}

    async def get(self, card: UUID | None = None) -> Card:
        found = await cards.get_card(self.pool, **self.about(card))
        assert isinstance(found, Card)
        return found

    async def register(self, customer: UUID = ANNA, card: UUID | None = None) -> Card | Refusal:
        return await cards.register_card(
            self.pool, self.town.hand(), any_customer, **self.about(card), customer_id=customer
        )

    async def report(self, card: UUID | None = None, proof: str | None = "小票 17") -> Card | Refusal:
        return await cards.report_loss(
            self.pool, self.town.hand(), **self.about(card), cause=LossCause.LOST, proof=proof
        )

    async def found(self, card: UUID | None = None, **by: Any) -> Card | Refusal:
        return await cards.card_found(self.pool, self.town.hand(), KEYRING, **self.about(card), **by)

    async def set_pin(self, pin: str = PIN, current: str | None = None) -> PinStatus | Refusal:
        return await cards.set_pin(self.pool, self.town.hand(), KEYRING, **self.about(), pin=pin, current_pin=current)

    async def guess(self, pin: str, *, process: int = 0, max_attempts: int = 5) -> PinState:
        app = self.town.apps[process]
        return await cards.verify_pin(
            app.pool, self.town.hand(process), KEYRING, card=await self.get(), pin=pin, max_attempts=max_attempts
        )

    async def give(self, message: str | None = "生日快乐") -> OfferedGift | Refusal:
        return await cards.offer_gift(
            self.pool, self.town.hand(), KEYRING, **self.about(), message=message, expires_in_s=HOUR_S
        )

    async def claim(
        self, token: str, customer: UUID = BO, *, new_number: bool = True, book_id: int | None = None
    ) -> ClaimedGift | Refusal:
        app = self.town.apps[0]
        return await cards.claim_gift(
            self.pool,
            self.town.hand(),
            KEYRING,
            Press(KEYRING, app.slots, app.ids),
            any_customer,
            book_id=book_id or self.town.book_id,
            slots=self.slots,
            token=token,
            customer_id=customer,
            new_number=new_number,
        )

    async def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(sql.encode(), params)).fetchall()

    async def everything(self) -> list[list[tuple[Any, ...]]]:
        """What the book holds of cards and value, to show that nothing moved."""
        book = self.town.book_id
        return [
            await self.rows(f"SELECT * FROM {table} WHERE book_id = %s ORDER BY 1, 2, 3", book)
            for table in (
                "cards_card", "cards_event", "cards_pin", "cards_transfer", "cards_gift", "ledger_account",
                "ledger_transaction",
            )
        ]  # fmt: skip

    async def kinds(self, card: UUID | None = None) -> list[str]:
        """The kinds of a card's events, the oldest first."""
        told = await cards.list_events(self.pool, **self.about(card), limit=100)
        assert not isinstance(told, Refusal)
        return [event.kind.value for event in reversed(told[1])]


@pytest.fixture
async def life(database: str) -> AsyncIterator[Life]:
    clock = HandClock()
    town = await Town.found(
        database, clock=clock, processes=2, loss_effective_within_s=48 * HOUR_S, pin_required_above_fen=500
    )
    made = Life(town, clock, await town.new_card(load_fen=1_000, bonus_fen=100))
    yield made
    await town.close()


def refused(result: object, code: str) -> None:
    assert isinstance(result, Refusal), result
    assert result.code == code
    assert result.message("en")
    assert result.message("zh")


# --- owner


async def test_a_card_is_registered_and_unbound(life: Life) -> None:
    assert (await life.get()).card_class is CardClass.UNREGISTERED
    done = await life.register()
    assert isinstance(done, Card)
    assert (done.customer_id, done.card_class) == (ANNA, CardClass.REGISTERED)
    assert done.registered_at is not None
    before = await life.everything()
    assert await life.register() == done
    refused(await life.register(BO), "card_registered")
    other_book = life.town.books[Mode.TEST].id
    refused(
        await cards.register_card(
            life.pool, life.town.hand(), any_customer, **life.about(book_id=other_book), customer_id=BO
        ),
        "not_found",
    )
    assert await life.everything() == before
    unbound = await cards.unbind_card(life.pool, life.town.hand(), **life.about(), reason="转卖")
    assert isinstance(unbound, Card)
    assert (unbound.customer_id, unbound.registered_at) == (None, None)
    assert await life.kinds() == ["activated", "registered", "unbound"]
    listed = await cards.list_cards(
        life.pool, book_id=life.town.book_id, slots=life.slots, search=cards.Search(customer_id=ANNA)
    )
    assert listed.data == []


async def test_a_customer_that_the_book_does_not_know_gets_no_card(life: Life) -> None:
    async def nobody(book_id: int, customer_id: UUID) -> Refusal | None:
        return NOT_FOUND.refuse("customer_id", what="customer")

    before = await life.everything()
    refused(
        await cards.register_card(life.pool, life.town.hand(), nobody, **life.about(), customer_id=ANNA), "not_found"
    )
    assert await life.everything() == before


# --- PIN


async def test_a_pin_is_set_changed_and_checked(life: Life) -> None:
    assert await life.guess(PIN) is PinState.NOT_SET
    assert await life.set_pin() == PinStatus(True, False)
    assert await life.guess(PIN) is PinState.RIGHT
    before = await life.everything()
    refused(await life.set_pin("246813"), "pin_wrong")
    refused(await life.set_pin("123456", PIN), "pin_too_easy")
    assert await life.everything() == before
    refused(await life.set_pin("246813", "999998"), "pin_wrong")
    assert await life.set_pin("246813", PIN) == PinStatus(True, False)
    assert await life.guess(PIN) is PinState.WRONG
    assert await life.guess("246813") is PinState.RIGHT
    assert await life.kinds() == ["activated", "pin_set", "pin_changed"]
    ((kept,),) = await life.rows("SELECT hash FROM cards_pin WHERE card_id = %s", life.card)
    assert "246813" not in kept


async def test_wrong_guesses_lock_a_pin_until_the_operator_unlocks_it(life: Life) -> None:
    await life.set_pin()
    for _ in range(5):
        assert await life.guess("975310") is PinState.WRONG
    assert await life.guess(PIN) is PinState.LOCKED
    refused(await life.set_pin("246813", PIN), "pin_locked")
    assert (await life.kinds())[-1] == "pin_locked"
    assert await cards.get_pin_status(life.pool, **life.about()) == PinStatus(True, True)
    unlocked = await cards.unlock_pin(life.pool, life.town.hand(), **life.about(), reason="持卡人到店核验")
    assert unlocked == PinStatus(True, False)
    assert await life.guess(PIN) is PinState.RIGHT
    forgot = await cards.unlock_pin(life.pool, life.town.hand(), **life.about(), reason="忘记", forget=True)
    assert forgot == PinStatus(False, False)
    assert await life.guess(PIN) is PinState.NOT_SET
    refused(await cards.unlock_pin(life.pool, life.town.hand(), **life.about(), reason="再次"), "pin_not_set")
    assert (await life.kinds())[-2:] == ["pin_unlocked", "pin_forgotten"]


async def test_guesses_at_once_cannot_outrun_the_counter(life: Life) -> None:
    await life.set_pin()
    told = await asyncio.gather(
        *(life.guess(f"{400_000 + number}", process=number % 2, max_attempts=3) for number in range(64))
    )
    assert sorted(told) == [PinState.LOCKED] * 61 + [PinState.WRONG] * 3
    assert await life.guess(PIN, max_attempts=3) is PinState.LOCKED
    assert (await life.kinds()).count("pin_locked") == 1


async def test_a_right_guess_sets_the_counter_back(life: Life) -> None:
    await life.set_pin()
    for _ in range(3):
        assert [await life.guess("975310") for _ in range(4)] == [PinState.WRONG] * 4
        assert await life.guess(PIN) is PinState.RIGHT


# --- loss


async def test_a_digital_card_is_lost_at_once_and_keeps_its_balance(life: Life) -> None:
    before = await life.everything()
    refused(await life.report(proof=None), "proof_required")
    assert await life.everything() == before
    lost = await life.report()
    assert isinstance(lost, Card)
    assert lost.status is CardStatus.LOST
    assert lost.loss_due_at == lost.loss_reported_at == lost.lost_at
    held = await life.town.held(life.card)
    for process in (0, 1):
        assert (await life.town.purchase(life.card, 100, process=process)).code == "card_lost"
        assert (await life.town.authorize(life.card, 100, process=process)).code == "card_lost"
        assert (await life.town.load(life.card, 100, process=process)).code == "card_lost"
    assert await life.town.held(life.card) == held
    assert await life.report() == lost
    back = await life.found(reason="本人找回")
    assert isinstance(back, Card)
    assert (back.status, back.loss_reported_at, back.lost_at) == (CardStatus.ACTIVE, None, None)
    assert (await life.town.purchase(life.card, 100)).code is None
    assert await life.found(reason="本人找回") == back
    assert await life.kinds() == ["activated", "loss_reported", "found"]
    await audits_hold(life.town.conninfo)


async def test_a_card_keeps_its_person_while_a_loss_report_is_open(life: Life) -> None:
    card = await life.town.new_card(load_fen=1_000, form=CardForm.PHYSICAL)
    await life.register(card=card)
    await life.report(card=card)
    before = await life.everything()
    unbound = await cards.unbind_card(life.pool, life.town.hand(), **life.about(card), reason="转卖")
    refused(unbound, "loss_report_pending")
    assert await life.everything() == before


async def test_a_card_is_found_with_its_pin(life: Life) -> None:
    await life.set_pin()
    await life.report()
    before = await life.everything()
    refused(await life.found(), "invalid_field")
    refused(await life.found(pin=PIN, reason="两者"), "invalid_field")
    assert await life.everything() == before
    refused(await life.found(pin="975310"), "pin_wrong")
    assert (await life.get()).status is CardStatus.LOST
    back = await life.found(pin=PIN)
    assert isinstance(back, Card)
    assert back.status is CardStatus.ACTIVE


async def test_a_physical_card_is_lost_within_the_published_time(life: Life) -> None:
    card = await life.town.new_card(load_fen=1_000, form=CardForm.PHYSICAL)
    await life.register(card=card)
    reported = await life.report(card, proof=None)
    assert isinstance(reported, Card)
    assert (reported.status, reported.lost_at) == (CardStatus.ACTIVE, None)
    assert reported.loss_due_at is not None
    assert reported.loss_reported_at is not None
    assert reported.loss_due_at - reported.loss_reported_at == timedelta(hours=48)
    assert (await life.town.purchase(card, 100)).code is None

    async def work() -> int:
        return await cards.put_losses_into_effect(life.pool, life.clock, life.town.ids, slots=life.slots)

    life.clock.move(timedelta(hours=47, minutes=59))
    await work()
    assert (await life.get(card)).status is CardStatus.ACTIVE
    life.clock.move(timedelta(seconds=50))
    assert await work() >= 1
    lost = await life.get(card)
    assert lost.status is CardStatus.LOST
    assert lost.lost_at is not None
    assert lost.lost_at <= reported.loss_due_at
    assert (await life.town.purchase(card, 100)).code == "card_lost"
    assert await work() == 0
    assert await life.kinds(card) == ["activated", "registered", "loss_reported", "loss_effective"]
    await audits_hold(life.town.conninfo)


async def test_no_spend_that_starts_after_a_loss_report_was_answered_passes(life: Life) -> None:
    town = life.town
    for _ in range(5):
        card = await town.new_card(load_fen=10_000)
        answered = asyncio.Event()
        begun_late: list[str | None] = []
        running = True

        async def spend(
            process: int, card: UUID = card, answered: asyncio.Event = answered, late: list[str | None] = begun_late
        ) -> None:
            while running:  # noqa: B023
                after = answered.is_set()
                told = await town.purchase(card, 1, process=process)
                if after:
                    late.append(told.code)
                await asyncio.sleep(0)

        spenders = [asyncio.create_task(spend(number % 2)) for number in range(8)]
        await asyncio.sleep(0.05)
        assert isinstance(await life.report(card), Card)
        answered.set()
        held = await town.held(card)
        await asyncio.sleep(0.05)
        running = False
        await asyncio.gather(*spenders)
        assert begun_late
        assert set(begun_late) == {"card_lost"}
        # what was decided before and not posted yet was not posted after the answer either
        assert await town.held(card) == held


# --- gifts


async def test_a_gift_goes_to_another_person_under_another_number(life: Life) -> None:
    await life.register()
    await life.set_pin()
    offered = await life.give()
    assert isinstance(offered, OfferedGift)
    assert offered.token not in repr(offered)
    assert (await life.get()).status is CardStatus.GIFTED
    assert (await life.town.purchase(life.card, 100)).code == "card_in_gift"
    refused(await life.give(), "card_in_gift")
    stored = str(await life.rows("SELECT message_sealed, secret_hash FROM cards_gift WHERE id = %s", offered.gift.id))
    assert offered.token[-43:] not in stored
    assert "生日快乐".encode().hex() not in stored
    before = await life.everything()
    wrong = offered.token[:-3] + ("AAA" if offered.token[-3:] != "AAA" else "BBB")
    for token in (wrong, "gift_1", "", offered.token + "A"):
        refused(await life.claim(token), "not_found")
    refused(await life.claim(offered.token, book_id=life.town.books[Mode.TEST].id), "not_found")
    assert await life.everything() == before
    claimed = await life.claim(offered.token)
    assert isinstance(claimed, ClaimedGift)
    assert claimed.message == "生日快乐"
    assert claimed.card.customer_id == BO
    assert claimed.card.id != life.card
    assert claimed.card.status is CardStatus.ACTIVE
    assert await life.town.available_fen(claimed.card.id) == 1_100
    assert (await life.town.purchase(life.card, 100)).code == "card_replaced"
    assert (await life.town.purchase(claimed.card.id, 100)).code is None
    again = await life.claim(offered.token)
    assert isinstance(again, ClaimedGift)
    assert again.card.id == claimed.card.id
    refused(await life.claim(offered.token, ANNA), "gift_not_open")
    assert await life.kinds(claimed.card.id) == ["activated", "gift_claimed", "transferred_in"]
    await audits_hold(life.town.conninfo)


async def test_a_gift_may_keep_its_number_but_not_its_pin(life: Life) -> None:
    await life.set_pin()
    offered = await life.give(None)
    assert isinstance(offered, OfferedGift)
    claimed = await life.claim(offered.token, new_number=False)
    assert isinstance(claimed, ClaimedGift)
    assert (claimed.card.id, claimed.card.customer_id, claimed.message) == (life.card, BO, None)
    assert claimed.card.status is CardStatus.ACTIVE
    assert await life.guess(PIN) is PinState.NOT_SET
    assert await life.town.available_fen(life.card) == 1_100


async def test_a_gift_is_cancelled_or_runs_out(life: Life) -> None:
    async def cancel(gift_id: UUID) -> object:
        return await cards.cancel_gift(
            life.pool, life.town.hand(), book_id=life.town.book_id, slots=life.slots, gift_id=gift_id
        )

    first = await life.give()
    assert isinstance(first, OfferedGift)
    over = await cancel(first.gift.id)
    assert isinstance(over, cards.Gift)
    assert over.status is GiftStatus.CANCELLED
    assert await cancel(first.gift.id) == over
    assert (await life.get()).status is CardStatus.ACTIVE
    refused(await life.claim(first.token), "gift_not_open")
    second = await life.give()
    assert isinstance(second, OfferedGift)
    life.clock.move(timedelta(seconds=HOUR_S + 1))
    refused(await life.claim(second.token), "gift_not_open")
    assert (await life.get()).status is CardStatus.GIFTED
    assert await cards.expire_gifts(life.pool, life.clock, life.town.ids, slots=life.slots) >= 1
    card = await life.get()
    assert (card.status, card.gift_id) == (CardStatus.ACTIVE, None)
    refused(await cancel(second.gift.id), "gift_not_open")
    refused(await cancel(UUID(int=5)), "not_found")
    assert await life.kinds() == ["activated", "gift_offered", "gift_cancelled", "gift_offered", "gift_expired"]


async def test_of_many_claims_of_one_gift_one_is_granted(life: Life) -> None:
    offered = await life.give()
    assert isinstance(offered, OfferedGift)
    told = await asyncio.gather(
        *(life.claim(offered.token, UUID(int=n % 4 + 1), new_number=n % 2 == 0) for n in range(16))
    )
    granted = [one for one in told if isinstance(one, ClaimedGift)]
    assert len({one.card.id for one in granted}) == 1
    assert len({one.card.customer_id for one in granted}) == 1
    assert {one.code for one in told if isinstance(one, Refusal)} == {"gift_not_open"}
    assert await life.town.available_fen(granted[0].card.id) == 1_100
    await audits_hold(life.town.conninfo)


async def test_a_physical_or_a_blocked_card_is_not_given(life: Life) -> None:
    offered = await life.give()
    assert isinstance(offered, OfferedGift)
    await life.town.block(life.card)
    refused(await life.claim(offered.token), "card_blocked")
    assert (await life.get()).status is CardStatus.BLOCKED
    await life.town.unblock(life.card)
    assert (await life.get()).status is CardStatus.GIFTED
    life.card = await life.town.new_card(form=CardForm.PHYSICAL)
    before = await life.everything()
    refused(await life.give(), "only_digital")
    assert await life.everything() == before


# --- the log


async def test_nobody_can_change_the_log(life: Life) -> None:
    for sql in ("UPDATE cards_event SET reason = 'x'", "DELETE FROM cards_event", "DELETE FROM cards_transfer"):
        with pytest.raises(Exception, match="permission denied"):
            await life.rows(sql)


async def test_a_timeline_tells_everything_newest_first(life: Life) -> None:
    await life.register()
    await life.town.purchase(life.card, 300)
    held = await life.town.authorize(life.card, 200)
    await life.town.capture(held.payment_id, 50)
    await life.town.block(life.card)
    await life.report()
    items = []
    after_id = None
    while True:
        page = await read_timeline(life.pool, **life.about(), limit=2, after_id=after_id)
        assert not isinstance(page, Refusal)
        items += page.data
        if page.next_cursor is None:
            break
        after_id = items[-1].id
    assert [item.kind for item in items] == [
        "loss_reported", "blocked", "capture", "authorization", "purchase", "registered", "load", "activated", "issued",
    ]  # fmt: skip
    moved = {item.kind: (item.amount_fen, item.reserved_fen) for item in items if item.source is Source.TRANSACTION}
    assert moved == {"load": (1_100, 0), "purchase": (-300, 0), "authorization": (0, 200), "capture": (-50, -200)}
    assert all(item.title_en and "一" <= item.title_zh[0] <= "鿿" for item in items)
    assert {item.actor for item in items if item.source is Source.EVENT} == {"town", None}
    refused(await read_timeline(life.pool, **life.about(UUID(int=4))), "not_found")
    refused(await read_timeline(life.pool, **life.about(book_id=life.town.books[Mode.TEST].id)), "not_found")


def test_every_event_has_a_title() -> None:
    from kaquan.payments.timeline import TITLES

    assert set(CardEvent) <= set(TITLES)
