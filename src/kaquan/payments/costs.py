"""Who pays what for offers: read from the ledger's accounts of funders, so that it agrees with the books to the fen.

Each funder of a campaign (or of a voucher template) has accounts of its own (ADR 0032): what was given is what they
were debited, what was taken back what they were credited. What is promised beside, vouchers at their face value and
points, is no entry of theirs: it is told from the pricings that are kept with the payments.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.db import Pool
from kaquan.kit.ids import MARGIN, first_id
from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Account, get_account_at, read_accounts_of_owners
from kaquan.payments import store
from kaquan.payments.kept import Kept, PartKind, read_kept, read_part
from kaquan.payments.price import BONUS_EXPENSE, DISCOUNT_EXPENSE, Parties
from kaquan.payments.types import Funding, PaymentKind
from kaquan.promotions import Grant, GrantKind

CHUNK = 2_000


class CostKind(StrEnum):
    """What somebody pays for."""

    DISCOUNT = "discount"
    BONUS = "bonus"
    VOUCHERS = "vouchers"
    """Granted, at their face value; what they take off is a discount of their template when they are redeemed."""
    POINTS = "points"
    """Granted; the amounts are points."""


class Cost(NamedTuple):
    """What one funder paid of one kind: minor units of ``currency`` (points for points, without one)."""

    funding: Funding
    kind: CostKind
    currency: str | None
    given_fen: int
    taken_back_fen: int
    reserved_fen: int
    """Set aside by authorizations at the end of the time, beside what was given."""

    @property
    def net_fen(self) -> int:
        """Given less taken back."""
        return self.given_fen - self.taken_back_fen


_ACCOUNTS = {DISCOUNT_EXPENSE: CostKind.DISCOUNT, BONUS_EXPENSE: CostKind.BONUS}

Counters = tuple[int, int, int]
"""Debited, credited, and set aside."""
_NOTHING: Counters = (0, 0, 0)


async def report_costs(
    pool: Pool,
    *,
    book_id: int,
    slots: Sequence[int],
    campaign_id: UUID | None = None,
    party_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime,
) -> list[Cost]:
    """Discounts and bonuses from ``since`` (None: ever) until ``until``, each included; of one campaign, or of one who
    pays, or of all. Whoever paid nothing is left out."""
    async with pool.connection() as connection:
        fundings = await store.load_funders(connection, book_id=book_id, campaign_id=campaign_id, party_id=party_id)
    found: dict[tuple[UUID, CostKind, str], list[int]] = {}
    for slot in slots:
        async with pool.connection() as connection:
            accounts = await read_accounts_of_owners(
                connection, book_id=book_id, owner_ids=[one.id for one in fundings], slot=slot
            )
        for account in accounts:
            kind = _ACCOUNTS.get(account.kind)
            if kind is None:
                continue
            given, back, reserved = await _counters(pool, account, until)
            if since is not None:
                before = await _counters(pool, account, since)
                given, back = given - before[0], back - before[1]
            sums = found.setdefault((account.owner_id, kind, account.currency), [0, 0, 0])
            for place, fen in enumerate((given, back, reserved)):
                sums[place] += fen
    by_id = {one.id: one for one in fundings}
    return [
        Cost(by_id[owner_id], kind, currency, *sums)
        for (owner_id, kind, currency), sums in sorted(found.items(), key=lambda one: (one[0][1], one[0][0].int))
        if any(sums)
    ]


async def _counters(pool: Pool, account: Account, at: datetime) -> Counters:
    found = await get_account_at(pool, book_id=account.book_id, slot=account.slot, account_id=account.id, at=at)
    assert not isinstance(found, Refusal), "accounts are never removed"
    return found.debits_posted, found.credits_posted, found.debits_pending


async def report_grants(
    pool: Pool,
    *,
    book_id: int,
    slots: Sequence[int],
    campaign_id: UUID,
    issuer_id: UUID,
    since: datetime | None = None,
    until: datetime,
) -> list[Cost]:
    """Vouchers at their face value and points that payments were granted, and what refunds took of them; each split
    over who pays by the shares of its offer."""
    found: dict[tuple[Funding, CostKind], list[int]] = {}
    for slot in slots:
        async for merchant_id, grants, place in _read_grants(
            pool, book_id=book_id, slot=slot, campaign_id=campaign_id, since=since, until=until
        ):
            parties = Parties(issuer_id, merchant_id)
            for grant, amount in grants:
                kind = CostKind.POINTS if grant.kind is GrantKind.POINTS else CostKind.VOUCHERS
                shares = allocate(amount, [funder.share_bp for funder in grant.funders])
                for funder, part in zip(grant.funders, shares, strict=True):
                    found.setdefault((parties.fund(campaign_id, funder), kind), [0, 0])[place] += part
    return [
        Cost(funding, kind, None, given, back, 0)
        for (funding, kind), (given, back) in sorted(found.items(), key=lambda one: (one[0][1], one[0][0].id.int))
        if given or back
    ]


async def _read_grants(
    pool: Pool, *, book_id: int, slot: int, campaign_id: UUID, since: datetime | None, until: datetime
) -> AsyncIterator[tuple[UUID | None, list[tuple[Grant, int]], int]]:
    """Where a payment was, what was granted (0) or taken back (1) with it, and how much."""
    after = UUID(int=0) if since is None else first_id(since, margin=-MARGIN)
    params = {
        "slot": slot, "book_id": book_id, "since": since, "until": until, "limit": CHUNK,
        "until_id": first_id(until, margin=MARGIN), "campaign": f'"{campaign_id.hex}"'.encode(),
    }  # fmt: skip
    while True:
        async with pool.connection() as connection:
            rows = await store.load_granting(connection, params | {"after_id": after})
        for _, kept_bytes, original_bytes, kind, merchant_id in rows:
            is_authorization = kind == PaymentKind.AUTHORIZATION
            if original_bytes is None:
                if not is_authorization:
                    kept = read_kept(kept_bytes)
                    whole = [(at, one.amount_fen) for at, one in enumerate(kept.grants)]
                    yield merchant_id, _own(kept, campaign_id, whole), 0
                continue
            part = read_part(kept_bytes)
            if part.what is PartKind.REFUND or (part.what is PartKind.CAPTURE and is_authorization):
                own = _own(read_kept(original_bytes), campaign_id, [(at, fen) for at, fen, _ in part.grants])
                yield merchant_id, own, int(part.what is PartKind.REFUND)
        if len(rows) < CHUNK:
            return
        after = rows[-1][0]


def _own(kept: Kept, campaign_id: UUID, amounts: Sequence[tuple[int, int]]) -> list[tuple[Grant, int]]:
    """Those of a campaign that are no bonus: those are entries."""
    return [
        (kept.grants[at], amount)
        for at, amount in amounts
        if amount and kept.grants[at].campaign_id == campaign_id and kept.grants[at].kind is not GrantKind.BONUS
    ]
