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
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import staff
from kaquan.parties.staff import Approval, ApprovalKind, ApprovalStatus, NewApproval, Operator, Role
from kaquan.parties.trail import Actor
from kaquan.production import Export, NewExport
from kaquan.production import store as production_store

__all__ = ["keyring", "world"]

READER = public_pem(KEYS["x25519"])


async def export(world: World, batch: Batch, **how: Any) -> tuple[Export | Refusal, bytes]:
    stream = io.BytesIO()
    new = NewExport(**{"batch_id": batch.id, "kind": "csv", "public_key": READER, **how})
    result = await production.export_batch(
        world.pool,
        world.press,
        world.clock,
        book_id=world.book_id,
        new=new,
        stream=stream,
        exported_by="test",
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


class Office:
    """Two operators of a book, of whom one proposes another file and the other allows it."""

    def __init__(self, world: World, operators: list[Operator]) -> None:
        self.world = world
        self.operators = operators

    @classmethod
    async def open(cls, world: World) -> "Office":
        operators = []
        for code in ("ann", "bob"):
            hired = await staff.create_operator(
                world.pool,
                world.clock,
                world.ids,
                book_id=world.book_id,
                code=code,
                name=code,
                roles=frozenset({Role.ADMIN}),
                store_ids=None,
            )
            assert isinstance(hired, Operator)
            operators.append(hired)
        return cls(world, operators)

    async def proposed(self, subject: str, payload: dict[str, Any], ttl_s: int = 3_600) -> Approval:
        new = NewApproval(
            kind=ApprovalKind.BATCH_EXPORT, subject=subject, payload=payload, reason="lost in the mail", ttl_s=ttl_s
        )
        made = await staff.propose(
            self.world.pool,
            self.world.clock,
            self.world.ids,
            book_id=self.world.book_id,
            new=new,
            by=Actor(operator_id=self.operators[0].id),
        )
        assert isinstance(made, Approval)
        return made

    async def approved(self, subject: str, payload: dict[str, Any]) -> Approval:
        decided = await staff.approve(
            self.world.pool,
            self.world.clock,
            self.world.ids,
            book_id=self.world.book_id,
            id_=(await self.proposed(subject, payload)).id,
            by=Actor(operator_id=self.operators[1].id),
        )
        assert isinstance(decided, Approval)
        return decided

    async def status(self, approval: Approval) -> ApprovalStatus:
        found = await staff.get_approval(self.world.pool, book_id=self.world.book_id, id_=approval.id)
        assert isinstance(found, Approval)
        return found.status


async def test_another_file_needs_an_approval_of_its_own(world: World) -> None:
    batch = await made(world, 30)
    first, envelope = await export(world, batch)
    assert isinstance(first, Export)
    office = await Office.open(world)
    subject = show_id(Prefix.BATCH, batch.id)
    payload = {"kind": "fixed_width", "reader_fingerprint": first.reader_fingerprint, "with_pin": False}
    asked = {"kind": "fixed_width"}

    refused((await export(world, batch, approval_id=UUID(int=1), **asked))[0], "not_found", "approval_id")
    proposed = await office.proposed(subject, payload)
    result, nothing = await export(world, batch, approval_id=proposed.id, **asked)
    refused(result, "approval_not_approved", "approval_id")
    assert nothing == b""
    for other_subject, other_payload in (
        (show_id(Prefix.BATCH, UUID(int=1)), payload),
        (subject, {**payload, "with_pin": True}),
        (subject, {**payload, "kind": "csv"}),
        (subject, {**payload, "reader_fingerprint": "0" * 64}),
    ):
        other = await office.approved(other_subject, other_payload)
        result, nothing = await export(world, batch, approval_id=other.id, **asked)
        refused(result, "approval_for_something_else", "approval_id")
        assert (nothing, await office.status(other)) == (b"", ApprovalStatus.APPROVED)
    assert await exports(world, batch) == [first]

    approval = await office.approved(subject, payload)
    second, again = await export(world, batch, approval_id=approval.id, **asked)
    assert isinstance(second, Export)
    assert second.turn == 2
    assert second.approval_id == approval.id
    assert await office.status(approval) is ApprovalStatus.EXECUTED
    secrets = {row[1]: row[2] for row in rows_of(opened(envelope, KEYS["x25519"]))}
    lines = opened(again, KEYS["x25519"]).decode().splitlines()
    assert {line[8:27]: line[27:39] for line in lines} == secrets, "the cards were printed with these secrets"
    refused((await export(world, batch, approval_id=approval.id, **asked))[0], "approval_not_approved", "approval_id")
    assert [found.turn for found in await exports(world, batch)] == [2, 1]


async def test_an_approval_is_executed_once_however_many_ask_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await made(world, 30)
    first, _ = await export(world, batch)
    assert isinstance(first, Export)
    office = await Office.open(world)
    payload = {"kind": "csv", "reader_fingerprint": first.reader_fingerprint, "with_pin": False}
    approval = await office.approved(show_id(Prefix.BATCH, batch.id), payload)
    with monkeypatch.context() as patch:
        # one that is stopped when the file is written has executed nothing
        patch.setattr(production_store, "post_export", _die)
        with pytest.raises(KeyError):
            await export(world, batch, approval_id=approval.id)
    assert await office.status(approval) is ApprovalStatus.APPROVED
    asked = [export(world, batch, approval_id=approval.id) for _ in range(3)]
    results = [result for result, _ in await asyncio.gather(*asked)]
    assert sum(isinstance(result, Export) for result in results) == 1
    for result in results:
        if isinstance(result, Refusal):
            refused(result, "approval_not_approved", "approval_id")
    assert [found.turn for found in await exports(world, batch)] == [2, 1]


async def _die(*_: Any, **__: Any) -> None:
    raise KeyError("killed")


async def test_of_two_at_once_one_is_given_out(world: World) -> None:
    batch = await made(world, 60)
    results = [result for result, _ in await asyncio.gather(export(world, batch), export(world, batch))]
    assert sum(isinstance(result, Export) for result in results) == 1
    refused(next(result for result in results if isinstance(result, Refusal)), "already_exported", "id")
    assert len(await exports(world, batch)) == 1


async def test_an_export_that_is_stopped_gave_out_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = await made(world, 60)

    with monkeypatch.context() as patch:
        patch.setattr(production_store, "post_export", _die)
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
