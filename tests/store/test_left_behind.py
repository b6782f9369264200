"""What comes back to a card that was replaced: it follows the card, or is released to its holder. Nothing is stuck."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.conftest import make_database
from tests.store.test_card_transfers import Movers
from tests.store.test_closing import (
    CASH,
    CHECKER,
    HOLDER,
    MAKER,
    SLOTS,
    TERMS,
    TRANSFER,
    Told,
    _render,
    close,
    extend,
    mark_paid,
    once,
    posted,
    sweep,
    today,
)
from tests.town import KEYRING, HandClock, Town, audits_hold

from kaquan import cards, closing
from kaquan.audit import run_audits
from kaquan.cards import CardStatus, Replacement
from kaquan.closing import Payee
from kaquan.kit.db import Connection
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, RequestKey
from kaquan.parties.staff import ApprovalKind, NewApproval, Role, approve, claim_approval, create_operator, propose
from kaquan.parties.trail import Actor

VALID_DAYS = 30


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    return make_database(server, f"test_left_behind_{os.getpid()}", SLOTS)


@pytest.fixture
async def movers(own_database: str) -> AsyncIterator[Movers]:
    clock = HandClock()
    town = await Town.found(
        own_database, clock=clock, slots=SLOTS, processes=2, principal_valid_days=VALID_DAYS, bonus_valid_days=10
    )
    app = town.apps[0]
    await closing.set_terms(
        app.pool, app.clock, app.ids, app.policy, book_id=town.book_id, programme_id=town.programme.id, terms=TERMS
    )
    yield Movers(town, clock)
    await town.close()
    await audits_hold(own_database)


async def worker(movers: Movers, process: int = 0) -> None:
    app = movers.town.apps[process]
    await closing.return_swept(app.pool, app.clock, app.ids, SLOTS)
    await movers.sweep()
    await sweep(movers.town, process=process)


async def successor(movers: Movers, card_id: UUID) -> UUID:
    done = await movers.replace(card_id)
    assert isinstance(done, Replacement)
    return done.new.id


async def two_people(movers: Movers) -> tuple[Actor, Actor]:
    app, people = movers.app, []
    for code in ("li", "wang"):
        made = await create_operator(
            app.pool, app.clock, app.ids, book_id=movers.book_id, code=code, name=code, roles=frozenset({Role.ADMIN})
        )
        assert not isinstance(made, Refusal)
        people.append(Actor(None, made.id))
    return people[0], people[1]


async def approved(movers: Movers, card_id: UUID, reason: str, li: Actor, wang: Actor) -> UUID:
    app = movers.app
    proposed = await propose(
        app.pool, app.clock, app.ids, book_id=movers.book_id, by=li,
        new=NewApproval(
            kind=ApprovalKind.VALUE_RELEASE, subject=show_id(Prefix.CARD, card_id), payload={"reason": reason},
            reason="r", ttl_s=3_600,
        ),
    )  # fmt: skip
    assert not isinstance(proposed, Refusal)
    told = await approve(app.pool, app.clock, app.ids, book_id=movers.book_id, id_=proposed.id, by=wang)
    assert not isinstance(told, Refusal)
    return proposed.id


async def release(
    movers: Movers,
    card_id: UUID,
    approval_id: UUID,
    *,
    payee: Payee | None = TRANSFER,
    key: str | None = None,
    process: int = 0,
    reason: str = "退货",
    by: Actor = MAKER,
) -> Told:
    app = movers.town.apps[process]

    async def claim(connection: Connection) -> Refusal | None:
        claimed = await claim_approval(
            connection, app.clock, app.ids, book_id=movers.book_id, id_=approval_id, kind=ApprovalKind.VALUE_RELEASE,
            subject=show_id(Prefix.CARD, card_id), payload={"reason": reason}, by=by,
        )  # fmt: skip
        return claimed if isinstance(claimed, Refusal) else None

    def work(key: RequestKey) -> Awaitable[Answer | Refusal]:
        return closing.release_value(
            app.pool, app.clock, app.ids, KEYRING, app.refund_rules, book_id=movers.book_id, slots=SLOTS,
            card_id=card_id, reason=reason, payee=payee, approval_id=approval_id, approve=claim, by=by, key=key,
            render=_render,
        )  # fmt: skip

    return await once(movers.town, process, card_id, work, key=key)


async def findings(movers: Movers) -> list[Any]:
    report = await run_audits(movers.town.conninfo)
    assert [audit.name for audit in report.audits if not audit.holds] in ([], ["left_behind"])
    return [one for audit in report.audits for one in audit.findings]


async def test_a_refund_goes_straight_to_the_card_that_has_the_place_now(movers: Movers) -> None:
    first = await movers.card(1_000)
    spent = await movers.town.purchase(first, 400)
    second = await successor(movers, first)
    third = await successor(movers, second)
    assert (await movers.town.refund(spent.payment_id)).code is None
    await worker(movers)
    assert [await movers.town.available_fen(one) for one in (first, second, third)] == [0, 0, 1_000]
    # of the two cards before it nothing was touched on the way
    assert (await movers.transfers())[-1] == ("forward", "completed", 400)
    assert await findings(movers) == []


async def test_what_had_ended_on_a_card_follows_it_and_is_extended_there(movers: Movers) -> None:
    town = movers.town
    old = await movers.card(1_000, 100)
    movers.clock.move(timedelta(days=11))
    assert await sweep(town) == 1
    new = await successor(movers, old)
    assert await town.available_fen(new) == 1_000
    await asyncio.gather(*(worker(movers, process) for process in (0, 1)))
    await worker(movers)
    assert [(lot.expires_at, lot.remaining_fen, lot.swept_fen) for lot in await lots_of(movers, old)] == []
    swept = [lot.swept_fen for lot in await lots_of(movers, new) if lot.swept_fen]
    assert swept == [100]
    assert await town.available_fen(new) == 1_000, "it ended, and cannot be spent"
    assert (await posted(town, town.issuer.id))["expired_value"] == 100
    done = await extend(town, new, today(town) + timedelta(days=5))
    assert done.code is None
    assert done.body["returned_fen"] == 100
    assert await town.available_fen(new) == 1_100
    assert await findings(movers) == []


async def lots_of(movers: Movers, card_id: UUID) -> list[Any]:
    found = await closing.list_lots(movers.pool, book_id=movers.book_id, slots=SLOTS, card_id=card_id)
    assert not isinstance(found, Refusal)
    return [lot for lot in found if lot.remaining_fen or lot.swept_fen]


async def test_what_nobody_can_use_any_more_is_released_to_its_holder(movers: Movers) -> None:
    town = movers.town
    li, wang = await two_people(movers)
    first = await movers.card(1_000, 100)
    spent = await town.purchase(first, 220)  # all of the bonus, and 120 of the principal
    second = await successor(movers, first)
    third = await successor(movers, second)
    assert (await close(town, third, HOLDER)).code is None
    owed = (await posted(town, town.issuer.id))["refund_payable"]
    early = await approved(movers, first, "退货", li, wang)
    before = await movers.everything()
    assert (await release(movers, first, early, by=li)).code == "nothing_to_release"
    assert await movers.everything() == before
    assert (await town.refund(spent.payment_id)).code is None
    await worker(movers)
    assert await town.held(first) != {}
    (finding,) = await findings(movers)
    assert (finding.what, finding.actual) == ("free balance", "220")

    before = await movers.everything()
    for how, code in (
        ({"payee": None}, "invalid_field"),
        ({"payee": TRANSFER_TO_ANOTHER}, "payee_not_holder"),
        ({"payee": CASH, "reason": "别的"}, "approval_for_something_else"),
        ({"reason": "别的"}, "approval_for_something_else"),
    ):
        assert (await release(movers, first, early, by=li, **how)).code == code, how
    for card_id in (second, third):
        assert (await release(movers, card_id, early, by=li)).code == "nothing_to_release"
    assert await movers.everything() == before

    told = await asyncio.gather(*(release(movers, first, early, by=li, key="once", process=n % 2) for n in range(4)))
    assert [one.body for one in told] == [told[0].body] * 4
    # 220 of a load of 1,000 paid and 100 given: ten elevenths of it was paid for
    assert (told[0].body["amount_fen"], told[0].body["given_fen"]) == (200, 20)
    issuer = await posted(town, town.issuer.id)
    assert issuer["refund_payable"] == owed + 200
    assert await posted(town, first) == {}
    assert (await release(movers, first, early, by=li)).code == "nothing_to_release"
    found = await cards.list_events(movers.pool, book_id=movers.book_id, slots=SLOTS, card_id=first, limit=1)
    assert not isinstance(found, Refusal)
    assert found[1][0].kind is cards.CardEvent.RELEASED
    assert (await movers.get(first)).status is CardStatus.REPLACED
    payout = UUID(told[0].body["payout"]["id"])
    assert (await mark_paid(town, payout, by=li)).code == "four_eyes"
    assert (await mark_paid(town, payout, by=CHECKER)).code is None
    assert await findings(movers) == []


TRANSFER_TO_ANOTHER = Payee(
    method=TRANSFER.method, holder_name="王敏", account_name="李雷", account_number="62220202", bank_name="某银行"
)


async def test_a_card_that_nobody_replaced_or_that_lives_on_gives_nothing_up(movers: Movers) -> None:
    li, wang = await two_people(movers)
    old = await movers.card(1_000)
    approval = await approved(movers, old, "退货", li, wang)
    assert (await release(movers, old, approval, by=li)).code == "nothing_to_release"
    spent = await movers.town.purchase(old, 300)
    new = await successor(movers, old)
    await movers.town.refund(spent.payment_id)
    assert (await release(movers, old, approval, by=li)).code == "nothing_to_release"
    await worker(movers)
    assert await movers.town.available_fen(new) == 1_000
