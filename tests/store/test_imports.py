"""Imports in a real database: each line once, whoever runs the job and whenever it is stopped, and back again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.store.test_programme_ends import ended, move
from tests.town import KEYRING, HandClock, Held, Town, audits_hold

from kaquan import imports
from kaquan.app import App
from kaquan.cards import Press
from kaquan.cards.numbers import draw_numbers
from kaquan.imports import CardImport, ImportStatus, LineStatus, NewImport
from kaquan.imports import store as imports_store
from kaquan.kit.outcomes import Refusal

SLOTS = (3, 17, 40, 62)


class StoppedError(Exception):
    """What kills a runner in these tests."""


class World:
    """A town, and a file of foreign cards."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.press = Press(KEYRING, SLOTS, town.ids)

    @property
    def app(self) -> App:
        return self.town.apps[0]

    async def create(self, lines: list[tuple[str, str, str]], **how: Any) -> CardImport | Refusal:
        text = "number,principal_fen,bonus_fen\n" + "\n".join(",".join(line) for line in lines)
        new = NewImport(
            **{
                "programme_id": self.town.programme.id,
                "name": str(self.town.ids.new()),
                "columns": {},
                "created_by": "test",
                **how,
            }
        )
        return await imports.create_import(
            self.app.pool,
            self.app.finder,
            self.press,
            self.app.clock,
            book_id=self.town.book_id,
            new=new,
            content=text.encode(),
        )

    async def checked(self, numbers: list[str], principal: int = 500, bonus: int = 20) -> CardImport:
        made = await self.create([(number, str(principal), str(bonus)) for number in numbers])
        assert isinstance(made, CardImport)
        assert made.status is ImportStatus.CHECKED, made.problems
        return made

    async def start(self, made: CardImport) -> CardImport | Refusal:
        return await imports.start_import(self.app.pool, book_id=self.town.book_id, slots=SLOTS, import_id=made.id)

    async def take_back(self, made: CardImport) -> CardImport | Refusal:
        return await imports.start_reversal(self.app.pool, book_id=self.town.book_id, slots=SLOTS, import_id=made.id)

    async def run(self, made: CardImport, chunk: int = 10) -> CardImport:
        done = await imports.run_import(
            self.app.pool, self.press, self.app.clock, book_id=self.town.book_id, import_id=made.id, chunk=chunk
        )
        assert isinstance(done, CardImport)
        return done

    async def applied(self, numbers: list[str], **value: int) -> CardImport:
        made = await self.checked(numbers, **value)
        await self.start(made)
        done = await self.run(made)
        assert done.status is ImportStatus.APPLIED
        return done

    async def card(self, number: str) -> UUID | None:
        (found,) = await self.app.finder.resolve([number])
        return None if found is None else found[1]

    async def issuer(self) -> Held:
        return (await self.town.held(self.town.issuer.id)).get("imported_value", Held(0, 0))


@pytest.fixture
async def world(database_of_four_slots: str) -> AsyncIterator[World]:
    town = await Town.found(database_of_four_slots, clock=HandClock(), slots=SLOTS, number_prefix="8888")
    yield World(town)
    await audits_hold(database_of_four_slots)
    await town.close()


def numbers(count: int) -> list[str]:
    return draw_numbers("8888", count)


def refused(result: object, code: str, field: str) -> Refusal:
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    assert "{" not in result.message("en") + result.message("zh")
    return result


async def test_cards_come_in_with_their_balances(world: World) -> None:
    foreign = numbers(30)
    made = await world.checked(foreign)
    assert (made.line_count, made.principal_fen, made.bonus_fen) == (30, 15_000, 600)
    assert await world.card(foreign[0]) is None, "a check makes nothing"
    started = await world.start(made)
    assert isinstance(started, CardImport)
    assert started.status is ImportStatus.APPLYING
    assert (world.town.book_id, made.id) in await imports.unfinished_imports(world.app.pool)
    done = await world.run(made)
    assert (done.status, done.lines) == (ImportStatus.APPLIED, {LineStatus.APPLIED: 30})
    assert done.finished_at is not None
    assert await world.issuer() == Held(-15_600, 0)
    for number in foreign:
        card_id = await world.card(number)
        assert card_id is not None
        assert await world.town.held(card_id) == {
            "card_principal": Held(500, 0),
            "card_bonus": Held(20, 0),
            "card_restricted": Held(0, 0),
        }
    # they are cards like others
    assert card_id is not None
    paid = await world.town.purchase(card_id, 510)
    assert paid.status == 201
    assert await world.town.available_fen(card_id) == 10
    again = await world.run(made)
    assert again == done
    assert await world.start(made) == done


async def test_a_killed_import_goes_on_and_no_line_is_done_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = numbers(60)
    made = await world.checked(foreign)
    await world.start(made)
    steps = ("adopt_cards", "post_batch", "_mark")
    for killed_at in (*steps, *steps):
        real = getattr(imports_store, killed_at)
        calls = 0

        async def die(*arguments: Any, real: Any = real, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            result = await real(*arguments, **named)
            if calls == 2:
                raise StoppedError  # after its work, before the commit
            return result

        with monkeypatch.context() as patch:
            patch.setattr(imports_store, killed_at, die)
            with pytest.raises(StoppedError):
                await world.run(made, chunk=3)
        found = await imports_store.load_import(world.app.pool, SLOTS, book_id=world.town.book_id, import_id=made.id)
        assert found is not None
        applied = found.lines.get(LineStatus.APPLIED, 0)
        assert found.status is ImportStatus.APPLYING
        assert await world.issuer() == Held(-520 * applied, 0)
        assert sum([await world.card(number) is not None for number in foreign]) == applied
    done = await world.run(made)
    assert (done.status, done.lines) == (ImportStatus.APPLIED, {LineStatus.APPLIED: 60})
    assert await world.issuer() == Held(-520 * 60, 0)


async def test_cancelled_at_any_moment_and_by_many_runners(world: World) -> None:
    made = await world.checked(numbers(80))
    await world.start(made)
    for n in range(6):
        runners = [asyncio.create_task(world.run(made, chunk=4)) for _ in range(2)]
        await asyncio.sleep(0.01 * n)
        for runner in runners:
            runner.cancel()
        await asyncio.gather(*runners, return_exceptions=True)
    await asyncio.gather(*(world.run(made, chunk=4) for _ in range(3)))
    done = await world.run(made)
    assert (done.status, done.lines) == (ImportStatus.APPLIED, {LineStatus.APPLIED: 80})
    assert await world.issuer() == Held(-520 * 80, 0)


async def test_a_number_that_was_taken_after_the_check_is_told(world: World) -> None:
    foreign = numbers(6)
    first, second = await world.checked(foreign), await world.checked(foreign[:3])
    await world.start(second)
    await world.run(second)
    await world.start(first)
    done = await world.run(first)
    assert done.lines == {LineStatus.APPLIED: 3, LineStatus.TAKEN: 3}
    assert await world.issuer() == Held(-520 * 6, 0)


async def test_a_reversal_takes_everything_back(world: World) -> None:
    foreign = numbers(25)
    done = await world.applied(foreign)
    empty = await world.applied(numbers(2), principal=0, bonus=0)
    for made in (done, empty):
        started = await world.take_back(made)
        assert isinstance(started, CardImport)
        assert started.status is ImportStatus.REVERSING
        back = await world.run(made)
        assert (back.status, back.lines) == (ImportStatus.REVERSED, {LineStatus.REVERSED: made.line_count})
        assert await world.take_back(made) == back
    assert await world.issuer() == Held(0, 0)
    card_id = await world.card(foreign[0])
    assert card_id is not None
    assert await world.town.available_fen(card_id) == 0
    assert (await world.town.load(card_id, 100)).code == "card_blocked"
    async with world.app.pool.connection() as connection:
        rows = await (
            await connection.execute(
                "SELECT r.related_id = t.id FROM imports_line l"
                " JOIN ledger_transaction t ON t.slot = l.slot AND t.id = l.transaction_id"
                " JOIN ledger_transaction r ON r.slot = l.slot AND r.id = l.reversal_id WHERE l.import_id = %s",
                (done.id,),
            )
        ).fetchall()
    assert rows == [(True,)] * 25
    refused(await world.start(done), "import_already_reversed", "id")


async def test_a_reversal_is_refused_for_cards_that_were_used(world: World) -> None:
    foreign = numbers(12)
    done = await world.applied(foreign)
    spent, given_back, reserved = [await world.card(number) for number in foreign[:3]]
    assert spent is not None
    assert given_back is not None
    assert reserved is not None
    assert (await world.town.purchase(spent, 1)).status == 201
    paid = await world.town.purchase(given_back, 10)
    assert (await world.town.refund(paid.payment_id)).status == 201
    assert (await world.town.authorize(reserved, 10)).status == 201
    before = await world.issuer()
    told = refused(await world.take_back(done), "cards_used_since", "id")
    used = await imports.list_used(world.app.pool, book_id=world.town.book_id, slots=SLOTS, import_id=done.id)
    assert isinstance(used, list)
    assert [(card.line, card.card_id) for card in used] == [(2, spent), (3, given_back), (4, reserved)]
    assert "2, 3, 4" in told.message("en")
    assert await world.issuer() == before
    assert (await world.town.purchase(spent, 1)).status == 201, "nothing was blocked"


async def test_a_card_that_is_used_while_the_reversal_runs_keeps_its_value(world: World) -> None:
    foreign = numbers(8)
    done = await world.applied(foreign)
    await world.take_back(done)
    used = await world.card(foreign[5])
    assert used is not None
    assert (await world.town.purchase(used, 100)).status == 201
    back = await world.run(done, chunk=2)
    assert (back.status, back.lines) == (
        ImportStatus.REVERSED,
        {LineStatus.REVERSED: 7, LineStatus.USED: 1},
    )
    assert await world.town.available_fen(used) == 420
    assert (await world.town.purchase(used, 20)).status == 201


async def test_payments_while_the_reversal_runs_are_whole_or_refused(world: World) -> None:
    foreign = numbers(40)
    done = await world.applied(foreign)
    await world.take_back(done)
    cards = [await world.card(number) for number in foreign]

    async def pay(card_id: UUID | None) -> int:
        assert card_id is not None
        return (await world.town.purchase(card_id, 520)).status

    statuses, back = await asyncio.gather(asyncio.gather(*map(pay, cards)), world.run(done, chunk=2))
    back = await world.run(done)
    paid = statuses.count(201)
    assert back.lines.get(LineStatus.USED, 0) == paid
    assert back.lines.get(LineStatus.REVERSED, 0) == 40 - paid
    assert await world.issuer() == Held(-520 * paid, 0)


async def test_what_an_import_is_refused_for(world: World) -> None:
    foreign = numbers(3)
    done = await world.applied(foreign)
    refused(await world.create([(foreign[0], "1", "0")], programme_id=UUID(int=1)), "not_found", "programme_id")
    good = numbers(1)
    refused(await world.create([(good[0], "1", "0")], name=done.name), "already_exists", "name")
    assert await world.card(good[0]) is None
    bad = await world.create([(good[0], "1", "0"), (foreign[0], "1", "0"), ("1", "x", "0")])
    assert isinstance(bad, CardImport)
    assert bad.status is ImportStatus.REFUSED
    assert [(problem.line, problem.column) for problem in bad.problems] == [
        (3, "number"),
        (4, "number"),
        (4, "principal_fen"),
    ]
    refused(await world.start(bad), "import_has_bad_lines", "id")
    checked = await world.checked(good)
    refused(await world.take_back(checked), "import_not_applied", "id")
    for ask in (world.start, world.take_back):
        refused(await ask(replace(checked, id=UUID(int=1))), "not_found", "id")
    assert await world.card(good[0]) is None


async def test_numbers_lie_sealed_until_their_cards_have_them(world: World) -> None:
    foreign = numbers(2)
    made = await world.checked(foreign)

    async def kept() -> list[tuple[Any, ...]]:
        async with world.app.pool.connection() as connection:
            query = "SELECT number_sealed FROM imports_line WHERE import_id = %s"
            return await (await connection.execute(query, (made.id,))).fetchall()

    assert all(foreign[0].encode() not in bytes(sealed) for (sealed,) in await kept())
    await world.start(made)
    await world.run(made)
    assert await kept() == [(None,), (None,)]


async def test_foreign_numbers_of_other_lengths_are_found(world: World) -> None:
    payload = "888812345678901"
    number = next(payload + str(digit) for digit in range(10) if _luhn(payload + str(digit)))
    await world.applied([number])
    assert await world.card(number) is not None


def _luhn(number: str) -> bool:
    from stdnum import luhn

    return bool(luhn.is_valid(number))


async def test_an_import_ends_when_its_programme_stops_and_tells_what_it_left_out(world: World) -> None:
    foreign = numbers(40)
    made = await world.checked(foreign)
    await world.start(made)
    for slot in SLOTS:  # a runner that was stopped after its first chunks
        await imports_store.apply_lines(
            world.app.pool, world.press, world.app.clock, programme=world.town.programme, card_import=made, slot=slot,
            limit=3,
        )  # fmt: skip
    await ended(world.town)
    move(world.town, timedelta(hours=1))
    done = await world.run(made)
    applied, left = done.lines[LineStatus.APPLIED], done.lines[LineStatus.LEFT_OUT]
    assert (done.status, applied + left, set(done.lines)) == (
        ImportStatus.STOPPED, 40, {LineStatus.APPLIED, LineStatus.LEFT_OUT},
    )  # fmt: skip
    assert 0 < applied <= 3 * len(SLOTS)
    assert done.finished_at is not None
    assert await world.issuer() == Held(-520 * applied, 0)
    assert sum([await world.card(number) is not None for number in foreign]) == applied
    async with world.app.pool.connection() as connection:
        kept = await connection.execute(
            "SELECT count(*) FROM imports_line WHERE import_id = %s AND number_sealed IS NOT NULL", (made.id,)
        )
        assert await kept.fetchone() == (0,)
    told = await imports.list_not_imported(world.app.pool, slots=SLOTS, card_import=done)
    assert (len(told), {one.column for one in told}) == (left, {"number"})
    assert all("stopped" in one.en and "停止" in one.zh for one in told)
    # it is not gone on with, nor looked at again, and can be taken back
    again = refused(await world.start(made), "import_stopped", "id")
    assert again.details["left_out_count"] == left
    assert (world.town.book_id, made.id) not in await imports.unfinished_imports(world.app.pool)
    assert isinstance(await world.take_back(made), CardImport)
    back = await world.run(made)
    assert (back.status, back.lines) == (
        ImportStatus.REVERSED, {LineStatus.REVERSED: applied, LineStatus.LEFT_OUT: left},
    )  # fmt: skip
    assert await world.issuer() == Held(0, 0)
