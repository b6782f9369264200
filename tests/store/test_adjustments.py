"""Adjustments in an installation of four slots, and the audit that adds them up again."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from tests.conftest import make_database
from tests.store.test_closing import HOLDER, SLOTS, close, quote
from tests.town import HandClock, Town

from kaquan.audit import run_audits
from kaquan.cards import Pocket
from kaquan.cards.adjustments import (
    AdjustmentReason,
    AdjustmentSearch,
    Direction,
    NewAdjustment,
    adjust_card,
    list_adjustments,
)
from kaquan.kit.db import Connection
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey, hash_key, hash_request
from kaquan.parties.staff import ApprovalKind, NewApproval, Role, approve, claim_approval, create_operator, propose
from kaquan.parties.trail import Actor


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    return make_database(server, f"test_adjustments_{os.getpid()}", SLOTS)


class Desk:
    """Two operators of a town."""

    def __init__(self, town: Town, li: Actor, wang: Actor) -> None:
        self.town, self.li, self.wang = town, li, wang
        self.args = (town.apps[0].pool, town.apps[0].clock, town.ids)

    async def adjust(self, card_id: UUID, **how: Any) -> Answer | Refusal:
        """An adjustment as two made it."""
        told = {"pocket": Pocket.PRINCIPAL, "direction": Direction.CREDIT, "amount_fen": 500, **how}
        new = NewAdjustment(card_id=card_id, reason=AdjustmentReason.GOODWILL, note="n", **told)
        payload = {**msgspec.to_builtins(new), "card_id": show_id(Prefix.CARD, card_id)}
        book_id, subject = self.town.book_id, show_id(Prefix.CARD, card_id)
        proposed = await propose(
            *self.args,
            book_id=book_id,
            new=NewApproval(kind=ApprovalKind.ADJUSTMENT, subject=subject, payload=payload, reason="r", ttl_s=3_600),
            by=self.li,
        )
        assert not isinstance(proposed, Refusal)
        approved = await approve(*self.args, book_id=book_id, id_=proposed.id, by=self.wang)
        assert not isinstance(approved, Refusal)

        async def claim(connection: Connection) -> Refusal | None:
            claimed = await claim_approval(
                connection, self.args[1], self.args[2], book_id=book_id, id_=proposed.id, kind=ApprovalKind.ADJUSTMENT,
                subject=subject, payload=payload, by=self.li,
            )  # fmt: skip
            return claimed if isinstance(claimed, Refusal) else None

        name = self.town.ids.new().hex
        return await adjust_card(
            *self.args,
            book_id=book_id,
            slots=SLOTS,
            new=new,
            approval_id=proposed.id,
            approve=claim,
            by=self.li,
            key=RequestKey(name, hash_key(book_id, name), hash_request("POST", "/v1/adjustments", b"")),
            render=lambda made: Answer(201, made.id.hex.encode()),
        )


@pytest.fixture
async def desk(own_database: str) -> AsyncIterator[Desk]:
    town = await Town.found(own_database, clock=HandClock(), slots=SLOTS, principal_valid_days=30)
    app, people = town.apps[0], []
    for code in ("li", "wang"):
        made = await create_operator(
            app.pool, app.clock, town.ids, book_id=town.book_id, code=code, name=code, roles=frozenset({Role.ADMIN})
        )
        assert not isinstance(made, Refusal)
        people.append(Actor(None, made.id))
    yield Desk(town, *people)
    await town.close()


async def test_what_was_adjusted_is_spent_refunded_and_listed_like_any_value(desk: Desk) -> None:
    town = desk.town
    cards = [await town.new_card(load_fen=1_000) for _ in range(6)]
    while len({town.slot_of(card_id) for card_id in cards}) == 1:  # the list goes over slots
        cards.append(await town.new_card(load_fen=1_000))
    for card_id in cards:
        made = await desk.adjust(card_id)
        assert isinstance(made, Answer), made
    page = await list_adjustments(
        town.apps[0].pool, book_id=town.book_id, slots=SLOTS, search=AdjustmentSearch(limit=4)
    )
    assert [one.card_id for one in page.data] == list(reversed(cards))[:4]
    assert page.next_cursor is not None
    first = cards[0]
    assert (await town.purchase(first, 1_200)).code is None
    assert await town.available_fen(first) == 300
    # its lot ends like one that was loaded
    town.apps[0].clock.move(timedelta(days=32))  # type: ignore[attr-defined]
    assert (await town.purchase(first, 1)).code == "insufficient_funds"
    refused = await desk.adjust(first, direction=Direction.DEBIT, amount_fen=1)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.details) == ("adjustment_exceeds_balance", {"available_fen": 0})
    report = await run_audits(town.conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]


async def test_a_card_with_a_credit_is_closed_for_what_was_put_on_it(desk: Desk) -> None:
    town = desk.town
    card_id = await town.new_card(load_fen=1_000)
    assert isinstance(await desk.adjust(card_id, amount_fen=250), Answer)
    assert isinstance(await desk.adjust(card_id, pocket=Pocket.BONUS, amount_fen=70), Answer)
    assert (await quote(town, card_id, HOLDER)).amount_fen == 1_250
    assert (await close(town, card_id, HOLDER)).code is None
    assert await town.available_fen(card_id) == 0
    report = await run_audits(town.conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]


DAMAGES = {
    "a row that was raised": (
        "UPDATE cards_adjustment SET amount_fen = amount_fen + 1",
        "UPDATE cards_adjustment SET amount_fen = amount_fen - 1",
    ),
    "a row that went away": (
        "CREATE TABLE kept AS SELECT * FROM cards_adjustment; DELETE FROM cards_adjustment",
        "INSERT INTO cards_adjustment SELECT * FROM kept; DROP TABLE kept",
    ),
    "another pocket than was approved": (
        "UPDATE cards_adjustment SET pocket = 'restricted' WHERE pocket = 'principal'",
        "UPDATE cards_adjustment SET pocket = 'principal' WHERE pocket = 'restricted'",
    ),
    "an approval of something else": (
        "UPDATE parties_approval SET kind = 'closing' WHERE kind = 'adjustment'",
        "UPDATE parties_approval SET kind = 'adjustment' WHERE kind = 'closing'",
    ),
}


async def test_the_audit_sees_what_was_damaged(desk: Desk) -> None:
    card_id = await desk.town.new_card(load_fen=1_000)
    assert isinstance(await desk.adjust(card_id), Answer)
    assert isinstance(await desk.adjust(card_id, direction=Direction.DEBIT, amount_fen=900), Answer)
    conninfo = desk.town.conninfo
    for name, (damage, repair) in DAMAGES.items():
        with psycopg.connect(conninfo, autocommit=True) as connection:
            for statement in damage.split(";"):
                connection.execute(statement.encode())
            report = await run_audits(conninfo, names=["adjustments"])
            assert not report.holds, name
            for statement in repair.split(";"):
                connection.execute(statement.encode())
    report = await run_audits(conninfo)
    assert report.holds, [(audit.name, audit.findings) for audit in report.audits if not audit.holds]
