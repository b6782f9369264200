"""What the benches pay with and where: made through the rooms, since making it is not what is measured."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

from kaquan import cards, parties, payments
from kaquan.cards import CardForm, NewBatch, NewProgramme, Pocket, Press, Programme
from kaquan.doors.bench import store
from kaquan.doors.bench.stand import BenchError
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import AccountSpec, FloorRule, open_accounts
from kaquan.parties import Book, Mode, Scope
from kaquan.payments import Holder, LimitScope, Metric, Movement, NewLimit, Period
from kaquan.vault import Keyring

Made = TypeVar("Made")

SLOTS = (0,)
CURRENCY = "CNY"
AT_ONCE = 5_000


class Town(msgspec.Struct, frozen=True):
    """Merchants with a terminal each, a programme that they all accept, and a key that may do everything."""

    book: Book
    token: str
    programme: Programme
    terminals: list[str]


async def make_town(pool: Pool, *, merchants: int, ids: Ids, clock: Clock) -> Town:
    """``merchants`` of one store and one terminal each."""
    _, books = _made(await parties.create_tenant(pool, clock, ids, name="bench"))
    book = books[Mode.TEST]
    key = _made(await parties.issue_key(pool, clock, ids, book=book, name="bench", scopes=Scope))
    issuer = _made(
        await parties.create_issuer(
            pool, clock, ids, book_id=book.id, code="bench", name="Bench", time_zone="Asia/Shanghai"
        )
    )
    programme = _made(
        await cards.create_programme(
            pool,
            clock,
            ids,
            book_id=book.id,
            new=NewProgramme(
                issuer_id=issuer.id,
                code="bench",
                name="Bench",
                currency=CURRENCY,
                number_prefix="9990",
                spend_order=(Pocket.BONUS, Pocket.PRINCIPAL),
                max_balance_fen=None,
                authorization_ttl_s=86_400,
                principal_valid_days=None,
                bonus_valid_days=None,
            ),
        )
    )

    async def open_shop(number: int) -> tuple[UUID, str]:
        code = f"bench-{number}"
        merchant = _made(
            await parties.create_merchant(pool, clock, ids, book_id=book.id, code=code, name=code, trade=None)
        )
        shop = _made(
            await parties.create_store(pool, clock, ids, book_id=book.id, merchant_id=merchant.id, code=code, name=code)
        )
        terminal = _made(await parties.create_terminal(pool, clock, ids, book_id=book.id, store_id=shop.id, code=code))
        return merchant.id, show_id(Prefix.TERMINAL, terminal.id)

    shops = await _all([open_shop(number) for number in range(merchants)])
    accepts = [(merchant_id, None) for merchant_id, _ in shops]
    _made(await cards.change_acceptance(pool, clock, ids, book_id=book.id, programme_id=programme.id, add=accepts))
    return Town(book, key.token, programme, [terminal for _, terminal in shops])


async def issue_cards(
    pool: Pool, town: Town, keyring: Keyring, *, count: int, name: str, ids: Ids, clock: Clock
) -> UUID:
    """A finished batch of ``count`` digital cards, not yet active; its id."""
    new = NewBatch(programme_id=town.programme.id, name=name, form=CardForm.DIGITAL, card_count=count)
    batch = _made(await cards.create_batch(pool, clock, ids, book_id=town.book.id, slots=SLOTS, new=new))
    press = Press(keyring, SLOTS, ids)
    _made(await cards.run_batch(pool, press, clock, book_id=town.book.id, batch_id=batch.id))
    return batch.id


async def activate_cards(
    pool: Pool, town: Town, keyring: Keyring, *, batch_id: UUID, ids: Ids, clock: Clock
) -> list[str]:
    """Make a whole batch active, with its pockets, in a few statements; the numbers of its cards."""
    async with pool.connection() as connection:
        sealed = await store.activate_batch(connection, batch_id=batch_id, at=clock.now(), ids=ids)
        for start in range(0, len(sealed), AT_ONCE):
            asked = [
                AccountSpec(town.book.id, card_id, pocket.account_kind, CURRENCY, FloorRule.CREDIT, lotted=True)
                for card_id, _ in sealed[start : start + AT_ONCE]
                for pocket in Pocket
            ]
            await open_accounts(connection, slot=SLOTS[0], asked=asked)
    return [keyring.open(number, card_id.bytes).decode("ascii") for card_id, number in sealed]


async def _all(calls: Sequence[Awaitable[Made]]) -> list[Made]:
    return list(await asyncio.gather(*calls))


def _made(answer: Made | Refusal) -> Made:
    if isinstance(answer, Refusal):
        raise BenchError(f"The benches could not be furnished: {answer.message()}")
    return answer


PLENTY_FEN = 10**12
MANY = 10**9

TEN_LIMITS = (
    (LimitScope.CARD, Period.DAY, Metric.AMOUNT, PLENTY_FEN),
    (LimitScope.CARD, Period.DAY, Metric.COUNT, MANY),
    (LimitScope.CARD, Period.MONTH, Metric.AMOUNT, PLENTY_FEN),
    (LimitScope.CARD, Period.YEAR, Metric.AMOUNT, PLENTY_FEN),
    (LimitScope.PERSON, Period.DAY, Metric.AMOUNT, PLENTY_FEN),
    (LimitScope.PERSON, Period.MONTH, Metric.AMOUNT, PLENTY_FEN),
    (LimitScope.PERSON, Period.YEAR, Metric.AMOUNT, PLENTY_FEN),
    (LimitScope.TERMINAL, Period.DAY, Metric.AMOUNT, PLENTY_FEN),
    (LimitScope.TERMINAL, Period.DAY, Metric.COUNT, MANY),
    (LimitScope.TERMINAL, Period.MONTH, Metric.AMOUNT, PLENTY_FEN),
)
"""What each purchase counts in when all limits are on; none is ever reached."""


async def set_limits(pool: Pool, town: Town, *, ids: Ids, clock: Clock) -> None:
    """Ten limits on the town's programme, and a person for each card."""
    async with pool.connection() as connection:
        await store.register_cards(connection)
    for scope, period, metric, maximum in TEN_LIMITS:
        new = NewLimit(
            programme_id=town.programme.id,
            name=f"{scope} {period} {metric}",
            movement=Movement.SPEND,
            scope=scope,
            holder=Holder.ANY,
            metric=metric,
            period=period,
            trailing_s=None,
            maximum=maximum,
            hours=None,
        )
        _made(await payments.create_limit(pool, clock, ids, book_id=town.book.id, new=new))
