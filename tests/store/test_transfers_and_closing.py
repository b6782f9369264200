"""Balance on its way to a card that is closed meanwhile: it comes back, and no closed card ever holds anything."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from tests.conftest import make_database
from tests.store.test_card_transfers import Movers, refused
from tests.store.test_closing import HOLDER, SLOTS, TERMS, TRANSFER, close, history, posted, quote
from tests.town import HandClock, Town, audits_hold

from kaquan import cards, closing
from kaquan.cards import CardStatus, Transfer, TransferKind, TransferStatus, store
from kaquan.cards.transfer import Mover, finish_transfer, new_transfer
from kaquan.closing import close as closing_desk
from kaquan.kit.outcomes import Refusal

HERE, THERE = SLOTS


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    """The sweeps look at every book of a database, so these tests have one of their own."""
    return make_database(server, f"test_transfers_and_closing_{os.getpid()}", SLOTS)


@pytest.fixture
async def movers(own_database: str) -> AsyncIterator[Movers]:
    clock = HandClock()
    town = await Town.found(
        own_database, clock=clock, slots=SLOTS, processes=2, principal_valid_days=365, bonus_valid_days=30
    )
    app = town.apps[0]
    done = await closing.set_terms(
        app.pool, app.clock, app.ids, app.policy, book_id=town.book_id, programme_id=town.programme.id, terms=TERMS
    )
    assert done == TERMS
    yield Movers(town, clock)
    await town.close()
    await audits_hold(own_database)


async def begin(movers: Movers, source: UUID, target: UUID, *, steps: int = 1) -> Transfer:
    """A transfer that somebody began and left: after the intent (0), or when the value had left (1)."""
    intent = new_transfer(movers.town.hand(), TransferKind.BALANCE, source=await movers.get(source), target_id=target)
    assert await store.post_together(movers.pool, store.add_transfer(intent))
    if steps:
        await Mover(movers.pool, movers.town.hand(), movers.slots).leave(intent)
    return await again(movers, intent)


async def again(movers: Movers, transfer: Transfer) -> Transfer:
    found = await store.load_transfer(movers.pool, book_id=movers.book_id, slot=transfer.slot, transfer_id=transfer.id)
    assert found is not None
    return found


async def test_no_card_is_closed_while_balance_is_on_its_way(movers: Movers) -> None:
    for steps in (0, 1):
        source, target = await movers.card(1_000, 100, slot=HERE), await movers.card(50, slot=THERE)
        transfer = await begin(movers, source, target, steps=steps)
        assert transfer.status is (TransferStatus.OUT if steps else TransferStatus.OPEN)
        before = await history(movers.town), await movers.everything()
        for card_id in (source, target):
            told = await quote(movers.town, card_id, HOLDER)
            refused(told, "card_has_transfer", "id")
            assert (await close(movers.town, card_id, HOLDER)).code == "card_has_transfer"
        assert (await history(movers.town), await movers.everything()) == before
        assert await movers.sweep() == 1
        assert (await close(movers.town, target, HOLDER)).code is None
        assert (await close(movers.town, source, HOLDER, payee=None)).code is None
    # what arrived was refunded with the rest
    assert (await posted(movers.town, movers.town.issuer.id))["refund_payable"] == 2 * (1_000 + 50)


async def test_what_left_for_a_card_that_was_closed_in_the_same_moment_comes_back(
    movers: Movers, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = await movers.card(1_000, 100, slot=HERE), await movers.card(50, slot=THERE)
    await movers.town.load(source, 300, bonus_fen=30)
    before = await movers.lots(source)
    begun: list[Transfer] = []
    ask = cards.has_transfer

    async def ask_then_begin(*arguments: Any, **named: Any) -> bool:
        found = await ask(*arguments, **named)
        begun.append(await begin(movers, source, target))
        return found

    with monkeypatch.context() as patch:  # the transfer begins after the closing has looked for one
        patch.setattr(closing_desk, "has_transfer", ask_then_begin)
        assert (await close(movers.town, target, HOLDER)).code is None
    (transfer,) = begun
    assert transfer.status is TransferStatus.OUT
    assert await movers.town.available_fen(source) == 0
    # the card that gave is not closed under it
    assert (await close(movers.town, source, HOLDER, payee=None)).code == "card_has_transfer"
    await audits_hold(movers.town.conninfo)
    told = await asyncio.gather(
        *(
            finish_transfer(movers.pool, movers.town.hand(n % 2), slots=movers.slots, transfer=transfer)
            for n in range(4)
        )
    )
    for one in told:
        refused(one, "card_closed", "to_card_id")
    ended = await again(movers, transfer)
    assert (ended.status, ended.amount_fen) == (TransferStatus.ABANDONED, 1_430)
    assert await movers.lots(source) == before, "the lots that it left, with their terms"
    assert await movers.town.available_fen(target) == 0
    assert (await movers.town.held(movers.town.issuer.id))["transfer_clearing"].posted_fen == 0
    await audits_hold(movers.town.conninfo)
    # it is spent and refunded as if it had never left
    assert (await movers.town.purchase(source, 130)).code is None
    assert (await close(movers.town, source, HOLDER)).code is None


async def test_what_arrived_before_the_closing_is_part_of_its_refund(movers: Movers) -> None:
    """Who carried it died before the intent said so: nobody brings it back a second time."""
    source, target = await movers.card(1_000, slot=HERE), await movers.card(slot=THERE)
    transfer = await begin(movers, source, target)
    await Mover(movers.pool, movers.town.hand(), movers.slots).arrive(transfer)
    await movers.rows("UPDATE cards_transfer SET status = 'out' WHERE id = %s RETURNING 1", transfer.id)
    assert (await close(movers.town, target, HOLDER)).code == "card_has_transfer"
    assert await movers.sweep() == 1
    assert (await close(movers.town, target, HOLDER)).code is None
    await Mover(movers.pool, movers.town.hand(), movers.slots).arrive(transfer)  # somebody who is very late
    assert (await again(movers, transfer)).status is TransferStatus.COMPLETED
    assert (await posted(movers.town, movers.town.issuer.id))["refund_payable"] == 1_000
    assert await movers.town.available_fen(source) == 0


async def test_a_card_that_was_blocked_meanwhile_keeps_what_arrives(movers: Movers) -> None:
    source, target = await movers.card(1_000, slot=HERE), await movers.card(slot=THERE)
    await begin(movers, source, target)
    await movers.town.block(target)
    assert await movers.sweep() == 1
    assert await movers.town.available_fen(target) == 1_000
    assert (await movers.town.purchase(target, 1)).code == "card_blocked"
    await movers.town.unblock(target)
    assert (await movers.town.purchase(target, 1)).code is None


async def test_transfers_beside_closings_lose_nothing_and_leave_closed_cards_empty(movers: Movers) -> None:
    ring = [await movers.card(1_000, slot=slot) for slot in SLOTS for _ in range(4)]
    work: list[Any] = []
    for n, source in enumerate(ring):
        for target in (ring[(n + 4) % 8], ring[(n + 1) % 8]):
            work.append(movers.move(source, target))
        if n % 2:
            work.append(close(movers.town, source, HOLDER, process=n % 2))
    told = await asyncio.gather(*work)
    codes = {one.code for one in told if isinstance(one, Refusal)}
    assert codes <= {
        "nothing_to_transfer", "busy", "card_closed", "card_has_transfer", "quote_changed", "transfer_exceeds_cap"
    }, codes  # fmt: skip
    await movers.sweep()
    for card_id in ring[1::2]:
        if (await movers.get(card_id)).status is not CardStatus.CLOSED:
            empty = await movers.town.available_fen(card_id) == 0
            assert (await close(movers.town, card_id, HOLDER, payee=None if empty else TRANSFER)).code is None
        assert await posted(movers.town, card_id) == {}
    left_fen = sum([await movers.town.available_fen(card_id) for card_id in ring])
    issuer = await posted(movers.town, movers.town.issuer.id)
    assert left_fen + issuer.get("refund_payable", 0) == 8_000
    assert "transfer_clearing" not in issuer
    assert {status for _, status, _ in await movers.transfers()} <= {"completed", "abandoned"}
