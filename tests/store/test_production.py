"""Production files and the room for numbers, in a real database."""

import asyncio
import io
from typing import Any
from uuid import UUID

import pytest
from stdnum import luhn
from tests.store.test_cards_batch import SLOTS, World, keyring, world
from tests.unit.test_vault_envelope import KEYS, opened, public_pem

from kaquan import production
from kaquan.cards import Batch, CardForm
from kaquan.kit.outcomes import Refusal
from kaquan.production import Export, NewExport
from kaquan.production import store as production_store
from kaquan.production.outcomes import APPROVAL_USED

__all__ = ["keyring", "world"]

READER = public_pem(KEYS["x25519"])


async def export(world: World, batch: Batch, **how: Any) -> tuple[Export | Refusal, bytes]:
    stream = io.BytesIO()
    approve = how.pop("approve", production.nobody_approves)
    new = NewExport(**{"batch_id": batch.id, "kind": "csv", "public_key": READER, **how})
    result = await production.export_batch(
        world.pool,
        world.press,
        world.clock,
        book_id=world.book_id,
        new=new,
        stream=stream,
        exported_by="test",
        approve=approve,
    )
    return result, stream.getvalue()


async def made(world: World, count: int = 250, **fields: Any) -> Batch:
    batch = await world.batch(count, **fields)
    done = await world.run(batch)
    assert isinstance(done, Batch)
    return done


def rows_of(content: bytes) -> list[list[str]]:
    head, *lines = content.decode().split("\r\n")[:-1]
    assert head == "sequence,number,secret,pin"
    return [line.split(",") for line in lines]


async def exports(world: World, batch: Batch) -> list[Export]:
    found = await production.list_exports(world.pool, book_id=world.book_id, batch_id=batch.id)
    assert not isinstance(found, Refusal)
    return found


def refused(result: object, code: str, field: str) -> None:
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    assert "{" not in result.message("en") + result.message("zh")


async def test_a_batch_is_given_out_once(world: World) -> None:
    batch = await made(world)
    result, envelope = await export(world, batch, with_pin=True)
    assert isinstance(result, Export)
    assert (result.turn, result.card_count, result.size_bytes) == (1, 250, len(envelope))
    rows = rows_of(opened(envelope, KEYS["x25519"]))
    assert [row[0] for row in rows] == [str(n) for n in range(1, 251)]
    assert all(luhn.is_valid(row[1]) and len(row[2]) == 12 and len(row[3]) == 6 for row in rows)
    assert len({row[1] for row in rows}) == len({row[2] for row in rows}) == 250
    assert rows[0][1].encode() not in envelope
    again, nothing = await export(world, batch)
    refused(again, "already_exported", "id")
    assert nothing == b""
    assert await exports(world, batch) == [result]
    # neither numbers nor secrets lie anywhere in clear
    kept = await world.rows("SELECT secret_sealed, pin_sealed FROM cards_secret WHERE book_id = %s", world.book_id)
    assert len(kept) == 250
    text = b"".join(bytes(part) for row in kept for part in row)
    assert not any(row[2].encode() in text for row in rows)


async def test_another_file_needs_an_approval_of_its_own(world: World) -> None:
    batch = await made(world, 30)
    first, envelope = await export(world, batch)
    assert isinstance(first, Export)
    refused((await export(world, batch, approval_id="a1"))[0], "not_found", "approval_id")

    async def approve(approval_id: str, asked: Batch) -> Refusal | None:
        assert asked.id == batch.id
        return None if approval_id.startswith("a") else APPROVAL_USED.refuse("approval_id")

    refused((await export(world, batch, approval_id="b1", approve=approve))[0], "approval_used", "approval_id")
    second, other = await export(world, batch, approval_id="a1", approve=approve, kind="fixed_width")
    assert isinstance(second, Export)
    assert (second.turn, second.approval_id) == (2, "a1")
    secrets = {row[1]: row[2] for row in rows_of(opened(envelope, KEYS["x25519"]))}
    again = opened(other, KEYS["x25519"]).decode().splitlines()
    assert {line[8:27]: line[27:39] for line in again} == secrets, "the cards were printed with these secrets"
    refused((await export(world, batch, approval_id="a1", approve=approve))[0], "approval_used", "approval_id")
    assert [found.turn for found in await exports(world, batch)] == [2, 1]


async def test_of_two_at_once_one_is_given_out(world: World) -> None:
    batch = await made(world, 60)
    results = [result for result, _ in await asyncio.gather(export(world, batch), export(world, batch))]
    assert sum(isinstance(result, Export) for result in results) == 1
    refused(next(result for result in results if isinstance(result, Refusal)), "already_exported", "id")
    assert len(await exports(world, batch)) == 1


async def test_an_export_that_is_stopped_gave_out_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = await made(world, 60)

    async def die(*_: Any, **__: Any) -> None:
        raise KeyError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(production_store, "post_export", die)
        with pytest.raises(KeyError):
            await export(world, batch)
    assert await exports(world, batch) == []
    result, envelope = await export(world, batch, with_pin=True)
    assert isinstance(result, Export)
    assert all(row[3] for row in rows_of(opened(envelope, KEYS["x25519"])))


async def test_what_an_export_is_refused_for(world: World) -> None:
    batch = await world.batch(10)
    digital = await made(world, 10, name="digital", form=CardForm.DIGITAL)
    refused((await export(world, batch))[0], "batch_not_finished", "id")
    refused((await export(world, digital))[0], "not_a_physical_batch", "id")
    refused((await export(world, batch, kind="xml"))[0], "invalid_field", "kind")
    refused((await export(world, batch, public_key="x"))[0], "invalid_field", "public_key")
    refused((await export(world, batch, batch_id=UUID(int=1)))[0], "not_found", "id")
    other = await World(world.pool, world.clock, world.ids, world.keyring).open()
    refused((await export(other, batch))[0], "not_found", "id")
    for known in (batch, digital):
        assert await exports(world, known) == []
    assert await world.rows("SELECT 1 FROM cards_secret WHERE book_id = %s", world.book_id) == []


async def test_batches_at_once_do_not_take_the_same_room(world: World) -> None:
    small = await world.make_programme("77777777")
    wanted = [world.create(4_000, programme_id=small.id, name=f"n{n}") for n in range(5)]
    results = await asyncio.gather(*wanted)
    batches = [result for result in results if isinstance(result, Batch)]
    assert len(batches) == 2  # 10,000 numbers may be cards
    for result in results:
        if isinstance(result, Refusal):
            refused(result, "number_space_too_small", "card_count")
    ((promised,),) = await world.rows("SELECT sum(card_count) FROM cards_batch WHERE programme_id = %s", small.id)
    assert promised == 8_000


async def test_the_rule_of_the_house_says_how_hard_guessing_must_be(world: World) -> None:
    from kaquan import cards

    small = await world.make_programme("66666666")
    new = cards.NewBatch(programme_id=small.id, name="n", form=CardForm.PHYSICAL, card_count=11)
    for guesses, code in ((10**9, "number_space_too_small"), (10**8, None)):
        result = await cards.create_batch(
            world.pool, world.clock, world.ids, book_id=world.book_id, slots=SLOTS, new=new, guesses_per_card=guesses
        )
        assert (result.code if isinstance(result, Refusal) else None) == code
