"""The payments room's statements; see ``queries.sql`` and migration 0005."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import asdict

from kaquan.cards import CardStatus, Pocket
from kaquan.kit.db import (
    Connection,
    Params,
    Pool,
    bytes_field,
    given,
    load_queries,
    number_field,
    rows_literal,
    text_field,
    time_field,
    uuid_field,
)
from kaquan.kit.ids import LAST_ID
from kaquan.ledger import Item, PostStatus, batch_params, list_by_account, list_rows, run_post, slot_of
from kaquan.payments.kept import Kept, KeptPart, hash_kept, read_kept, read_part
from kaquan.payments.limits import (
    Holder,
    Hours,
    Limit,
    LimitScope,
    Metric,
    Movement,
    Period,
    Trail,
    Usage,
    UsageFacts,
    Use,
    Uses,
)
from kaquan.payments.places import LastPlace, PlaceRule, PlaceRuleKind
from kaquan.payments.types import (
    CardFacts,
    Funding,
    Instalment,
    LotFacts,
    Payment,
    PaymentFacts,
    PaymentKind,
    PaymentStatus,
    Plan,
    PocketFacts,
    SpentLeg,
)
from kaquan.promotions import FunderKind, GrantKind, Shadow
from kaquan.promotions.replay import Key

_SQL = load_queries(__package__)
_POCKETS = {pocket.account_kind: pocket for pocket in Pocket}
_STATUSES = {status.value: status for status in CardStatus}


class BatchFacts(NamedTuple):
    """What was read for a batch, by id."""

    cards: dict[UUID, CardFacts]
    payments: dict[UUID, PaymentFacts]


async def load_facts(
    connection: Connection,
    *,
    slot: int,
    cards: Sequence[UUID],
    payments: Sequence[UUID],
    every_pocket: bool,
    now: datetime,
    places: bool,
) -> BatchFacts:
    """Everything that a batch is decided on, in one round trip (two more when payments are to change).

    Without ``every_pocket`` pockets that never held anything are left out, without ``places`` the card's last place.
    """
    cursor = await connection.execute(
        _SQL["load_cards"],
        {
            "slot": slot,
            "cards": "{" + ",".join([card.hex for card in cards]) + "}",
            "payments": "{" + ",".join([payment.hex for payment in payments]) + "}",
            "every_pocket": every_pocket,
            "places": places,
        },
        binary=True,
    )
    rows = await cursor.fetchall()
    changing = await _load_payments(connection, slot=slot, ids=payments, now=now) if payments else {}
    found: dict[int, CardFacts] = {}
    for (
        n, book_id, programme_id, terms_version, customer_id, status, expires_at, book_version, account_id, kind,
        version, posted_fen, reserved_fen, lot, available_fen, paid_fen, given_fen, lot_expires_at, *last,
    ) in rows:  # fmt: skip
        card = found.get(n)
        if card is None:
            card_id = cards[n - 1] if n <= len(cards) else changing[payments[n - len(cards) - 1]].payment.card_id
            card = CardFacts(
                card_id, book_id, programme_id, _STATUSES[status], expires_at, book_version, {}, customer_id,
                LastPlace(*last) if last[0] is not None else None, terms_version,
            )  # fmt: skip
            found[n] = card
        if account_id is None:
            continue
        name = _POCKETS.get(kind)
        if name is None:
            continue  # points are no money
        pocket = card.pockets.get(name)
        if pocket is None:
            pocket = PocketFacts(name, account_id, version, posted_fen, reserved_fen, [])
            card.pockets[name] = pocket
        if lot is not None:
            pocket.lots.append(LotFacts(lot, available_fen, paid_fen, given_fen, lot_expires_at))
    by_id = {card.id: card for card in found.values()}
    for id_, change in changing.items():
        # points have lots too: what a card's pockets moved is the payment's
        card = by_id.get(change.payment.card_id)
        own = set() if card is None else {pocket.account_id for pocket in card.pockets.values()}
        changing[id_] = change._replace(legs=[leg for leg in change.legs if leg.account_id in own])
    return BatchFacts(by_id, changing)


async def _load_payments(
    connection: Connection, *, slot: int, ids: Sequence[UUID], now: datetime
) -> dict[UUID, PaymentFacts]:
    cursor = await connection.execute(_SQL["load_payments"], {"slot": slot, "ids": list(ids), "now": now})
    return {
        row[1]: PaymentFacts(
            _payment(row[:-3]),
            [SpentLeg(*leg) for leg in row[-3]],
            None if row[-2] is None else read_kept(row[-2]),
            tuple(read_part(part) for part in row[-1]),
        )
        for row in await cursor.fetchall()
    }


def _payment(row: Sequence[Any]) -> Payment:
    slot, id_, book_id, kind, status, *rest = row
    return Payment(slot, id_, book_id, PaymentKind(kind), PaymentStatus(status), *rest)


async def post(
    connection: Connection,
    items: Sequence[Item],
    plans: Sequence[Plan | None],
    *,
    slot: int,
    recorded_at: datetime,
    reserved: Sequence[UUID] = (),
    in_transaction: bool = False,
) -> list[int]:
    """Post a batch: ledger, evidence and payment rows in one commit. One :class:`PostStatus` (as int) per item.

    ``reserved`` are the transactions among them that have reservations: all are stale if one of those was given up.
    In a transaction of the caller's a call cannot be run again, so every floor is checked at once.
    """
    new: list[str] = []
    changes: list[str] = []
    uses: list[str] = []
    trail_uses: list[str] = []
    last: list[str] = []
    use_keys: set[UUID] = set()
    pricings: list[str] = []
    back: list[str] = []
    for n, plan in enumerate(plans, start=1):
        if plan is None:
            continue
        if plan.kept is not None:
            pricings.append(
                f"({n},{uuid_field(plan.original_id)},{bytes_field(plan.kept)},{bytes_field(hash_kept(plan.kept))})"
            )
            back += [_use_row(n, use) for use in plan.gives_back]
        if (p := plan.new) is not None:
            new.append(
                f"({n},{p.id.hex},{p.book_id},{p.kind.value},{p.status.value},{p.card_id.hex},"
                f"{uuid_field(p.merchant_id)},{uuid_field(p.store_id)},{uuid_field(p.terminal_id)},"
                f"{uuid_field(p.original_id)},{p.currency},{p.amount_fen},{p.bonus_fen},{p.captured_fen},"
                f"{text_field(p.reference)},{time_field(p.expires_at)},{p.occurred_at.isoformat()})"
            )
        if (p := plan.changed) is not None:
            changes.append(f"({n},{p.id.hex},{p.version - 1},{p.status.value},{p.captured_fen},{p.refunded_fen})")
        if plan.uses is not None:
            _put_uses(n, plan.uses, uses, trail_uses, use_keys)
        if (w := plan.last_place) is not None:
            last.append(
                f"({n},{plan.receipt.payment.card_id.hex},{w.store_id.hex},{w.latitude_udeg},{w.longitude_udeg},"
                f"{w.at.isoformat()})"
            )
    params = batch_params(items, slot=slot, recorded_at=recorded_at)
    params["last"] = rows_literal(last)
    params["uses"] = rows_literal(uses)
    params["use_keys"] = len(use_keys)
    params["trail_uses"] = rows_literal(trail_uses)
    params["new"] = rows_literal(new)
    params["changes"] = rows_literal(changes)
    if in_transaction:
        params["limited"] = params["unversioned"]
    if pricings:
        params["pricings"] = rows_literal(pricings)
        params["back"] = rows_literal(back)
        params["reserved"] = list(reserved)
        return await run_post(connection, _SQL["post_priced"], params)
    if reserved:
        params["reserved"] = list(reserved)
        return await run_post(connection, _SQL["post_reserved"], params)
    return await run_post(connection, _SQL["post_batch"], params)


def _put_uses(n: int, counted: Uses, uses: list[str], trail_uses: list[str], use_keys: set[UUID]) -> None:
    """Add what item ``n`` counts in to the rows of a call."""
    for use in counted.calendar:
        use_keys.add(use.key)
        uses.append(_use_row(n, use))
    for key, amount_fen, step, max_fen, max_count, _ in counted.trails:
        trail_uses.append(f"({n},{key.hex},{amount_fen},{step},{number_field(max_fen)},{number_field(max_count)})")


def _use_row(n: int, use: Use) -> str:
    key, amount_fen, day, month, year, maxima, _ = use
    most = ",".join(["" if maximum is None else str(maximum) for maximum in maxima])
    return f"({n},{key.hex},{amount_fen},{day},{month},{year},{most})"


async def reserve_back(
    connection: Connection, *, slot: int, paid_in: int, at: datetime, asked: Sequence[tuple[UUID, Sequence[Use]]]
) -> None:
    """Say in ``slot`` what transactions of ``paid_in`` will give back there, if they are posted."""
    params = {
        "slot": slot,
        "paid_in": paid_in,
        "at": at,
        "ids": [id_ for id_, _ in asked],
        "uses": rows_literal([_use_row(n, use) for n, (_, uses) in enumerate(asked, start=1) for use in uses]),
    }
    await connection.execute(_SQL["reserve_back"], params)


async def reserve_uses(
    connection: Connection, *, slot: int, paid_in: int, at: datetime, asked: Sequence[tuple[UUID, Uses]]
) -> list[int]:
    """Count in ``slot`` what transactions of ``paid_in`` use there: APPLIED, OVER_LIMIT or stale for each."""
    uses: list[str] = []
    trail_uses: list[str] = []
    use_keys: set[UUID] = set()
    for n, (_, counted) in enumerate(asked, start=1):
        _put_uses(n, counted, uses, trail_uses, use_keys)
    params = {
        "slot": slot,
        "paid_in": paid_in,
        "at": at,
        "ids": [id_ for id_, _ in asked],
        "uses": rows_literal(uses),
        "use_keys": len(use_keys),
        "trail_uses": rows_literal(trail_uses),
    }
    row = await (await connection.execute(_SQL["reserve"], params)).fetchone()
    assert row is not None
    statuses: list[int] = row[0]
    return statuses


async def settle_uses(connection: Connection, *, slot: int, paid: Collection[UUID], unpaid: Collection[UUID]) -> None:
    """End reservations of ``slot``: what was not paid is given back."""
    await connection.execute(_SQL["settle"], {"slot": slot, "paid": list(paid), "unpaid": list(unpaid)})


async def give_up(connection: Connection, *, slot: int, transaction_id: UUID, at: datetime) -> bool:
    """Whether a transaction was not posted in ``slot``: from now on it cannot be."""
    row = await (await connection.execute(_SQL["give_up"], {"slot": slot, "id": transaction_id, "at": at})).fetchone()
    assert row is not None
    return bool(row[0])


async def load_old_reservations(
    connection: Connection, *, slot: int, until: datetime, limit: int
) -> list[tuple[UUID, int, bool]]:
    """Reservations that were made by ``until``: the transaction, its slot, and whether it gives back."""
    cursor = await connection.execute(_SQL["old_reservations"], {"slot": slot, "until": until, "limit": limit})
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def read_pricing(
    connection: Connection, *, slot: int, transaction_id: UUID
) -> tuple[Kept | None, list[KeptPart]]:
    """How a payment was priced, and the parts of it that were captured and given back."""
    cursor = await connection.execute(_SQL["read_pricing"], {"slot": slot, "id": transaction_id})
    rows = await cursor.fetchall()
    kept = [read_kept(row[0]) for row in rows if row[1] is None]
    return kept[0] if kept else None, [read_part(row[0]) for row in rows if row[1] is not None]


async def insert_funders(connection: Connection, *, book_id: int, fundings: Sequence[Funding]) -> None:
    """Remember who pays into the accounts of these owners."""
    params = {
        "book_id": book_id,
        "ids": [one.id for one in fundings],
        "campaigns": [one.campaign_id for one in fundings],
        "kinds": [one.kind.value for one in fundings],
        "parties": [one.party_id for one in fundings],
    }
    await connection.execute(_SQL["insert_funders"], params)


async def insert_exhausted(connection: Connection, *, book_id: int, budget_id: UUID, period: int, at: datetime) -> bool:
    """Note that a budget is used up; False if that is known."""
    params = {"book_id": book_id, "budget_id": budget_id, "period": period, "at": at}
    return (await connection.execute(_SQL["insert_exhausted"], params)).rowcount == 1


async def read_holders(
    connection: Connection, *, slot: int, asked: Sequence[tuple[UUID, int, UUID | None, UUID | None]]
) -> list[tuple[UUID, int | None, list[str] | None, str | None]]:
    """Birthday (MMDD) and segments of customers, tiers of members: of each card with its book, customer and member."""
    cards, books, customers, members = zip(*asked, strict=True)
    params = {
        "slot": slot,
        "cards": list(cards),
        "books": list(books),
        "customers": list(customers),
        "members": list(members),
    }
    return await (await connection.execute(_SQL["holders"], params)).fetchall()


async def read_bought_before(
    connection: Connection, *, slot: int, holders: Sequence[UUID], before_id: UUID = LAST_ID
) -> set[UUID]:
    """Which of these cards were spent from before, and which of these customers did it with a card of this slot, by
    payments with lower ids than ``before_id``."""
    params = {"slot": slot, "holders": list(holders), "before_id": before_id}
    cursor = await connection.execute(_SQL["bought_before"], params)
    return {row[0] for row in await cursor.fetchall()}


class PurchaseRow(NamedTuple):
    """A purchase as it was recorded, with its card as it is now."""

    id: UUID
    card_id: UUID
    customer_id: UUID | None
    programme_id: UUID
    merchant_id: UUID
    store_id: UUID
    terminal_id: UUID
    amount_fen: int
    occurred_at: datetime
    kept: Kept | None


async def count_purchases(connection: Connection, params: Params, *, slots: Sequence[int], limit: int) -> int:
    """How many purchases were recorded in a time, refunded ones too; ``limit`` and one more: too many."""
    count = 0
    for slot in slots:
        asked = {**params, "slot": slot, "limit": limit + 1 - count}
        row = await (await connection.execute(given(_SQL["count_purchases"], asked), asked)).fetchone()
        assert row is not None
        count += row[0]
        if count > limit:
            break
    return count


async def load_purchases(
    connection: Connection, params: Params, *, slots: Sequence[int], limit: int
) -> list[PurchaseRow]:
    """Purchases that were recorded in a time, the oldest first, from ``from_id`` on."""
    rows = await _first_rows(connection, _SQL["purchases"], params, slots, limit)
    return [PurchaseRow._make((*row[:-1], None if row[-1] is None else read_kept(row[-1]))) for row in rows]


async def load_paid(
    connection: Connection, params: Params, *, slots: Sequence[int], limit: int
) -> list[tuple[UUID, UUID, int, datetime]]:
    """What cards paid, the oldest first, from ``from_id`` on: the payment, its holder, how much and when."""
    rows = await _first_rows(connection, _SQL["paid"], params, slots, limit)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def _first_rows(
    connection: Connection, query: str, params: Params, slots: Sequence[int], limit: int
) -> list[tuple[Any, ...]]:
    """The first of every slot, of which the first are the first of all."""
    rows: list[tuple[Any, ...]] = []
    for slot in slots:
        rows += await list_rows(connection, query, {**params, "slot": slot, "limit": limit})
    return sorted(rows, key=lambda row: row[0].int)[:limit]


async def find_overdue(connection: Connection, *, slot: int, now: datetime, limit: int) -> list[tuple[UUID, int]]:
    """Open authorizations whose time has passed: (payment id, book id), the oldest first."""
    cursor = await connection.execute(_SQL["find_overdue"], {"slot": slot, "now": now, "limit": limit})
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def read_payment(
    connection: Connection, *, book_id: int, slot: int, kind: PaymentKind, payment_id: UUID
) -> Payment | None:
    """A payment of this book and kind, or None."""
    cursor = await connection.execute(
        _SQL["read_payment"], {"slot": slot, "id": payment_id, "book_id": book_id, "kind": kind.value}
    )
    row = await cursor.fetchone()
    return _payment(row) if row is not None else None


async def list_payments(
    connection: Connection, params: Params, *, owner_id: UUID | None, slots: Sequence[int]
) -> list[Payment]:
    """Payments of one kind, newest first: each slot gives its newest, and the newest of those are the newest of all.

    With ``owner_id``, a card or a merchant, they are found along the entries of its accounts. The filters are those of
    ``list_payments…`` in ``queries.sql``.
    """
    if owner_id is not None:
        spends = params["kind"] in (PaymentKind.PURCHASE, PaymentKind.AUTHORIZATION)
        rows = await list_by_account(
            connection,
            _SQL["list_payments_of_account"],
            params,
            book_id=params["book_id"],
            owner_id=owner_id,
            slots=slots,
            sides=["debit" if spends == (owner_id == params["card_id"]) else "credit"],
        )
    else:
        query = _SQL["list_payments"]
        rows = [row for slot in slots for row in await list_rows(connection, query, {**params, "slot": slot})]
    newest = sorted({row[1]: row for row in rows}.values(), key=lambda row: row[1].int, reverse=True)
    return [_payment(row) for row in newest[: params["limit"]]]


async def read_usage(connection: Connection, *, slot: int, slots: Sequence[int], uses: Sequence[Uses]) -> UsageFacts:
    """What was used of everything that these count in: in the card's ``slot``, or where shared counters are."""
    keys: dict[int, list[UUID]] = {}
    trail_keys: dict[int, list[UUID]] = {}
    for one in uses:
        for use in one.calendar:
            keys.setdefault(slot_of(use.key, slots) if use.is_shared else slot, []).append(use.key)
        for trail in one.trails:
            trail_keys.setdefault(slot_of(trail.key, slots) if trail.is_shared else slot, []).append(trail.key)
    calendar: dict[UUID, Usage] = {}
    trails: dict[UUID, Trail] = {}
    for home, asked in keys.items():
        cursor = await connection.execute(_SQL["read_usage"], {"slot": home, "keys": asked})
        calendar.update({row[0]: Usage(*row[1:]) for row in await cursor.fetchall()})
    for home, asked in trail_keys.items():
        cursor = await connection.execute(_SQL["read_trails"], {"slot": home, "keys": asked})
        trails.update({row[0]: Trail(*row[1:]) for row in await cursor.fetchall()})
    return UsageFacts(calendar, trails)


async def read_loaded_before(connection: Connection, *, slot: int, holders: Sequence[UUID]) -> set[UUID]:
    """Which of these cards were loaded before."""
    cursor = await connection.execute(_SQL["loaded_before"], {"slot": slot, "holders": list(holders)})
    return {row[0] for row in await cursor.fetchall()}


async def insert_instalment(connection: Connection, one: Instalment, *, slot: int, id_: UUID, at: datetime) -> None:
    """Promise a bonus or points; what is due as soon as may be is due ``at``."""
    params = {**one._asdict(), "slot": slot, "id": id_, "due_at": one.due_at or at}
    params |= {"funders": list(one.funders), "parts_fen": list(one.parts_fen), "what": one.what.value}
    await connection.execute(_SQL["insert_instalments"], params)


async def load_due_instalments(
    connection: Connection, *, slot: int, at: datetime, but: Sequence[UUID], limit: int
) -> list[tuple[UUID, Instalment]]:
    """Bonuses whose day has come, with their ids, the oldest first; without those of ``but``."""
    params = {"slot": slot, "at": at, "but": list(but), "limit": limit}
    rows = await (await connection.execute(_SQL["due_instalments"], params)).fetchall()
    return [(row[0], Instalment._make((*row[1:7], tuple(row[7]), tuple(row[8]), GrantKind(row[9])))) for row in rows]


async def end_instalment(connection: Connection, *, slot: int, id_: UUID, given_id: UUID | None, at: datetime) -> bool:
    """Note that a bonus was given, or never will be; False if that was done."""
    params = {"slot": slot, "id": id_, "given_id": given_id, "at": at}
    return (await connection.execute(_SQL["end_instalment"], params)).rowcount == 1


# --- what offers cost


async def load_funders(
    connection: Connection, *, book_id: int, campaign_id: UUID | None, party_id: UUID | None
) -> list[Funding]:
    """Who pays, or paid, for offers of a book: of one campaign (or voucher template), or one who pays."""
    params = {"book_id": book_id, "campaign_id": campaign_id, "party_id": party_id}
    return [
        Funding(id_, campaign, FunderKind(kind), party)
        for id_, campaign, kind, party in await list_rows(connection, _SQL["funders"], params)
    ]


async def load_granting(connection: Connection, params: Params) -> list[tuple[Any, ...]]:
    """Pricings, and parts of them, in which a campaign grants vouchers or points, the oldest first: the transaction,
    the bytes, those of the payment if it is a part, the payment's kind and merchant."""
    return await list_rows(connection, _SQL["granting"], params)


async def load_budget_keys(connection: Connection, params: Params) -> list[tuple[Any, ...]]:
    """The counters that payments of a slot counted a budget in, each with a payment's card, person, store and
    merchant."""
    return await list_rows(connection, _SQL["budget_keys"], params)


async def read_counters(connection: Connection, *, slot: int, keys: Sequence[UUID]) -> dict[UUID, Usage]:
    """Counters of a slot, by their keys."""
    cursor = await connection.execute(_SQL["read_usage"], {"slot": slot, "keys": list(keys)})
    return {row[0]: Usage(*row[1:]) for row in await cursor.fetchall()}


async def read_exhausted(connection: Connection, *, book_id: int, budget_id: UUID, period: int) -> datetime | None:
    """When a budget was found to be used up."""
    params = {"book_id": book_id, "budget_id": budget_id, "period": period}
    row = await (await connection.execute(_SQL["read_exhausted"], params)).fetchone()
    return None if row is None else row[0]


# --- drafts beside live traffic


class SeenRow(NamedTuple):
    """What a payment was priced by."""

    transaction_id: UUID
    slot: int
    recorded_at: datetime
    seen: bytes


class ShadowRow(NamedTuple):
    """What a draft would have done with a payment; see migration 0031."""

    slot: int
    book_id: int
    campaign_id: UUID
    number: int
    transaction_id: UUID
    recorded_at: datetime
    day: date
    is_load: bool
    store_id: UUID | None
    holder_id: UUID
    amount_fen: int
    fate: str
    discount_fen: int
    granted_fen: int
    points: int
    others_fen: int
    gave_own_fen: int
    gave_fen: int
    funder_kinds: list[str]
    funder_ids: list[UUID]
    funder_fen: list[int]
    offers: list[str]
    whys: list[str]


class ShadowUse(NamedTuple):
    """What a draft would have used of a budget, or of a subject's part of it, in a period."""

    book_id: int
    campaign_id: UUID
    number: int
    budget_id: UUID
    subject_id: UUID
    period: str
    used_fen: int
    used_count: int
    exhausted_at: datetime | None


async def insert_seen(connection: Connection, plans: Sequence[Plan], *, slot: int, at: datetime) -> None:
    """Keep what payments were priced by."""
    params = {
        "slot": slot,
        "at": at,
        "ids": [plan.posting.transaction_id for plan in plans],
        "books": [plan.receipt.payment.book_id for plan in plans],
        "seen": [plan.seen for plan in plans],
    }
    await connection.execute(_SQL["insert_seen"], params)


async def find_seen_book(connection: Connection, *, slots: Sequence[int], but: Sequence[int]) -> int | None:
    """A book of which something is kept, none of ``but``."""
    row = await (await connection.execute(_SQL["seen_book"], {"slots": list(slots), "but": list(but)})).fetchone()
    return None if row is None else row[0]


async def hold_shadows(connection: Connection, *, book_id: int) -> None:
    """Let nobody else price what is kept of a book until the end of the transaction."""
    await connection.execute(_SQL["hold_shadows"], {"book_id": book_id})


async def load_seen(connection: Connection, *, book_id: int, slots: Sequence[int], limit: int) -> list[SeenRow]:
    """What is kept of a book, the oldest first."""
    rows = await _first_rows(connection, _SQL["seen"], {"book_id": book_id}, slots, limit)
    return [SeenRow(*row) for row in rows]


async def delete_seen(connection: Connection, rows: Sequence[SeenRow]) -> None:
    """Let go of what was priced."""
    params = {"slots": [row.slot for row in rows], "ids": [row.transaction_id for row in rows]}
    await connection.execute(_SQL["delete_seen"], params)


async def insert_shadow_rows(connection: Connection, rows: Sequence[ShadowRow]) -> None:
    """Write what drafts would have done."""
    if rows:
        await connection.cursor().executemany(_SQL["insert_shadow"], [row._asdict() for row in rows])


async def load_shadow_used(
    connection: Connection, shadow: Shadow, *, subjects: Sequence[UUID]
) -> dict[Key, tuple[int, int]]:
    """What a draft has used of its budgets, of these subjects' parts."""
    cursor = await connection.execute(_SQL["shadow_used"], _of_shadow(shadow) | {"subjects": list(subjects)})
    return {
        Key(budget_id, subject_id if subject_id.int else None, period): (fen, count)
        for budget_id, subject_id, period, fen, count in await cursor.fetchall()
    }


async def write_shadow_used(connection: Connection, uses: Sequence[ShadowUse]) -> None:
    """Write what drafts have used by now; the moment at which a budget first left no room stays."""
    if uses:
        await connection.cursor().executemany(_SQL["write_shadow_used"], [use._asdict() for use in uses])


async def sum_shadow(connection: Connection, shadow: Shadow, *, slots: Sequence[int]) -> tuple[Any, ...]:
    """Sums over what a shadow has seen, in the order of ``ShadowSums``."""
    params = _of_shadow(shadow) | {"slots": list(slots)}
    row = await (await connection.execute(_SQL["sum_shadow"], params)).fetchone()
    assert row is not None
    return row


async def sum_shadow_days(connection: Connection, shadow: Shadow, *, slots: Sequence[int]) -> list[tuple[Any, ...]]:
    """By day and funder: day, kind, party, discount."""
    params = _of_shadow(shadow) | {"slots": list(slots)}
    return await (await connection.execute(_SQL["sum_shadow_days"], params)).fetchall()


async def sum_shadow_stores(connection: Connection, shadow: Shadow, *, slots: Sequence[int]) -> list[tuple[Any, ...]]:
    """By store, those with the most first: store, payments, discount, granted."""
    params = _of_shadow(shadow) | {"slots": list(slots)}
    return await (await connection.execute(_SQL["sum_shadow_stores"], params)).fetchall()


async def sum_shadow_skips(connection: Connection, shadow: Shadow, *, slots: Sequence[int]) -> list[tuple[Any, ...]]:
    """By offer and reason: offer, why, count."""
    params = _of_shadow(shadow) | {"slots": list(slots)}
    return await (await connection.execute(_SQL["sum_shadow_skips"], params)).fetchall()


async def list_shadow_budgets(connection: Connection, shadow: Shadow, *, limit: int = 200) -> list[tuple[Any, ...]]:
    """What would have been used of budgets, those that ended first: budget, subject, period, fen, count, since when."""
    params = _of_shadow(shadow) | {"limit": limit}
    return await (await connection.execute(_SQL["shadow_budgets"], params)).fetchall()


async def count_seen(connection: Connection, shadow: Shadow, *, slots: Sequence[int]) -> int:
    """How many payments of the book wait to be priced with drafts."""
    params = {"book_id": shadow.book_id, "slots": list(slots)}
    row = await (await connection.execute(_SQL["count_seen"], params)).fetchone()
    assert row is not None
    return int(row[0])


async def list_shadow_rows(
    connection: Connection, shadow: Shadow, *, slots: Sequence[int], search: Params
) -> list[ShadowRow]:
    """What a draft would have done with payments, the newest first; one more than ``limit`` tells of a next page."""
    limit = search["limit"] + 1
    rows = []
    for slot in slots:
        params = {**_of_shadow(shadow), **search, "slot": slot, "limit": limit}
        rows += [ShadowRow(*row) for row in await list_rows(connection, _SQL["shadow_rows"], params)]
    return sorted(rows, key=lambda row: row.transaction_id, reverse=True)[:limit]


def _of_shadow(shadow: Shadow) -> dict[str, object]:
    return {"book_id": shadow.book_id, "campaign_id": shadow.campaign_id, "number": shadow.number}


# --- limits


async def insert_limit(connection: Connection, limit: Limit) -> bool:
    """Store a limit and end the one that it replaces; False if that had ended already."""
    hours = limit.hours or (None, None)
    params = {**asdict(limit), "from_minute": hours[0], "to_minute": hours[1]}
    return (await connection.execute(_SQL["insert_limit"], params)).rowcount == 1


async def end_limit(connection: Connection, *, book_id: int, limit_id: UUID, at: datetime) -> bool:
    """End a limit; False if it had ended already or is not there."""
    cursor = await connection.execute(_SQL["end_limit"], {"book_id": book_id, "id": limit_id, "at": at})
    return cursor.rowcount == 1


def _limit(row: Sequence[Any]) -> Limit:
    (
        id_, book_id, programme_id, name, movement, scope, holder, metric, period, trailing_s, maximum, from_minute,
        to_minute, replaces_id, created_at, ended_at,
    ) = row  # fmt: skip
    hours = None if from_minute is None else Hours(from_minute, to_minute)
    return Limit(
        id_, book_id, programme_id, name, Movement(movement), LimitScope(scope), Holder(holder), Metric(metric),
        Period(period), trailing_s, maximum, hours, replaces_id, created_at, ended_at,
    )  # fmt: skip


async def load_limits(pool: Pool, params: Params) -> list[Limit]:
    """Limits of a book, the newest first; the filters are those of ``limits`` in ``queries.sql``."""
    async with pool.connection() as connection:
        return [_limit(row) for row in await list_rows(connection, _SQL["limits"], params)]


async def load_limits_in_force(pool: Pool, book_ids: Sequence[int]) -> list[Limit]:
    """Every limit of these books that has not ended, in the order in which they were made."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_SQL["limits_in_force"], {"book_ids": list(book_ids)})
        return [_limit(row) for row in await cursor.fetchall()]


async def insert_place_rule(connection: Connection, rule: PlaceRule) -> bool:
    """Store a place rule."""
    hours = rule.hours or (None, None)
    params = {**asdict(rule), "from_minute": hours[0], "to_minute": hours[1]}
    return (await connection.execute(_SQL["insert_place_rule"], params)).rowcount == 1


async def end_place_rule(connection: Connection, *, book_id: int, rule_id: UUID, at: datetime) -> bool:
    """End a place rule; False if it had ended already or is not there."""
    cursor = await connection.execute(_SQL["end_place_rule"], {"book_id": book_id, "id": rule_id, "at": at})
    return cursor.rowcount == 1


def _place_rule(row: Sequence[Any]) -> PlaceRule:
    (
        id_, book_id, programme_id, name, kind, holder, latitude_udeg, longitude_udeg, radius_m, max_speed_kmh, grace_m,
        from_minute, to_minute, created_at, ended_at,
    ) = row  # fmt: skip
    hours = None if from_minute is None else Hours(from_minute, to_minute)
    return PlaceRule(
        id_, book_id, programme_id, name, PlaceRuleKind(kind), Holder(holder), latitude_udeg, longitude_udeg, radius_m,
        max_speed_kmh, grace_m, hours, created_at, ended_at,
    )  # fmt: skip


async def erase_openings(
    connection: Connection, *, book_id: int, slot: int, entries: Mapping[UUID, tuple[bytes, bytes]]
) -> list[UUID]:
    """Erase the private fields and salts of transactions, given with their canonical bytes and the commitments in them.

    Which were erased: not one whose leaf would no longer be that of its bytes."""
    params = {
        "book_id": book_id,
        "slot": slot,
        "ids": list(entries),
        "entries": [entry for entry, _ in entries.values()],
        "commitments": [commitment for _, commitment in entries.values()],
    }
    return [row[0] for row in await (await connection.execute(_SQL["erase_openings"], params)).fetchall()]


async def load_place_rules(pool: Pool, params: Params) -> list[PlaceRule]:
    """Place rules of a book, the newest first; the filters are those of ``place_rules`` in ``queries.sql``."""
    async with pool.connection() as connection:
        return [_place_rule(row) for row in await list_rows(connection, _SQL["place_rules"], params)]


async def load_place_rules_in_force(pool: Pool, book_ids: Sequence[int]) -> list[PlaceRule]:
    """Every place rule of these books that has not ended, in the order in which they were made."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_SQL["place_rules_in_force"], {"book_ids": list(book_ids)})
        return [_place_rule(row) for row in await cursor.fetchall()]


APPLIED, ANSWERED = PostStatus.APPLIED.value, PostStatus.ANSWERED.value
STALE = PostStatus.STALE.value
OVER_LIMIT = 4
"""Besides the statuses of the ledger: a limit leaves no room for it."""
