"""Fees in an installation of several slots, under changes that race, and the audit that adds them up again."""

import asyncio
import os
from collections.abc import AsyncIterator
from uuid import UUID

import psycopg
import pytest
from tests.conftest import make_database
from tests.town import KEYRING, HandClock, Town, audits_hold

from kaquan import cards
from kaquan.audit import run_audits
from kaquan.cards import BlockReason, Card, CardStatus, Fees, Press, Replacement
from kaquan.kit.outcomes import Refusal

SLOTS = (3, 40)


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    return make_database(server, f"test_fees_{os.getpid()}", SLOTS)


@pytest.fixture
async def town(own_database: str) -> AsyncIterator[Town]:
    town = await Town.found(own_database, clock=HandClock(), slots=SLOTS, fees=Fees(replacement_fen=300))
    yield town
    await town.close()


async def replace(town: Town, card_id: UUID) -> Replacement | Refusal:
    app = town.apps[0]
    return await cards.replace_card(
        app.pool, town.hand(), Press(KEYRING, app.slots, town.ids), book_id=town.book_id, slots=app.slots,
        card_id=card_id, reason="r",
    )  # fmt: skip


async def test_a_fee_is_charged_once_whatever_races_with_it(town: Town) -> None:
    for _ in range(4):
        card_id = await town.new_card(load_fen=1_000)
        done = await asyncio.gather(
            replace(town, card_id), replace(town, card_id), town.purchase(card_id, 800), town.purchase(card_id, 100)
        )
        made = [one for one in done[:2] if isinstance(one, Replacement)]
        # either the purchases came first and left too little, or one replacement took its fee
        assert len(made) <= 1
        for one in made:
            assert one.fee is not None
            assert one.fee.amount_fen == 300
            left = await town.available_fen(one.new.id)
            spent = sum(told.body["amount_fen"] for told in done[2:] if told.code is None)
            assert left + await town.available_fen(card_id) == 1_000 - 300 - spent
    await audits_hold(town.conninfo)


async def test_a_block_and_a_charged_replacement_take_their_locks_in_one_order(town: Town) -> None:
    app = town.apps[0]

    async def block(card_id: UUID) -> Card | Refusal:
        return await cards.block_card(
            app.pool, town.hand(), book_id=town.book_id, slots=app.slots, card_id=card_id, reason=BlockReason.RISK
        )

    for _ in range(6):
        card_id = await town.new_card(load_fen=1_000)
        done, blocked = await asyncio.gather(replace(town, card_id), block(card_id))
        if isinstance(done, Refusal):
            assert done.code == "card_blocked"
            assert isinstance(blocked, Card)
            assert await town.available_fen(card_id) == 1_000
        else:
            assert done.old.status is CardStatus.REPLACED
            assert await town.available_fen(done.new.id) == 700
    await audits_hold(town.conninfo)


DAMAGES = {
    "a fee that was lowered": (
        "UPDATE cards_fee SET amount_fen = amount_fen - 1",
        "UPDATE cards_fee SET amount_fen = amount_fen + 1",
    ),
    "a fee that nobody knows of": (
        "CREATE TABLE kept AS SELECT * FROM cards_fee; DELETE FROM cards_fee",
        "INSERT INTO cards_fee SELECT * FROM kept; DROP TABLE kept",
    ),
    "value that came to the fees": (
        "UPDATE ledger_account SET credits_posted = credits_posted + 1 WHERE kind = 'issuer_fees'",
        "UPDATE ledger_account SET credits_posted = credits_posted - 1 WHERE kind = 'issuer_fees'",
    ),
}


async def test_the_audit_sees_what_was_damaged(town: Town) -> None:
    assert isinstance(await replace(town, await town.new_card(load_fen=1_000)), Replacement)
    for name, (damage, repair) in DAMAGES.items():
        with psycopg.connect(town.conninfo, autocommit=True) as connection:
            for statement in damage.split(";"):
                connection.execute(statement.encode())
            report = await run_audits(town.conninfo, names=["fees"])
            assert not report.holds, name
            for statement in repair.split(";"):
                connection.execute(statement.encode())
    await audits_hold(town.conninfo)
