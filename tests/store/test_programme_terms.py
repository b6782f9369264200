"""Versions of terms in a real database: changed once by one approval, known in memory, kept by cards and batches."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.town import KEYRING, HandClock, Town, any_customer, audits_hold

from kaquan import cards
from kaquan.cards import Approved, CardForm, NewBatch, Press, Programme, ProgrammeChange, Restriction
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties.staff import (
    Approval,
    ApprovalKind,
    ApprovalStatus,
    NewApproval,
    Operator,
    Role,
    approve,
    create_operator,
    get_approval,
    propose,
)
from kaquan.parties.trail import Actor


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    made = await Town.found(
        database, clock=HandClock(), max_balance_fen=1_000, restricted_to=Restriction(trades=frozenset({"canteen"}))
    )
    yield made
    await made.close()


async def approved(town: Town, **payload: Any) -> Approved:
    """An approval of a change by two operators."""
    app = town.apps[0]
    people = []
    for role in (Role.OPERATOR, Role.APPROVER):
        made = await create_operator(
            app.pool, app.clock, town.ids, book_id=town.book_id, code=town.ids.new().hex, name="n",
            roles=frozenset({role}),
        )  # fmt: skip
        assert isinstance(made, Operator)
        people.append(Actor(operator_id=made.id))
    new = NewApproval(
        kind=ApprovalKind.PROGRAMME_CHANGE, subject=show_id(Prefix.PROGRAMME, town.programme.id), payload=payload,
        reason="新条款", ttl_s=3_600,
    )  # fmt: skip
    proposed = await propose(app.pool, app.clock, town.ids, book_id=town.book_id, new=new, by=people[0])
    assert isinstance(proposed, Approval)
    done = await approve(app.pool, app.clock, town.ids, book_id=town.book_id, id_=proposed.id, by=people[1])
    assert isinstance(done, Approval)
    return Approved(proposed.id, payload)


async def change(town: Town, by: Approved, **terms: Any) -> Programme | Refusal:
    app = town.apps[0]
    return await cards.change_programme(
        app.pool, app.clock, town.ids, book_id=town.book_id, programme_id=town.programme.id,
        change=ProgrammeChange(**terms), approved=by, by=Actor(),
    )  # fmt: skip


async def test_one_approval_makes_one_version_however_many_try(town: Town) -> None:
    by = await approved(town, cap="any")
    done = await asyncio.gather(*(change(town, by, max_balance_fen=2_000 + number) for number in range(6)))
    made = [one for one in done if isinstance(one, Programme)]
    assert [one.version for one in made] == [2]
    assert {one.code for one in done if isinstance(one, Refusal)} == {"approval_not_approved"}
    versions = await cards.list_terms(town.apps[0].pool, book_id=town.book_id, programme_id=town.programme.id)
    assert not isinstance(versions, Refusal)
    assert [(row.version, row.terms.max_balance_fen) for row in versions] == [(2, made[0].max_balance_fen), (1, 1_000)]
    found = await get_approval(town.apps[0].pool, book_id=town.book_id, id_=by.approval_id)
    assert isinstance(found, Approval)
    assert found.status is ApprovalStatus.EXECUTED


async def test_an_expired_approval_changes_nothing(town: Town) -> None:
    by = await approved(town, cap="any")
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    clock.move(timedelta(hours=2))
    before = await town.count("cards_programme_terms")
    refused = await change(town, by, max_balance_fen=2_000)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("approval_not_approved", "approval_id")
    assert await town.count("cards_programme_terms") == before


async def test_payments_follow_the_terms_of_each_card(town: Town) -> None:
    app = town.apps[0]
    old = await town.new_card(load_fen=900)
    batch = await cards.create_batch(
        app.pool, app.clock, town.ids, book_id=town.book_id, slots=app.slots,
        new=NewBatch(programme_id=town.programme.id, name="before", form=CardForm.DIGITAL, card_count=2),
    )  # fmt: skip
    assert not isinstance(batch, Refusal)
    assert isinstance(await change(town, await approved(town), max_balance_fen=500, restricted_to=None), Programme)
    new = await town.new_card(load_fen=500)
    assert set(await town.held(old)) == {"card_principal", "card_bonus", "card_restricted"}
    assert set(await town.held(new)) == {"card_principal", "card_bonus"}
    assert (await town.load(new, 1)).code == "balance_cap_exceeded"
    assert (await town.load(old, 101)).code == "balance_cap_exceeded"
    assert (await town.load(old, 100)).code is None
    for version, cap_fen in ((1, 1_000), (2, 500), (None, 500)):
        known = app.programmes.get(town.book_id, town.programme.id, version)
        assert known is not None
        assert known.max_balance_fen == cap_fen
    # a batch that was ordered before is of the terms that it was ordered under
    press = Press(KEYRING, app.slots, town.ids)
    done = await cards.run_batch(app.pool, press, app.clock, book_id=town.book_id, batch_id=batch.id)
    assert not isinstance(done, Refusal)
    page = await cards.list_cards(
        app.pool, book_id=town.book_id, slots=app.slots, search=cards.Search(batch_id=batch.id)
    )
    assert [card.terms_version for card in page.data] == [1, 1]
    await audits_hold(town.conninfo)


async def test_balance_does_not_leave_its_restriction(town: Town) -> None:
    app = town.apps[0]
    old = await town.new_card(load_fen=100)
    assert isinstance(await change(town, await approved(town), restricted_to=None), Programme)
    new = await town.new_card()
    customer_id = town.ids.new()
    for card_id in (old, new):
        bound = await cards.register_card(
            app.pool, town.hand(), any_customer, book_id=town.book_id, slots=app.slots, card_id=card_id,
            customer_id=customer_id,
        )  # fmt: skip
        assert not isinstance(bound, Refusal)
    refused = await cards.transfer_balance(
        app.pool, town.hand(), book_id=town.book_id, slots=app.slots, from_card_id=old, to_card_id=new
    )
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("cards_do_not_match", "to_card_id")
    assert await town.available_fen(old) == 100
    assert await town.available_fen(new) == 0
