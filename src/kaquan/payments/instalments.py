"""Give bonuses on their day: the parts that a load promised for later, and rewards for another card, points too."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards import CardStatus, Pocket, Programme, end_of_day
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool, Rollback
from kaquan.kit.ids import Ids
from kaquan.ledger import AccountSpec, Effect, Guard, Item, Leg, NewLot, Posting, PostStatus, open_accounts, post_batch
from kaquan.payments import store
from kaquan.payments.points import earn
from kaquan.payments.price import BONUS_EXPENSE
from kaquan.payments.read_points import load_points
from kaquan.payments.types import CardFacts, Instalment
from kaquan.points import CURRENCY, OFFERED, keep_earnings, list_terms, terms_at
from kaquan.promotions import GrantKind

CHUNK = 200
KIND = "bonus"
POINTS_KIND = "points_reward"

FindProgramme = Callable[[int, UUID, int], Programme | None]
"""Of a book, under a version of its terms."""


def plan_instalment(
    one: Instalment,
    card: CardFacts,
    programme: Programme,
    *,
    sources: Sequence[int],
    transaction_id: UUID,
    now: datetime,
) -> Posting:
    """A bonus as a lot of its own: nothing was paid for it."""
    pocket = card.pockets[Pocket.BONUS]
    lot = pocket.version + 1
    days = programme.bonus_valid_days
    expires_at = None if days is None else end_of_day(now, valid_days=days, time_zone=programme.time_zone)
    return Posting(
        transaction_id=transaction_id,
        kind=KIND,
        effective_at=now,
        legs=[
            Leg(Effect.POST, source, None, pocket.account_id, lot, part_fen)
            for source, part_fen in zip(sources, one.parts_fen, strict=True)
        ],
        guards=[Guard(pocket.account_id, pocket.version)],
        lots=[NewLot(pocket.account_id, lot, 0, one.amount_fen, expires_at)],
        related_id=one.payment_id,
    )


async def give_instalments(
    pool: Pool, clock: Clock, ids: Ids, find_programme: FindProgramme, *, slots: Sequence[int]
) -> int:
    """Give what is due, each once; how many. For the worker, any number at once. A closed card gets nothing any more; a
    blocked one does: blocking forfeits nothing."""
    done = 0
    for slot in slots:
        tried: list[UUID] = []
        async with pool.connection() as connection:
            while due := await store.load_due_instalments(
                connection, slot=slot, at=clock.now(), but=tried, limit=CHUNK
            ):
                for id_, one in due:
                    tried.append(id_)
                    done += await _give(pool, connection, clock, ids, find_programme, slot, id_, one)
    return done


async def _give(
    pool: Pool,
    connection: Connection,
    clock: Clock,
    ids: Ids,
    find_programme: FindProgramme,
    slot: int,
    id_: UUID,
    one: Instalment,
) -> bool:
    """Whether it was given now: the row and the posting are one commit. What is stale is tried by the next run."""
    now = clock.now()
    facts = await store.load_facts(
        connection, slot=slot, cards=[one.card_id], payments=[], every_pocket=True, now=now, places=False
    )
    card = facts.cards.get(one.card_id)
    programme = None if card is None else find_programme(one.book_id, card.programme_id, card.terms_version)
    if card is None or card.book_id != one.book_id or card.status is CardStatus.CLOSED:
        await store.end_instalment(connection, slot=slot, id_=id_, given_id=None, at=now)
        return False
    if programme is None:
        return False  # its terms are newer than this process knows
    if one.what is GrantKind.POINTS:
        return await _give_points(pool, connection, ids, slot, id_, one, card, programme, now)
    specs = [AccountSpec(one.book_id, owner_id, BONUS_EXPENSE, programme.currency) for owner_id in one.funders]
    sources = await open_accounts(connection, slot=slot, asked=specs)
    posting = plan_instalment(one, card, programme, sources=sources, transaction_id=ids.new_near(one.card_id), now=now)
    given = False
    async with connection.transaction():
        given = await store.end_instalment(connection, slot=slot, id_=id_, given_id=posting.transaction_id, at=now)
        if given:
            (status,) = await post_batch(connection, [Item(one.book_id, posting)], slot=slot, recorded_at=now)
            if status is not PostStatus.APPLIED:
                given = False
                raise Rollback
    return given


async def _give_points(
    pool: Pool,
    connection: Connection,
    ids: Ids,
    slot: int,
    id_: UUID,
    one: Instalment,
    card: CardFacts,
    programme: Programme,
    now: datetime,
) -> bool:
    """The same for points, by the terms that are in force now. A card whose programme gives none gets none."""
    versions = (await list_terms(pool, book_id=one.book_id, programme_id=card.programme_id))[::-1]
    terms = terms_at(versions, now)
    if terms is None:
        await store.end_instalment(connection, slot=slot, id_=id_, given_id=None, at=now)
        return False
    wanted = {card.id: (card, programme, versions)}
    found = await load_points(connection, slot, wanted, always=wanted, now=now, issuers={})
    specs = [AccountSpec(one.book_id, owner_id, OFFERED, CURRENCY) for owner_id in one.funders]
    sources = await open_accounts(connection, slot=slot, asked=specs)
    transaction_id = ids.new_near(one.card_id)
    earned = earn(
        found[card.id], None, list(zip(sources, one.parts_fen, strict=True)), transaction_id=transaction_id,
        time_zone=programme.time_zone, now=now,
    )  # fmt: skip
    assert earned is not None, "an instalment is of something"
    move, earning = earned
    posting = Posting(
        transaction_id, POINTS_KIND, now, move.legs, move.guards, tuple(move.lots), related_id=one.payment_id
    )
    given = False
    async with connection.transaction():
        given = await store.end_instalment(connection, slot=slot, id_=id_, given_id=transaction_id, at=now)
        if given:
            (status,) = await post_batch(connection, [Item(one.book_id, posting)], slot=slot, recorded_at=now)
            if status is not PostStatus.APPLIED:
                given = False
                raise Rollback
            await keep_earnings(connection, [earning])
    return given
