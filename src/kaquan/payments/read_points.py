"""Read what payments earn and spend points by: members with their accounts, and what purchases earned."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards import Programme
from kaquan.kit.db import Connection
from kaquan.payments.types import CardFacts, PointsFacts
from kaquan.points import (
    IssuerAccounts,
    TermsVersion,
    member_id,
    open_issuer_accounts,
    open_members,
    read_earnings,
    read_members,
    terms_at,
)


async def load_points(
    connection: Connection,
    slot: int,
    wanted: Mapping[UUID, tuple[CardFacts, Programme, Sequence[TermsVersion]]],
    *,
    always: Collection[UUID],
    now: datetime,
    issuers: dict[tuple[int, UUID], IssuerAccounts],
) -> dict[UUID, PointsFacts]:
    """By card, or by the payment that is changed: of those that earned something, and of those of ``always``. A card
    that is no member yet is one from now on. ``issuers`` are the issuers' accounts that are known; others are opened
    and remembered there."""
    earnings = await read_earnings(
        connection, slot=slot, ids=[target for target, (card, _, _) in wanted.items() if target != card.id]
    )
    found: dict[UUID, PointsFacts] = {}
    for book_id in {card.book_id for card, _, _ in wanted.values()}:
        asked = {
            target: one
            for target, one in wanted.items()
            if one[0].book_id == book_id and (target in always or target in earnings)
        }
        ids = {member_id(card.id): (card, programme) for card, programme, _ in asked.values()}
        members = await read_members(connection, book_id=book_id, slot=slot, ids=list(ids))
        if new := [
            (id_, card.id, programme.id, programme.issuer_id)
            for id_, (card, programme) in ids.items()
            if id_ not in members
        ]:
            async with connection.transaction():
                await open_members(connection, book_id=book_id, slot=slot, cards=new, at=now)
            members = await read_members(connection, book_id=book_id, slot=slot, ids=list(ids))
        for target, (card, programme, versions) in asked.items():
            name = (slot, programme.issuer_id)
            if name not in issuers:
                issuers[name] = await open_issuer_accounts(
                    connection, book_id=book_id, slot=slot, issuer_id=programme.issuer_id
                )
            found[target] = PointsFacts(
                versions,
                terms_at(versions, now),
                members[member_id(card.id)],
                issuers[name],
                earnings.get(target, ()),
            )
    return found
