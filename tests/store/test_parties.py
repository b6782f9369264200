"""Tenants, keys, merchants, stores and terminals in a real database."""

from datetime import timedelta
from uuid import UUID

import pytest

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import read_cursor
from kaquan.parties import (
    Book,
    Directory,
    IssuedKey,
    Merchant,
    MerchantChange,
    Mode,
    Principal,
    Scope,
    Search,
    Store,
    Terminal,
    TerminalStatus,
    change_merchant,
    change_terminal,
    create_issuer,
    create_merchant,
    create_store,
    create_tenant,
    create_terminal,
    get_issuer,
    get_merchant,
    get_store,
    get_tenant,
    get_terminal,
    issue_key,
    list_issuers,
    list_keys,
    list_merchants,
    list_stores,
    list_tenants,
    list_terminals,
    revoke_key,
)
from kaquan.parties.store import load_books


class World:
    """Two tenants, made anew for each test, and short ways to make things in their books."""

    def __init__(self, pool: Pool, clock: Clock, ids: Ids) -> None:
        self.pool, self.clock, self.ids = pool, clock, ids

    async def book(self, mode: Mode = Mode.LIVE) -> Book:
        created = await create_tenant(self.pool, self.clock, self.ids, name=f"tenant {self.ids.new()}")
        assert not isinstance(created, Refusal)
        return created[1][mode]

    async def merchant(self, book: Book, code: str = "m1", name: str = "红旗") -> Merchant:
        made = await create_merchant(
            self.pool, self.clock, self.ids, book_id=book.id, code=code, name=name, trade="grocery"
        )
        assert isinstance(made, Merchant)
        return made

    async def store(self, book: Book, merchant: Merchant, code: str = "s1") -> Store:
        made = await create_store(
            self.pool,
            self.clock,
            self.ids,
            book_id=book.id,
            merchant_id=merchant.id,
            code=code,
            name="一号店",
        )
        assert isinstance(made, Store)
        return made

    async def terminal(self, book: Book, store: Store, code: str = "t1") -> Terminal:
        made = await create_terminal(self.pool, self.clock, self.ids, book_id=book.id, store_id=store.id, code=code)
        assert isinstance(made, Terminal)
        return made

    async def key(self, book: Book, *scopes: Scope) -> IssuedKey:
        issued = await issue_key(self.pool, self.clock, self.ids, book=book, name="till", scopes=scopes)
        assert isinstance(issued, IssuedKey)
        return issued

    async def block(self, book: Book, id_: UUID) -> Terminal:
        blocked = await change_terminal(
            self.pool, self.clock, self.ids, book_id=book.id, id_=id_, status=TerminalStatus.BLOCKED
        )
        assert isinstance(blocked, Terminal)
        return blocked

    async def version(self, book: Book) -> int:
        return next(found.version for found in await load_books(self.pool) if found.id == book.id)


@pytest.fixture
def world(pool: Pool, clock: Clock, ids: Ids) -> World:
    return World(pool, clock, ids)


def refused(result: object, code: str, field: str) -> Refusal:
    assert isinstance(result, Refusal)
    assert (result.code, result.field) == (code, field)
    return result


async def test_a_tenant_has_a_live_and_a_test_book(world: World) -> None:
    created = await create_tenant(world.pool, world.clock, world.ids, name="江都")
    assert not isinstance(created, Refusal)
    tenant, books = created
    assert set(books) == {Mode.LIVE, Mode.TEST}
    assert {book.tenant_id for book in books.values()} == {tenant.id}
    assert await get_tenant(world.pool, "江都") == created
    before = await list_tenants(world.pool)
    again = refused(await create_tenant(world.pool, world.clock, world.ids, name="江都"), "already_exists", "name")
    assert show_id(Prefix.TENANT, tenant.id) in again.message("en")
    assert await list_tenants(world.pool) == before
    assert await get_tenant(world.pool, "nobody") is None


async def test_every_write_moves_the_version_and_a_refused_one_does_not(world: World) -> None:
    book = await world.book()
    assert await world.version(book) == book.version
    key = await world.key(book)
    assert await world.version(book) == book.version + 1
    merchant = await world.merchant(book)
    store = await world.store(book, merchant)
    terminal = await world.terminal(book, store)
    assert await world.version(book) == book.version + 4
    await change_terminal(
        world.pool, world.clock, world.ids, book_id=book.id, id_=terminal.id, status=TerminalStatus.BLOCKED
    )
    await revoke_key(world.pool, world.clock, world.ids, book_id=book.id, key_id=key.key.id)
    assert await world.version(book) == book.version + 6
    await change_terminal(
        world.pool, world.clock, world.ids, book_id=book.id, id_=terminal.id, status=TerminalStatus.BLOCKED
    )
    await revoke_key(world.pool, world.clock, world.ids, book_id=book.id, key_id=key.key.id)
    refused(
        await create_merchant(world.pool, world.clock, world.ids, book_id=book.id, code="m1", name="other", trade=None),
        "already_exists",
        "code",
    )
    assert await world.version(book) == book.version + 6


async def test_codes_are_unique_in_a_book_and_free_in_another(world: World) -> None:
    book, other = await world.book(), await world.book()
    merchant = await world.merchant(book)
    store = await world.store(book, merchant)
    terminal = await world.terminal(book, store)
    taken = [
        (
            await create_merchant(world.pool, world.clock, world.ids, book_id=book.id, code="m1", name="x", trade=None),
            show_id(Prefix.MERCHANT, merchant.id),
        ),
        (
            await create_store(
                world.pool,
                world.clock,
                world.ids,
                book_id=book.id,
                merchant_id=merchant.id,
                code="s1",
                name="x",
            ),
            show_id(Prefix.STORE, store.id),
        ),
        (
            await create_terminal(world.pool, world.clock, world.ids, book_id=book.id, store_id=store.id, code="t1"),
            show_id(Prefix.TERMINAL, terminal.id),
        ),
    ]
    for result, existing in taken:
        refusal = refused(result, "already_exists", "code")
        assert existing in refusal.message("en")
        assert existing in refusal.message("zh")
    everything = Search(limit=200)
    assert (await list_merchants(world.pool, book_id=book.id, search=everything)).data == [merchant]
    assert (await list_stores(world.pool, book_id=book.id, search=everything)).data == [store]
    assert (await list_terminals(world.pool, book_id=book.id, search=everything)).data == [terminal]
    assert (await world.merchant(other)).id != merchant.id


async def test_nothing_of_another_book_is_found(world: World) -> None:
    book, other = await world.book(), await world.book()
    merchant = await world.merchant(book)
    store = await world.store(book, merchant)
    terminal = await world.terminal(book, store)
    version = await world.version(other)
    pool, theirs = world.pool, other.id
    refused(await get_merchant(pool, book_id=theirs, id_=merchant.id), "not_found", "id")
    refused(await get_store(pool, book_id=theirs, id_=store.id), "not_found", "id")
    refused(await get_terminal(pool, book_id=theirs, id_=terminal.id), "not_found", "id")
    refused(
        await change_merchant(
            pool, world.clock, world.ids, book_id=theirs, id_=merchant.id, change=MerchantChange(name="stolen")
        ),
        "not_found",
        "id",
    )
    refused(
        await change_terminal(
            pool, world.clock, world.ids, book_id=theirs, id_=terminal.id, status=TerminalStatus.BLOCKED
        ),
        "not_found",
        "id",
    )
    refused(
        await create_store(pool, world.clock, world.ids, book_id=theirs, merchant_id=merchant.id, code="s", name="x"),
        "not_found",
        "merchant_id",
    )
    refused(
        await create_terminal(pool, world.clock, world.ids, book_id=theirs, store_id=store.id, code="t"),
        "not_found",
        "store_id",
    )
    for page in (
        await list_merchants(pool, book_id=theirs, search=Search()),
        await list_stores(pool, book_id=theirs, search=Search(merchant_id=merchant.id)),
        await list_terminals(pool, book_id=theirs, search=Search(store_id=store.id)),
    ):
        assert page.data == []
    assert await get_merchant(pool, book_id=book.id, id_=merchant.id) == merchant
    assert await get_terminal(pool, book_id=book.id, id_=terminal.id) == terminal
    assert await world.version(other) == version


async def test_an_issuer_needs_a_real_time_zone(world: World) -> None:
    book = await world.book()
    version = await world.version(book)
    for wrong in ("Mars/Olympus", "../../etc/passwd", "", "Asia"):
        result = await create_issuer(
            world.pool, world.clock, world.ids, book_id=book.id, code="i1", name="发卡方", time_zone=wrong
        )
        refused(result, "invalid_field", "time_zone")
    assert await world.version(book) == version
    made = await create_issuer(
        world.pool,
        world.clock,
        world.ids,
        book_id=book.id,
        code="i1",
        name="发卡方",
        time_zone="Asia/Shanghai",
    )
    assert not isinstance(made, Refusal)
    assert await get_issuer(world.pool, book_id=book.id, id_=made.id) == made
    assert (await list_issuers(world.pool, book_id=book.id, search=Search(code="i1"))).data == [made]


async def test_pages_are_complete_and_stay_so_while_rows_are_added(world: World) -> None:
    book = await world.book()
    made = [await world.merchant(book, f"m{number}") for number in range(7)]
    seen: list[Merchant] = []
    after: UUID | None = None
    for _ in range(4):
        page = await list_merchants(world.pool, book_id=book.id, search=Search(limit=2, after_id=after))
        seen += page.data
        await world.merchant(book, f"late{len(seen)}")
        after = None if page.next_cursor is None else read_cursor(page.next_cursor)
    assert after is None
    assert seen == made[::-1]


async def test_a_page_that_ends_with_the_list_has_no_cursor(world: World) -> None:
    book = await world.book()
    for number in range(2):
        await world.merchant(book, f"m{number}")
    assert (await list_merchants(world.pool, book_id=book.id, search=Search(limit=2))).next_cursor is None
    assert (await list_merchants(world.pool, book_id=book.id, search=Search(limit=1))).next_cursor


async def test_lists_are_narrowed(world: World) -> None:
    book = await world.book()
    first = await world.merchant(book, "m1", "红旗连锁")
    second = await world.merchant(book, "m2", "百分%号_")
    store_1, store_2 = await world.store(book, first, "s1"), await world.store(book, second, "s2")
    terminal_1, terminal_2 = (
        await world.terminal(book, store_1, "t1"),
        await world.terminal(book, store_2, "t2"),
    )
    blocked = await change_terminal(
        world.pool, world.clock, world.ids, book_id=book.id, id_=terminal_2.id, status=TerminalStatus.BLOCKED
    )

    async def merchants(search: Search) -> list[Merchant]:
        return (await list_merchants(world.pool, book_id=book.id, search=search)).data

    assert await merchants(Search(code="m1")) == [first]
    assert await merchants(Search(name="红旗")) == [first]
    assert await merchants(Search(name="%")) == []
    assert await merchants(Search(name="百分%号_")) == [second]
    assert await merchants(Search(created_after=first.created_at)) == [second]
    assert await merchants(Search(created_before=second.created_at)) == [first]
    just_before = first.created_at - timedelta(microseconds=1)
    assert await merchants(Search(created_after=just_before)) == [second, first]
    stores = await list_stores(world.pool, book_id=book.id, search=Search(merchant_id=first.id))
    assert stores.data == [store_1]
    for search, found in (
        (Search(store_id=store_1.id), [terminal_1]),
        (Search(merchant_id=second.id), [blocked]),
        (Search(status=TerminalStatus.ACTIVE), [terminal_1]),
        (Search(code="t2", status=TerminalStatus.ACTIVE), []),
    ):
        assert (await list_terminals(world.pool, book_id=book.id, search=search)).data == found


async def test_a_key_is_known_until_it_is_revoked(world: World) -> None:
    book = await world.book()
    directory = Directory(world.pool)
    issued = await world.key(book, Scope.PAYMENTS_WRITE, Scope.CARDS_READ)
    assert directory.authenticate(issued.token) is None
    await directory.refresh()
    assert directory.authenticate(issued.token) == Principal(
        issued.key.id, book.id, Mode.LIVE, frozenset({"payments:write", "cards:read"})
    )
    revoked = await revoke_key(world.pool, world.clock, world.ids, book_id=book.id, key_id=issued.key.id)
    assert not isinstance(revoked, Refusal)
    assert revoked.revoked_at is not None
    again = await revoke_key(world.pool, world.clock, world.ids, book_id=book.id, key_id=issued.key.id)
    assert again == revoked, "the first revocation stands"
    await directory.catch_up()
    assert directory.authenticate(issued.token) is None
    assert await list_keys(world.pool, book.id) == [revoked]


async def test_a_key_of_another_book_cannot_be_revoked(world: World) -> None:
    book, other = await world.book(), await world.book()
    issued = await world.key(book)
    result = await revoke_key(world.pool, world.clock, world.ids, book_id=other.id, key_id=issued.key.id)
    refused(result, "not_found", "id")
    assert await list_keys(world.pool, book.id) == [issued.key]


async def test_a_key_needs_its_book(world: World) -> None:
    nowhere = Book(2_000_000_000, world.ids.new(), Mode.LIVE, 1)
    result = await issue_key(world.pool, world.clock, world.ids, book=nowhere, name="x", scopes=[])
    refused(result, "not_found", "book_id")
    assert await list_keys(world.pool, nowhere.id) == []


async def test_every_part_of_a_token_counts(world: World) -> None:
    book, other = await world.book(), await world.book(Mode.TEST)
    issued, foreign = await world.key(book), await world.key(other)
    directory = Directory(world.pool)
    await directory.refresh()
    assert directory.authenticate(issued.token) is not None
    head, mode, key_id, secret = issued.token.split("_", 3)
    foreign_id, foreign_secret = foreign.token.split("_", 3)[2:]
    assert mode == "live"
    for token in (
        f"{head}_test_{key_id}_{secret}",
        f"{head}_LIVE_{key_id}_{secret}",
        f"{head}_live_{foreign_id}_{secret}",
        f"{head}_live_{key_id}_{foreign_secret}",
        f"{head}_live_{foreign_id}_{foreign_secret}",
        f"{head}_live_{world.ids.new().hex}_{secret}",
        issued.token + "x",
        "",
    ):
        assert directory.authenticate(token) is None


async def test_no_secret_is_kept_or_shown(world: World) -> None:
    book = await world.book()
    issued = await world.key(book)
    secret = issued.token.split("_", 3)[3]
    for shown in (repr(issued), str(issued), repr(await list_keys(world.pool, book.id))):
        assert secret not in shown


async def test_the_directory_follows_terminals(world: World) -> None:
    book = await world.book()
    directory = Directory(world.pool)
    await directory.refresh()
    assert directory.book(book.id).places == {}
    merchant = await world.merchant(book)
    store = await world.store(book, merchant)
    terminal = await world.terminal(book, store)
    await directory.catch_up()
    place = directory.book(book.id).places[terminal.id]
    assert (place.store_id, place.merchant_id, place.status) == (store.id, merchant.id, "active")
    await change_terminal(
        world.pool, world.clock, world.ids, book_id=book.id, id_=terminal.id, status=TerminalStatus.BLOCKED
    )
    known = directory.book(book.id)
    assert known.places[terminal.id].status == "active"
    await directory.refresh()
    assert directory.book(book.id).places[terminal.id].status == "blocked"
    unchanged = directory.book(book.id)
    await directory.refresh()
    assert directory.book(book.id) is unchanged, "a book that has not moved is not read again"
