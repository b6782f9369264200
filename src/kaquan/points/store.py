"""The tables ``points_*``: the only file of this room that sees a cursor; see ``queries.sql``."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from msgspec.structs import asdict

from kaquan import ledger
from kaquan.kit.db import Connection, Params, Pool, Write, constraint_of, given, load_queries, post_together
from kaquan.ledger import (
    AccountSpec,
    Answer,
    FloorRule,
    Item,
    Posting,
    PostStatus,
    RequestKey,
    open_accounts,
    post_batch,
    read_accounts_of_owners,
    read_first_lots,
    read_lots,
)
from kaquan.points.types import (
    CURRENCY,
    MEMBER_KINDS,
    Account,
    AccountKind,
    Benefit,
    Deed,
    DeedKind,
    Earning,
    IssuerAccounts,
    LinePoints,
    Lot,
    Member,
    Partner,
    PointsTerms,
    Search,
    TermsVersion,
)

_QUERIES = load_queries(__package__)

_encode = msgspec.json.Encoder(order="deterministic").encode


class EndingLot(NamedTuple):
    """Points that end soon, of whose end nobody was told yet."""

    slot: int
    member_id: UUID
    book_id: int
    card_id: UUID
    programme_id: UUID
    account_id: int
    lot: int
    expires_at: datetime
    points: int


async def _rows(connection: Connection, query: str, params: Params) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_QUERIES[query], params)).fetchall()


async def _read(pool: Pool, query: str, params: Params) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await _rows(connection, query, params)


async def _list(pool: Pool, query: str, params: Params) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        return await (await connection.execute(given(_QUERIES[query], params), params, prepare=False)).fetchall()


async def post_unique(pool: Pool, *writes: Write) -> bool | str | None:
    """The same; or the name of the constraint that refused it."""
    try:
        return await post_together(pool, *writes)
    except psycopg.errors.UniqueViolation as error:
        return constraint_of(error)


# --- terms


def add_terms(made: TermsVersion) -> Write:
    """Write a version of terms; not done if there is one of its number by now."""

    async def write(connection: Connection) -> bool:
        params = {**asdict(made), "terms": _encode(made.terms).decode()}
        if (await connection.execute(_QUERIES["insert_terms"], params)).rowcount == 0:
            return False
        await connection.execute(_QUERIES["move_version"], {"book_id": made.book_id})
        return True

    return write


async def load_terms(pool: Pool, book_ids: Sequence[int], programme_id: UUID | None = None) -> list[TermsVersion]:
    """Every version of the terms of these books or of a programme, the newest of each last."""
    rows = await _list(pool, "terms", {"book_ids": list(book_ids), "programme_id": programme_id})
    return [
        TermsVersion(book, programme, version, msgspec.convert(terms, PointsTerms), *rest)
        for book, programme, version, terms, *rest in rows
    ]


# --- members


async def open_members(
    connection: Connection, *, book_id: int, slot: int, cards: Sequence[tuple[UUID, UUID, UUID, UUID]], at: datetime
) -> None:
    """Let cards (member, card, programme, issuer) collect points; those that do already stay as they are."""
    members, ids, programmes, issuers = (list(column) for column in zip(*cards, strict=True))
    await connection.execute(
        _QUERIES["insert_members"],
        {
            "slot": slot, "book_id": book_id, "ids": members, "cards": ids, "programmes": programmes,
            "issuers": issuers, "at": at,
        },
    )  # fmt: skip
    await open_accounts(
        connection,
        slot=slot,
        asked=[
            AccountSpec(
                book_id, member, kind.value, CURRENCY,
                FloorRule.DEBIT if kind is AccountKind.DEBT else FloorRule.CREDIT,
                lotted=kind is not AccountKind.DEBT,
            )
            for member in members
            for kind in MEMBER_KINDS
        ],
    )  # fmt: skip


async def read_members(connection: Connection, *, book_id: int, slot: int, ids: Sequence[UUID]) -> dict[UUID, Member]:
    """Members of a book in one slot with their accounts and lots, by their ids.

    Versions are read before lots: what moves in between makes a decision stale, not wrong.
    """
    rows = await _rows(connection, "members", {"slot": slot, "ids": list(ids)})
    rows = [row for row in rows if row[2] == book_id]
    if not rows:
        return {}
    found = await read_accounts_of_owners(connection, book_id=book_id, owner_ids=[row[1] for row in rows], slot=slot)
    accounts = {(one.owner_id, one.kind): one for one in found if one.currency == CURRENCY}
    lotted = [one.id for one in accounts.values() if one.lotted]
    lots = await read_lots(connection, slot=slot, accounts=lotted)
    members: dict[UUID, Member] = {}
    for slot_, id_, book, card_id, programme_id, issuer_id, tier, tier_until in rows:
        points, pending, debt = (_account(accounts[id_, kind.value]) for kind in MEMBER_KINDS)
        members[id_] = Member(
            id_, slot_, book, card_id, programme_id, issuer_id, tier, tier_until, points, pending, debt,
            _lots(lots[points.id]), _lots(lots[pending.id]),
        )  # fmt: skip
    return members


def _account(account: ledger.Account) -> Account:
    reserved = account.posted_fen - account.available_fen
    return Account(account.id, account.version, account.posted_fen, reserved)


def _lots(lots: Sequence[ledger.Lot]) -> list[Lot]:
    return [Lot(one.lot, one.origin_transaction_id, one.expires_at, one.available_fen) for one in lots]


async def load_some_members(pool: Pool, *, slot: int, after: UUID, limit: int) -> list[UUID]:
    """Ids of members of any book in one slot, behind ``after``."""
    return [id_ for (id_,) in await _read(pool, "some_members", {"slot": slot, "after": after, "limit": limit})]


async def load_members(pool: Pool, *, slot: int, ids: Sequence[UUID]) -> list[Member]:
    """Members of any book in one slot."""
    async with pool.connection() as connection:
        rows = await _rows(connection, "members", {"slot": slot, "ids": list(ids)})
        found: list[Member] = []
        for book_id in sorted({row[2] for row in rows}):
            mine = [row[1] for row in rows if row[2] == book_id]
            found += (await read_members(connection, book_id=book_id, slot=slot, ids=mine)).values()
        return found


async def load_member(pool: Pool, *, book_id: int, slot: int, id_: UUID) -> Member | None:
    async with pool.connection() as connection:
        return (await read_members(connection, book_id=book_id, slot=slot, ids=[id_])).get(id_)


def change_tier(member: Member, *, tier: str | None, until: datetime | None) -> Write:
    """Write the tier of a member; not done if it is another than it was."""

    async def write(connection: Connection) -> bool:
        params = {
            "slot": member.slot, "id": member.id, "tier": tier, "tier_until": until, "before": member.tier,
        }  # fmt: skip
        return (await connection.execute(_QUERIES["change_tier"], params)).rowcount == 1

    return write


async def open_issuer_accounts(connection: Connection, *, book_id: int, slot: int, issuer_id: UUID) -> IssuerAccounts:
    """The issuer's accounts of points in a slot; opened if they are not there."""
    kinds = (
        AccountKind.GRANTED, AccountKind.SPENT, AccountKind.EXPIRED, AccountKind.ADJUSTED, AccountKind.BENEFITS,
    )  # fmt: skip
    asked = [AccountSpec(book_id, issuer_id, kind.value, CURRENCY) for kind in kinds]
    return IssuerAccounts(*await open_accounts(connection, slot=slot, asked=asked))


async def load_issuer_accounts(pool: Pool, *, book_id: int, slot: int, issuer_id: UUID) -> IssuerAccounts:
    async with pool.connection() as connection:
        return await open_issuer_accounts(connection, book_id=book_id, slot=slot, issuer_id=issuer_id)


async def open_partner_accounts(pool: Pool, partner: Partner, *, slot: int, issuer_id: UUID) -> tuple[int, int, int]:
    """The accounts of exchanges with a partner in a slot: its own in points, and in its units ours and its own."""
    asked = [
        AccountSpec(partner.book_id, partner.id, AccountKind.EXCHANGED.value, CURRENCY),
        AccountSpec(partner.book_id, issuer_id, "partner_points", partner.currency),
        AccountSpec(partner.book_id, partner.id, "partner_points", partner.currency),
    ]
    async with pool.connection() as connection:
        ours, units, theirs = await open_accounts(connection, slot=slot, asked=asked)
    return ours, units, theirs


# --- earnings


async def keep_earnings(connection: Connection, earnings: Sequence[Earning]) -> None:
    """Keep what purchases earned, in the commit of their posting."""
    if not earnings:
        return
    await connection.execute(
        _QUERIES["insert_earnings"],
        {
            "slots": [one.slot for one in earnings],
            "ids": [one.id for one in earnings],
            "books": [one.book_id for one in earnings],
            "members": [one.member_id for one in earnings],
            "versions": [one.terms_version for one in earnings],
            "points": [one.points for one in earnings],
            "basis": [one.basis_fen for one in earnings],
            "parts": [_encode(one.parts).decode() for one in earnings],
            "lots": [one.lot for one in earnings],
            "matures": [one.matures_at for one in earnings],
            "ats": [one.at for one in earnings],
            "payments": [one.payment_id for one in earnings],
            "granted": [one.granted for one in earnings],
        },
    )


async def read_earnings(connection: Connection, *, slot: int, ids: Sequence[UUID]) -> dict[UUID, list[Earning]]:
    """What these payments earned, the captures of an authorization the oldest first; those that have nothing kept are
    left out."""
    found: dict[UUID, list[Earning]] = {}
    if not ids:
        return found
    for row in await _rows(connection, "earnings", {"slot": slot, "ids": list(ids)}):
        earning = _earning(row)
        found.setdefault(earning.payment_id or earning.id, []).append(earning)
    return found


def _earning(row: tuple[Any, ...]) -> Earning:
    slot, id_, book_id, member_id, version, points, basis_fen, parts, returned, *rest = row
    return Earning(
        slot, id_, book_id, member_id, version, points, basis_fen, tuple(LinePoints(*part) for part in parts),
        {int(line): fen for line, fen in returned.items()}, *rest,
    )  # fmt: skip


async def change_earning(connection: Connection, before: Earning, after: Earning) -> bool:
    """Keep what a refund took back, in the commit of its posting; False if it is not as it was."""
    returned = {str(line): fen for line, fen in after.returned.items()}
    params = {
        "slot": after.slot, "id": after.id, "returned": _encode(returned).decode(), "returned_fen": after.returned_fen,
        "taken": after.taken, "granted_taken": after.granted_taken, "before_fen": before.returned_fen,
        "before": before.taken,
    }  # fmt: skip
    return (await connection.execute(_QUERIES["change_earning"], params)).rowcount == 1


async def load_due(pool: Pool, *, slot: int, now: datetime, limit: int) -> list[Earning]:
    """Earnings of any book whose points may be spent from now on."""
    return [_earning(row) for row in await _read(pool, "due_earnings", {"slot": slot, "now": now, "limit": limit})]


def mark_matured(earning: Earning) -> Write:
    """Note that nothing of an earning waits any more; not done if it was noted."""

    async def write(connection: Connection) -> bool:
        marked = await connection.execute(_QUERIES["mark_matured"], {"slot": earning.slot, "id": earning.id})
        return marked.rowcount == 1

    return write


async def load_left_behind(pool: Pool, *, slot: int, after: UUID, limit: int) -> list[tuple[UUID, UUID]]:
    """Members of replaced cards that have something, behind ``after``, each with the card that has their place."""
    rows = await _read(pool, "left_behind", {"slot": slot, "after": after, "limit": limit})
    return [(id_, successor_id) for id_, successor_id in rows]


async def load_first_lot(pool: Pool, *, slot: int, account_id: int) -> int:
    """The lowest lot number of an account, 0 where all are above: what moves in opens its lots below."""
    async with pool.connection() as connection:
        return (await read_first_lots(connection, slot=slot, accounts=[account_id])).get(account_id, 0)


async def load_ended(pool: Pool, *, slot: int, now: datetime, after: UUID, limit: int) -> list[UUID]:
    """Ids of members with points that have ended, behind ``after``."""
    params = {"slot": slot, "now": now, "after": after, "limit": limit}
    return [id_ for (id_,) in await _read(pool, "ended_members", params)]


async def load_ending(pool: Pool, *, slot: int, now: datetime, until: datetime, limit: int) -> list[EndingLot]:
    """Lots that end by ``until``, of whose end nobody was told yet."""
    params = {"slot": slot, "now": now, "until": until, "limit": limit}
    return [EndingLot(*row) for row in await _read(pool, "ending_lots", params)]


def mark_reminded(lot: EndingLot) -> Write:
    """Note that a holder was told of a lot's end; not done if they were."""

    async def write(connection: Connection) -> bool:
        params = {"slot": lot.slot, "account_id": lot.account_id, "lot": lot.lot}
        return (await connection.execute(_QUERIES["mark_reminded"], params)).rowcount == 1

    return write


async def load_reached(pool: Pool, *, slot: int, ids: Sequence[UUID], since: datetime) -> dict[UUID, tuple[int, int]]:
    """Points and fen of members since a moment, less what was taken back."""
    rows = await _read(pool, "reached", {"slot": slot, "ids": list(ids), "since": since})
    return {member_id: (points, fen) for member_id, points, fen in rows}


# --- postings


def post(
    posting: Posting,
    *,
    book_id: int,
    slot: int,
    at: datetime,
    key: RequestKey | None = None,
    answer: Answer | None = None,
) -> Write:
    """Post a transaction, with the answer to its key if there is one; not done if it is stale or the key is answered.

    One that moves nothing keeps the answer alone.
    """

    async def write(connection: Connection) -> bool:
        item = Item(book_id, posting if posting.legs else None, key, answer)
        if item.posting is None and key is None:
            return True
        (status,) = await post_batch(connection, [item], slot=slot, recorded_at=at)
        return status is PostStatus.APPLIED

    return write


# --- partners, benefits, deeds


def add_partner(partner: Partner) -> Write:
    """Write a partner."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_QUERIES["insert_partner"], asdict(partner))
        return True

    return write


async def load_partners(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Partner]:
    params = {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}
    return [Partner(*row) for row in await _list(pool, "partners", params)]


def add_benefit(benefit: Benefit) -> Write:
    """Write a benefit."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_QUERIES["insert_benefit"], {**asdict(benefit), "tiers": sorted(benefit.tiers)})
        return True

    return write


async def load_benefits(pool: Pool, book_id: int, search: Search, id_: UUID | None = None) -> list[Benefit]:
    params = {**asdict(search), "book_id": book_id, "id": id_, "limit": search.limit + 1}
    return [
        Benefit(found, book, programme_id, code, name, cost, frozenset(tiers), *rest)
        for found, book, programme_id, code, name, cost, tiers, *rest in await _list(pool, "benefits", params)
    ]


async def take_benefit(connection: Connection, benefit: Benefit) -> bool:
    """Count a benefit as taken; False if there is none left."""
    params = {"book_id": benefit.book_id, "id": benefit.id}
    return (await connection.execute(_QUERIES["take_benefit"], params)).rowcount == 1


async def count_taken(connection: Connection, member: Member, benefit: Benefit, *, since: datetime) -> int:
    """How often a member took a benefit since; whoever asks counts alone until its transaction ends."""
    await connection.execute(_QUERIES["lock_member"], {"slot": member.slot, "id": member.id})
    params = {"slot": member.slot, "member_id": member.id, "subject_id": benefit.id, "since": since}
    ((count,),) = await _rows(connection, "taken_of", params)
    return int(count)


def add_deed(deed: Deed) -> Write:
    """Write what was done."""

    async def write(connection: Connection) -> bool:
        await connection.execute(_QUERIES["insert_deed"], asdict(deed))
        return True

    return write


async def load_deeds(
    pool: Pool, *, book_id: int, slot: int, member_id: UUID, after_id: UUID | None, limit: int
) -> list[Deed]:
    """Deeds of a member, the newest first; one more than the limit, if there are."""
    params = {
        "book_id": book_id, "slot": slot, "member_id": member_id, "after_id": after_id, "limit": limit + 1,
    }  # fmt: skip
    return [
        Deed(found, id_, book, member, DeedKind(kind), *rest)
        for found, id_, book, member, kind, *rest in await _list(pool, "deeds", params)
    ]


async def load_counter_accounts(pool: Pool, *, book_id: int, slot: int) -> list[tuple[int, AccountKind, UUID]]:
    """Number, kind and owner of the accounts of issuers and partners in points."""
    rows = await _read(pool, "accounts_of_issuers", {"book_id": book_id, "slot": slot})
    return [(id_, AccountKind(kind), owner_id) for _, id_, kind, owner_id in rows]
