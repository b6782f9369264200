"""Programmes, acceptance and the life of a card in a real database."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from msgspec.structs import replace
from stdnum import luhn

from kaquan import cards, parties
from kaquan.cards import (
    BlockReason,
    Card,
    CardFinder,
    CardForm,
    CardStatus,
    Hand,
    NewCard,
    NewProgramme,
    Pocket,
    Press,
    Programme,
    Programmes,
    Search,
)
from kaquan.cards.numbers import check_digit
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import read_cursor
from kaquan.vault import Keyring

SLOTS = (0,)


class World:
    """A book of a new tenant with an issuer, and short ways to make things in it."""

    def __init__(self, pool: Pool, clock: Clock, ids: Ids, keyring: Keyring) -> None:
        self.pool, self.clock, self.ids, self.keyring = pool, clock, ids, keyring
        self.press = Press(keyring, SLOTS, ids)
        self.hand = Hand(clock, ids, "test")

    async def open(self) -> "World":
        created = await parties.create_tenant(self.pool, self.clock, self.ids, name=f"tenant {self.ids.new()}")
        assert not isinstance(created, Refusal)
        self.books = created[1]
        self.book_id = self.books[parties.Mode.LIVE].id
        issuer = await parties.create_issuer(
            self.pool,
            self.clock,
            self.ids,
            book_id=self.book_id,
            code="i",
            name="发卡方",
            time_zone="Asia/Tokyo",
        )
        assert not isinstance(issuer, Refusal)
        self.terms = NewProgramme(
            issuer_id=issuer.id,
            code="red",
            name="红卡",
            currency="CNY",
            number_prefix="888801",
            spend_order=(Pocket.BONUS, Pocket.PRINCIPAL),
            max_balance_fen=100_000,
            authorization_ttl_s=604_800,
            principal_valid_days=None,
            bonus_valid_days=90,
        )
        return self

    async def create(self, **terms: Any) -> Programme | Refusal:
        return await cards.create_programme(
            self.pool, self.clock, self.ids, book_id=self.book_id, new=replace(self.terms, **terms)
        )

    async def programme(self, **terms: Any) -> Programme:
        made = await self.create(**terms)
        assert isinstance(made, Programme), made
        return made

    async def place(self, code: str) -> tuple[UUID, UUID]:
        """A merchant with a store."""
        merchant = await parties.create_merchant(
            self.pool, self.clock, self.ids, book_id=self.book_id, code=code, name=code, trade=None
        )
        assert not isinstance(merchant, Refusal)
        store = await parties.create_store(
            self.pool,
            self.clock,
            self.ids,
            book_id=self.book_id,
            merchant_id=merchant.id,
            code=code,
            name=code,
        )
        assert not isinstance(store, Refusal)
        return merchant.id, store.id

    async def card(self, programme: Programme, press: Press | None = None) -> Card:
        made = await cards.issue_card(
            self.pool,
            press or self.press,
            self.clock,
            book_id=self.book_id,
            new=NewCard(programme_id=programme.id, form=CardForm.DIGITAL),
        )
        assert isinstance(made, Card), made
        return made

    async def activate(self, card_id: UUID) -> Card | Refusal:
        return await cards.activate_card(self.pool, self.hand, book_id=self.book_id, slots=SLOTS, card_id=card_id)

    async def block(self, card_id: UUID, reason: BlockReason = BlockReason.OPERATOR) -> Card | Refusal:
        return await cards.block_card(
            self.pool, self.hand, book_id=self.book_id, slots=SLOTS, card_id=card_id, reason=reason
        )

    async def unblock(self, card_id: UUID) -> Card | Refusal:
        return await cards.unblock_card(self.pool, self.hand, book_id=self.book_id, slots=SLOTS, card_id=card_id)

    async def get(self, card_id: UUID) -> Card | Refusal:
        return await cards.get_card(self.pool, book_id=self.book_id, slots=SLOTS, card_id=card_id)

    async def number(self, card_id: UUID) -> str:
        shown = await cards.reveal_number(
            self.pool,
            self.hand,
            self.keyring,
            book_id=self.book_id,
            slots=SLOTS,
            card_id=card_id,
            key_id=self.ids.new(),
        )
        assert isinstance(shown, str)
        return shown

    async def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(sql, params)).fetchall()

    async def everything(self) -> list[list[tuple[Any, ...]]]:
        """What this book holds of cards, to show that nothing moved."""
        return [
            await self.rows(f"SELECT * FROM {table} WHERE book_id = %s ORDER BY 1, 2, 3", self.book_id)
            for table in (
                "cards_programme",
                "cards_acceptance",
                "cards_batch",
                "cards_card",
                "cards_event",
                "ledger_account",
            )
        ] + [await self.rows("SELECT * FROM cards_number ORDER BY 1, 2")]


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(Path(tmp_path_factory.mktemp("keyring")) / "keyring.json")


@pytest.fixture
async def world(pool: Pool, clock: Clock, ids: Ids, keyring: Keyring) -> World:
    return await World(pool, clock, ids, keyring).open()


def refused(result: object, code: str, field: str | None) -> Refusal:
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    assert result.message("en")
    assert result.message("zh")
    return result


# --- programmes


async def test_a_programme_is_read_back_with_its_issuers_zone(world: World) -> None:
    made = await world.programme()
    assert made.time_zone == "Asia/Tokyo"
    assert made.spend_order == (Pocket.BONUS, Pocket.PRINCIPAL)
    assert made.accepts == frozenset()
    assert (made.currency, made.number_prefix, made.bonus_valid_days) == ("CNY", "888801", 90)
    found = await cards.get_programme(world.pool, book_id=world.book_id, programme_id=made.id)
    assert found == made
    other = await world.programme(code="blue", currency="USD", max_balance_fen=None)
    page = await cards.list_programmes(world.pool, book_id=world.book_id, search=Search())
    assert page.data == [other, made]
    page = await cards.list_programmes(world.pool, book_id=world.book_id, search=Search(code="red"))
    assert page.data == [made]


async def test_what_a_programme_is_refused_for(world: World) -> None:
    made = await world.programme()
    before = await world.everything()
    taken = refused(await world.create(), "already_exists", "code")
    assert show_id(Prefix.PROGRAMME, made.id) in taken.message("en")
    refused(await world.create(code="x", currency="cny"), "invalid_field", "currency")
    refused(await world.create(code="x", issuer_id=UUID(int=1)), "not_found", "issuer_id")
    assert await world.everything() == before


async def test_a_programme_of_the_other_mode_is_not_found(world: World) -> None:
    made = await world.programme()
    test_book = world.books[parties.Mode.TEST].id
    refused(await cards.get_programme(world.pool, book_id=test_book, programme_id=made.id), "not_found", "id")
    refused(
        await cards.create_programme(
            world.pool, world.clock, world.ids, book_id=test_book, new=replace(world.terms, code="x")
        ),
        "not_found",
        "issuer_id",
    )
    before = await world.everything()
    refused(
        await cards.change_acceptance(world.pool, world.clock, world.ids, book_id=test_book, programme_id=made.id),
        "not_found",
        "id",
    )
    new = NewCard(programme_id=made.id, form=CardForm.DIGITAL)
    refused(
        await cards.issue_card(world.pool, world.press, world.clock, book_id=test_book, new=new),
        "not_found",
        "programme_id",
    )
    assert await world.everything() == before


async def test_acceptance_is_changed_as_a_whole(world: World) -> None:
    programme = await world.programme()
    first, second = await world.place("m1"), await world.place("m2")
    whole = (second[0], None)
    for _ in range(2):  # asking twice is asking once
        changed = await cards.change_acceptance(
            world.pool,
            world.clock,
            world.ids,
            book_id=world.book_id,
            programme_id=programme.id,
            add=[first, whole, whole],
        )
        assert isinstance(changed, Programme)
        assert changed.accepts == {first, whole}
    page = await cards.list_acceptance(
        world.pool, book_id=world.book_id, programme_id=programme.id, search=Search(limit=1)
    )
    assert not isinstance(page, Refusal)
    assert [(row.merchant_id, row.whole, row.store_ids) for row in page.data] == [(second[0], True, ())]
    assert page.next_cursor is not None
    page = await cards.list_acceptance(
        world.pool,
        book_id=world.book_id,
        programme_id=programme.id,
        search=Search(limit=1, after_id=read_cursor(page.next_cursor)),
    )
    assert not isinstance(page, Refusal)
    assert [(row.merchant_id, row.whole, row.store_ids) for row in page.data] == [(first[0], False, (first[1],))]
    assert page.next_cursor is None
    changed = await cards.change_acceptance(
        world.pool,
        world.clock,
        world.ids,
        book_id=world.book_id,
        programme_id=programme.id,
        add=[second],
        remove=[first, whole],
    )
    assert isinstance(changed, Programme)
    assert changed.accepts == {second}


async def test_places_that_cannot_be_accepted_change_nothing(world: World) -> None:
    programme = await world.programme()
    first, second = await world.place("m1"), await world.place("m2")
    stranger = await (await World(world.pool, world.clock, world.ids, world.keyring).open()).place("m")
    await cards.change_acceptance(
        world.pool, world.clock, world.ids, book_id=world.book_id, programme_id=programme.id, add=[second]
    )
    before = await world.everything()
    for place, code, field in (
        ((first[0], second[1]), "store_of_another_merchant", "add[1].store_id"),
        ((UUID(int=1), None), "not_found", "add[1].merchant_id"),
        (stranger, "not_found", "add[1].merchant_id"),
        ((first[0], stranger[1]), "not_found", "add[1].store_id"),
    ):
        changed = await cards.change_acceptance(
            world.pool,
            world.clock,
            world.ids,
            book_id=world.book_id,
            programme_id=programme.id,
            add=[first, place],
            remove=[second],
        )
        refused(changed, code, field)
        assert await world.everything() == before


async def test_the_copy_in_memory_follows_the_book(world: World) -> None:
    programmes = Programmes(world.pool)
    assert programmes.get(world.book_id, UUID(int=1)) is None
    made = await world.programme()
    await programmes.refresh()
    known = programmes.get(world.book_id, made.id)
    assert known == made
    assert programmes.get(world.books[parties.Mode.TEST].id, made.id) is None
    await programmes.refresh()
    assert programmes.get(world.book_id, made.id) is known  # nothing had changed: nothing was read
    merchant_id, store_id = await world.place("m1")
    await cards.change_acceptance(
        world.pool, world.clock, world.ids, book_id=world.book_id, programme_id=made.id, add=[(merchant_id, None)]
    )
    await programmes.refresh()
    known = programmes.get(world.book_id, made.id)
    assert known is not None
    assert known.accepts_at(merchant_id, store_id)
    await cards.change_acceptance(
        world.pool, world.clock, world.ids, book_id=world.book_id, programme_id=made.id, remove=[(merchant_id, None)]
    )
    await programmes.refresh()
    known = programmes.get(world.book_id, made.id)
    assert known is not None
    assert not known.accepts_at(merchant_id, store_id)


# --- cards


async def test_a_card_is_issued_without_pockets_or_a_readable_number(world: World) -> None:
    programme = await world.programme()
    card = await world.card(programme)
    assert (card.status, card.activated_at, card.batch_id) == (CardStatus.ISSUED, None, None)
    assert await world.get(card.id) == card
    pockets = await cards.list_pockets(world.pool, book_id=world.book_id, slots=SLOTS, card_id=card.id)
    assert pockets == []
    number = await world.number(card.id)
    assert number.startswith(programme.number_prefix)
    assert number.endswith(card.number_last4)
    assert luhn.is_valid(number)
    ((stored,),) = await world.rows("SELECT number_sealed FROM cards_card WHERE id = %s", card.id)
    assert number.encode() not in stored


async def test_a_number_that_is_taken_is_drawn_again(world: World) -> None:
    programme = await world.programme(number_prefix="88880202")
    drawn = [n.to_bytes(8, "little") for n in (7, 7, 8)]
    press = replace(world.press, draw=lambda size: drawn.pop(0))
    first, second = await world.card(programme, press), await world.card(programme, press)
    payloads = ["88880202" + f"{n:010}" for n in (7, 8)]
    assert [await world.number(card.id) for card in (first, second)] == [
        payload + check_digit(payload) for payload in payloads
    ]


async def test_a_full_prefix_refuses(world: World) -> None:
    programme = await world.programme(number_prefix="88880303")
    press = replace(world.press, draw=lambda size: bytes(size))
    await world.card(programme, press)
    before = await world.everything()
    new = NewCard(programme_id=programme.id, form=CardForm.DIGITAL)
    result = await cards.issue_card(world.pool, press, world.clock, book_id=world.book_id, new=new)
    refused(result, "number_space_too_small", "programme_id")
    assert await world.everything() == before


async def test_activation_opens_the_pockets_once(world: World) -> None:
    card = await world.card(await world.programme(currency="USD"))
    active = await world.activate(card.id)
    assert isinstance(active, Card)
    assert active.status is CardStatus.ACTIVE
    assert active.activated_at is not None
    assert await world.get(card.id) == active
    before = await world.everything()
    assert await world.activate(card.id) == active
    assert await world.everything() == before
    accounts = await world.rows(
        "SELECT kind, currency, floor_rule, lotted, book_id FROM ledger_account WHERE owner_id = %s ORDER BY id",
        card.id,
    )
    assert sorted(accounts) == [
        (kind, "USD", "credit", True, world.book_id) for kind in ("card_bonus", "card_principal")
    ]
    pockets = await cards.list_pockets(world.pool, book_id=world.book_id, slots=SLOTS, card_id=card.id)
    assert not isinstance(pockets, Refusal)
    assert [(pocket, account.posted_fen) for pocket, account in pockets] == [
        (Pocket.PRINCIPAL, 0),
        (Pocket.BONUS, 0),
    ]


async def test_many_activations_at_once_are_one(world: World) -> None:
    card = await world.card(await world.programme())
    answers = await asyncio.gather(*(world.activate(card.id) for _ in range(16)))
    assert all(answer == answers[0] for answer in answers)
    found = await world.get(card.id)
    assert found == answers[0]
    assert isinstance(found, Card)
    assert found.version == 1
    assert len(await world.rows("SELECT 1 FROM ledger_account WHERE owner_id = %s", card.id)) == 2


async def versions(world: World, card_id: UUID) -> list[int]:
    rows = await world.rows("SELECT version FROM ledger_account WHERE owner_id = %s ORDER BY id", card_id)
    return [version for (version,) in rows]


async def test_a_block_makes_decisions_taken_before_stale(world: World) -> None:
    card = await world.card(await world.programme())
    active = await world.activate(card.id)
    assert isinstance(active, Card)
    assert await versions(world, card.id) == [0, 0]
    blocked = await world.block(card.id, BlockReason.RISK)
    assert isinstance(blocked, Card)
    assert (blocked.status, blocked.status_reason) == (CardStatus.BLOCKED, BlockReason.RISK)
    assert await world.get(card.id) == blocked
    assert await versions(world, card.id) == [1, 1]
    before = await world.everything()
    assert await world.block(card.id, BlockReason.RISK) == blocked
    refused(await world.block(card.id, BlockReason.OPERATOR), "card_already_blocked", "reason")
    refused(await world.activate(card.id), "card_blocked", None)
    assert await world.everything() == before
    assert await world.unblock(card.id) == replace(active, version=3)
    assert await world.unblock(card.id) == replace(active, version=3)
    assert await versions(world, card.id) == [2, 2]


async def test_a_card_blocked_before_activation_is_issued_again(world: World) -> None:
    card = await world.card(await world.programme())
    assert isinstance(await world.block(card.id), Card)
    refused(await world.activate(card.id), "card_blocked", None)
    assert await world.unblock(card.id) == replace(card, version=2)
    assert isinstance(await world.activate(card.id), Card)


async def test_blocks_and_unblocks_at_once_leave_a_card_whole(world: World) -> None:
    card = await world.card(await world.programme())
    await world.activate(card.id)
    answers = await asyncio.gather(*(world.block(card.id) if n % 2 else world.unblock(card.id) for n in range(12)))
    assert all(isinstance(answer, Card) or answer.code == "busy" for answer in answers)
    found = await world.get(card.id)
    assert isinstance(found, Card)
    # each change of the card touched its pockets in the same commit; activation was the first change
    assert await versions(world, card.id) == [found.version - 1] * 2
    assert (found.status_reason is None) == (found.status is CardStatus.ACTIVE)


async def test_a_card_of_another_book_is_not_found(world: World) -> None:
    card = await world.card(await world.programme())
    number = await world.number(card.id)
    other = await World(world.pool, world.clock, world.ids, world.keyring).open()
    before = await world.everything()
    key_id = world.ids.new()
    for result in (
        await other.get(card.id),
        await other.activate(card.id),
        await other.block(card.id),
        await other.unblock(card.id),
        await cards.list_pockets(world.pool, book_id=other.book_id, slots=SLOTS, card_id=card.id),
        await cards.reveal_number(
            world.pool, world.hand, world.keyring, book_id=other.book_id, slots=SLOTS, card_id=card.id, key_id=key_id
        ),
    ):
        refused(result, "not_found", "id")
    finder = CardFinder(world.pool, world.keyring, SLOTS)
    found = [
        await cards.get_card_by_number(world.pool, finder, book_id=book_id, number=number)
        for book_id in (world.book_id, other.book_id)
    ]
    assert found == [card, None]
    assert await world.everything() == before


async def test_a_reveal_leaves_a_trace_without_the_number(world: World, caplog: pytest.LogCaptureFixture) -> None:
    card = await world.card(await world.programme())
    key_id = world.ids.new()
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.DEBUG):
        number = await cards.reveal_number(
            world.pool, world.hand, world.keyring, book_id=world.book_id, slots=SLOTS, card_id=card.id, key_id=key_id
        )
    assert isinstance(number, str)
    (trace,) = logs
    assert (trace["card_id"], trace["key_id"]) == (str(card.id), str(key_id))
    assert number not in repr(logs) + caplog.text


# --- finding and listing


async def test_the_finder_finds_numbers_and_remembers_no_misses(world: World) -> None:
    programme = await world.programme()
    made = [await world.card(programme) for _ in range(3)]
    numbers = [await world.number(card.id) for card in made]
    finder = CardFinder(world.pool, world.keyring, SLOTS, max_known=2)
    unknown = "8" * 19
    wanted = [numbers[0], unknown, numbers[1], "not a number", numbers[0], numbers[2]]
    places = [(card.slot, card.id) for card in made]
    for _ in range(2):
        found = await finder.resolve(wanted)
        assert found == [places[0], None, places[1], None, places[0], places[2]]
    assert await finder.resolve([]) == []


async def listed(world: World, slots: Sequence[int] = SLOTS, **search: Any) -> list[UUID]:
    page = await cards.list_cards(world.pool, book_id=world.book_id, slots=tuple(slots), search=Search(**search))
    return [card.id for card in page.data]


async def test_cards_are_listed_newest_first_by_what_is_asked(world: World) -> None:
    red, blue = await world.programme(), await world.programme(code="blue")
    made = [await world.card(red if n % 2 else blue) for n in range(6)]
    newest_first = [card.id for card in reversed(made)]
    await world.block(made[0].id)
    assert await listed(world) == newest_first
    assert await listed(world, programme_id=red.id) == newest_first[0::2]
    assert await listed(world, status=CardStatus.BLOCKED) == [made[0].id]
    assert await listed(world, status=CardStatus.BLOCKED, programme_id=red.id) == []
    last4 = made[3].number_last4
    assert made[3].id in await listed(world, last4=last4)
    assert await listed(world, last4=last4, programme_id=blue.id) == [
        card.id for card in reversed(made) if card.number_last4 == last4 and card.programme_id == blue.id
    ]
    after = await listed(world, created_after=made[2].created_at)
    assert after == [card.id for card in reversed(made) if card.created_at > made[2].created_at]
    seen: list[UUID] = []
    after_id: UUID | None = None
    while True:
        page = await cards.list_cards(
            world.pool, book_id=world.book_id, slots=SLOTS, search=Search(limit=4, after_id=after_id)
        )
        seen += [card.id for card in page.data]
        if page.next_cursor is None:
            break
        after_id = read_cursor(page.next_cursor)
    assert seen == newest_first


async def test_cards_of_many_slots_are_one_list(world: World) -> None:
    slots = (0, 5, 9, 33)
    programme = await world.programme()
    press = replace(world.press, slots=slots)
    made = [await world.card(programme, press) for _ in range(40)]
    assert {card.slot for card in made} == set(slots)
    assert await listed(world, slots) == [card.id for card in reversed(made)]
    finder = CardFinder(world.pool, world.keyring, slots)
    for card in made[:8]:
        args = {"book_id": world.book_id, "slots": slots, "card_id": card.id}
        active = await cards.activate_card(world.pool, world.hand, **args)  # type: ignore[arg-type]
        assert isinstance(active, Card)
        owned = await world.rows("SELECT DISTINCT slot FROM ledger_account WHERE owner_id = %s", card.id)
        assert owned == [(card.slot,)]
        number = await cards.reveal_number(world.pool, world.hand, world.keyring, key_id=card.id, **args)  # type: ignore[arg-type]
        assert isinstance(number, str)
        assert await finder.resolve([number]) == [(card.slot, card.id)]
