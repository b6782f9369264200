"""``/v1/transactions``, ``/v1/accounts``: the book itself."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta
from msgspec.structs import force_setattr

from kaquan import ledger
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import (
    AccountId,
    CardId,
    Code,
    MerchantId,
    Reference,
    TerminalId,
    TransactionId,
    account_of,
    uuid_of,
)
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, Moment, after_id, in_utc
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_path, read_query
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.doors.paper import PaperError, render_receipt
from kaquan.evidence import RECEIPT_CONTRADICTED, RECEIPT_NOT_PRINTABLE, RECEIPT_NOT_READY, SHA256, SM, pack_receipt
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from kaquan.ledger import (
    Account,
    Effect,
    Entry,
    FloorRule,
    Statement,
    StatementLine,
    StatementSearch,
    Transaction,
    TransactionSearch,
    slot_of,
)
from kaquan.parties import Scope
from kaquan.payments.receipt import reveal_receipt

PDF = "application/pdf"

_OWNERS = {
    "card_principal": Prefix.CARD,
    "card_bonus": Prefix.CARD,
    "card_restricted": Prefix.CARD,
    "merchant_payable": Prefix.MERCHANT,
    "load_clearing": Prefix.ISSUER,
    "bonus_expense": Prefix.ISSUER,
    "transfer_clearing": Prefix.ISSUER,
}
"""What owns the accounts of a kind."""

StatementCursor = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{24}$(?!\n)",
        description="a next_cursor that a statement gave",
        extra={"zh": "对账单返回的 next_cursor"},
    ),
]


class TransactionQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``payment_id``: the transaction of a payment and those that continue or reverse it."""

    kind: Code | None = None
    reference: Reference | None = None
    card_id: CardId | None = None
    merchant_id: MerchantId | None = None
    payment_id: TransactionId | None = None


class AccountQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``at``: as of this time, by what was recorded then."""

    at: Moment | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "at", in_utc(self.at))


class StatementQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest first. ``cursor`` is the ``next_cursor`` of the page before; both times are exclusive."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: StatementCursor | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "created_after", in_utc(self.created_after))
        force_setattr(self, "created_before", in_utc(self.created_before))


class EntrySide(msgspec.Struct, frozen=True):
    """One of the two accounts of an entry. ``balance_after_fen`` is known where postings are guarded, as on cards."""

    account_id: AccountId
    kind: str
    owner_id: str | None
    lot: int | None
    balance_after_fen: int | None


class EntryView(msgspec.Struct, frozen=True):
    leg: int
    effect: Effect
    amount_fen: int
    currency: str
    debit: EntrySide
    credit: EntrySide


class TransactionView(msgspec.Struct, frozen=True):
    """``payment_id`` is the payment that it continues or reverses. It occurred at the till, and was created here."""

    id: TransactionId
    kind: str
    payment_id: TransactionId | None
    terminal_id: TerminalId | None
    reference: str | None
    occurred_at: datetime
    created_at: datetime
    entries: list[EntryView]


class AccountView(msgspec.Struct, frozen=True):
    """``posted_fen`` is what has moved, on the account's own side; ``available_fen`` is less what is reserved.

    The four counters are what both are made of. All of it is true at ``true_at``.
    """

    id: AccountId
    kind: str
    owner_id: str | None
    currency: str
    floor_rule: FloorRule
    posted_fen: int
    available_fen: int
    debits_posted_fen: int
    credits_posted_fen: int
    debits_pending_fen: int
    credits_pending_fen: int
    true_at: datetime


class StatementLineView(msgspec.Struct, frozen=True):
    """One leg of a transaction, as this account sees it.

    ``amount_fen`` is below zero for what leaves the account or is set aside in it. Posts and captures add up to what
    is posted (a capture moves what was set aside); on a card, posts, reserves and releases add up to what is available.
    """

    transaction_id: TransactionId
    leg: int
    kind: str
    payment_id: TransactionId | None
    terminal_id: TerminalId | None
    reference: str | None
    occurred_at: datetime
    created_at: datetime
    effect: Effect
    amount_fen: int
    lot: int | None
    balance_after_fen: int | None


class StatementView(msgspec.Struct, frozen=True):
    """The first page of a period (one with ``created_after`` or ``created_before``) has what was posted around it."""

    account_id: AccountId
    currency: str
    opening_fen: int | None
    closing_fen: int | None
    data: list[StatementLineView]
    next_cursor: str | None


def _show(prefix: Prefix, value: UUID | None) -> str | None:
    return None if value is None else show_id(prefix, value)


def _show_account_id(account: Account) -> str:
    return f"acc_{account.slot}_{account.id}"


def _show_owner(account: Account) -> str | None:
    prefix = _OWNERS.get(account.kind)
    return None if prefix is None else show_id(prefix, account.owner_id)


def show_transaction(transaction: Transaction, accounts: Mapping[tuple[int, int], Account]) -> TransactionView:
    def side(number: int, lot: int | None, balance_after: int | None) -> EntrySide:
        account = accounts[transaction.slot, number]
        if balance_after is not None and account.floor_rule is FloorRule.DEBIT:
            balance_after = -balance_after
        return EntrySide(_show_account_id(account), account.kind, _show_owner(account), lot, balance_after)

    def show_entry(entry: Entry) -> EntryView:
        return EntryView(
            leg=entry.leg,
            effect=entry.effect,
            amount_fen=entry.amount_fen,
            currency=accounts[transaction.slot, entry.debit_account].currency,
            debit=side(entry.debit_account, entry.debit_lot, entry.debit_balance_after),
            credit=side(entry.credit_account, entry.credit_lot, entry.credit_balance_after),
        )

    return TransactionView(
        id=show_id(Prefix.TRANSACTION, transaction.id),
        kind=transaction.kind,
        payment_id=_show(Prefix.TRANSACTION, transaction.related_id),
        terminal_id=_show(Prefix.TERMINAL, transaction.place_id),
        reference=transaction.reference,
        occurred_at=transaction.effective_at,
        created_at=transaction.recorded_at,
        entries=[show_entry(entry) for entry in transaction.entries],
    )


def show_account(account: Account, true_at: datetime) -> AccountView:
    return AccountView(
        id=_show_account_id(account),
        kind=account.kind,
        owner_id=_show_owner(account),
        currency=account.currency,
        floor_rule=account.floor_rule,
        posted_fen=account.posted_fen,
        available_fen=account.available_fen,
        debits_posted_fen=account.debits_posted,
        credits_posted_fen=account.credits_posted,
        debits_pending_fen=account.debits_pending,
        credits_pending_fen=account.credits_pending,
        true_at=true_at,
    )


def show_line(line: StatementLine) -> StatementLineView:
    return StatementLineView(
        transaction_id=show_id(Prefix.TRANSACTION, line.transaction_id),
        leg=line.leg,
        kind=line.kind,
        payment_id=_show(Prefix.TRANSACTION, line.related_id),
        terminal_id=_show(Prefix.TERMINAL, line.place_id),
        reference=line.reference,
        occurred_at=line.effective_at,
        created_at=line.recorded_at,
        effect=line.effect,
        amount_fen=line.amount_fen,
        lot=line.lot,
        balance_after_fen=line.balance_after_fen,
    )


def show_statement(statement: Statement) -> StatementView:
    return StatementView(
        account_id=_show_account_id(statement.account),
        currency=statement.account.currency,
        opening_fen=statement.opening_fen,
        closing_fen=statement.closing_fen,
        data=[show_line(line) for line in statement.lines],
        next_cursor=statement.next_cursor,
    )


class ReceiptFormatQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``format``: text (C2SP tlog-proof), compact (what the QR code holds) or pdf; without it pdf if the header Accept
    asks for application/pdf, and else text."""

    format: Literal["text", "compact", "pdf"] | None = None


class ReceiptQuery(ReceiptFormatQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``profile``: sha256, or sm where the log has that profile."""

    profile: Literal["sha256", "sm"] = "sha256"


class TransactionController(Controller):
    path = "/v1/transactions"
    tags = ("ledger",)

    @get(**operation(Scope.LEDGER_READ, query=TransactionQuery, answer=Page[TransactionView]))
    async def list_transactions(self, request: ApiRequest) -> Response[bytes]:
        """List transactions with their entries, the newest first."""
        query = read_query(request, TransactionQuery)
        card_id = uuid_of(query.card_id) if query.card_id else None
        merchant_id = uuid_of(query.merchant_id) if query.merchant_id else None
        payment_id = uuid_of(query.payment_id) if query.payment_id else None
        search = TransactionSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            kind=query.kind,
            reference=query.reference,
            owner_id=card_id or merchant_id,  # the entries of a card are the fewer
            other_owner_id=merchant_id if card_id else None,
            root_id=payment_id,
        )
        app = app_of(request)
        one_slot = card_id or payment_id
        page = await ledger.list_transactions(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots if one_slot is None else [slot_of(one_slot, app.slots)],
            search=search,
        )
        accounts = await ledger.accounts_of(app.pool, page.data)
        return answer_page(page, lambda transaction: show_transaction(transaction, accounts))

    @get(
        "/{id:str}",
        **operation(Scope.LEDGER_READ, path={"id": TransactionId}, answer=TransactionView, refusals=[NOT_FOUND]),
    )
    async def get_transaction(self, request: ApiRequest) -> Response[bytes]:
        """Get a transaction with its entries."""
        app = app_of(request)
        found = await ledger.get_transaction(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            transaction_id=uuid_of(read_path(request, TransactionId)),
        )
        if isinstance(found, Refusal):
            return problem_response(found)
        accounts = await ledger.accounts_of(app.pool, [found])
        return answer(found, lambda transaction: show_transaction(transaction, accounts))

    @get(
        "/{id:str}/receipt",
        **operation(
            Scope.LEDGER_READ,
            path={"id": TransactionId},
            query=ReceiptQuery,
            answer=str,
            refusals=[NOT_FOUND, RECEIPT_NOT_READY, RECEIPT_CONTRADICTED, RECEIPT_NOT_PRINTABLE],
            other_media_types=[PDF],
        ),
    )
    async def get_receipt(self, request: ApiRequest) -> Response[bytes]:
        """Get the receipt of a transaction (C2SP tlog-proof), which anybody can verify offline with the log's key."""
        query = read_query(request, ReceiptQuery)
        app = app_of(request)
        found = await ledger.get_receipt(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            transaction_id=uuid_of(read_path(request, TransactionId)),
            profile=SM if query.profile == "sm" else SHA256,
        )
        return await answer_receipt(request, found, query.format)

    @post(
        "/{id:str}/receipt/reveal",
        **operation(
            Scope.CUSTOMERS_REVEAL,
            path={"id": TransactionId},
            query=ReceiptFormatQuery,
            answer=str,
            refusals=[NOT_FOUND, RECEIPT_NOT_READY, RECEIPT_CONTRADICTED, RECEIPT_NOT_PRINTABLE],
            other_media_types=[PDF],
        ),
    )
    async def reveal_receipt(self, request: ApiRequest) -> Response[bytes]:
        """Get the receipt with what opens the transaction's reference and request key; who asked is recorded."""
        format_ = read_query(request, ReceiptFormatQuery).format
        app = app_of(request)
        found = await reveal_receipt(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            slots=app.slots,
            transaction_id=uuid_of(read_path(request, TransactionId)),
            by=actor_of(request),
        )
        return await answer_receipt(request, found, format_)


async def answer_receipt(request: ApiRequest, found: str | Refusal, format_: str | None) -> Response[bytes]:
    """A receipt as text, in compact form, or as a page: as ``format_`` names it, else as the request accepts it."""
    if isinstance(found, Refusal):
        return problem_response(found)
    if format_ == "pdf" or (format_ is None and _wants_pdf(request.headers.get("accept", ""))):
        try:
            pdf = await asyncio.to_thread(render_receipt, found)  # a page takes tenths of a second
        except PaperError:
            return problem_response(RECEIPT_NOT_PRINTABLE.refuse())
        return Response(pdf, media_type=PDF)
    return Response((pack_receipt(found) if format_ == "compact" else found).encode(), media_type="text/plain")


def _wants_pdf(accept: str) -> bool:
    """Whether PDF is asked for by name, and text is not."""
    asked = {part.partition(";")[0].strip() for part in accept.split(",")}
    return PDF in asked and "text/plain" not in asked


class AccountController(Controller):
    path = "/v1/accounts"
    tags = ("ledger",)

    @get(
        "/{id:str}",
        **operation(
            Scope.LEDGER_READ,
            path={"id": AccountId},
            query=AccountQuery,
            answer=AccountView,
            refusals=[NOT_FOUND],
        ),
    )
    async def get_account(self, request: ApiRequest) -> Response[bytes]:
        """Get an account with its balance, now or as of any time."""
        slot, number = account_of(read_path(request, AccountId))
        at = read_query(request, AccountQuery).at
        app = app_of(request)
        now = app.clock.now()
        if at is None or at >= now:
            found = await ledger.get_account(app.pool, book_id=request.user.book_id, slot=slot, account_id=number)
            return answer(found, lambda account: show_account(account, now))
        found = await ledger.get_account_at(app.pool, book_id=request.user.book_id, slot=slot, account_id=number, at=at)
        return answer(found, lambda account: show_account(account, at))

    @get(
        "/{id:str}/statement",
        **operation(
            Scope.LEDGER_READ,
            path={"id": AccountId},
            query=StatementQuery,
            answer=StatementView,
            refusals=[NOT_FOUND],
        ),
    )
    async def get_statement(self, request: ApiRequest) -> Response[bytes]:
        """List what moved in an account, the newest first."""
        slot, number = account_of(read_path(request, AccountId))
        query = read_query(request, StatementQuery)
        search = StatementSearch(
            limit=query.limit,
            cursor=query.cursor,
            created_after=query.created_after,
            created_before=query.created_before,
        )
        found = await ledger.get_statement(
            app_of(request).pool, book_id=request.user.book_id, slot=slot, account_id=number, search=search
        )
        return answer(found, show_statement)


LEDGER_CONTROLLERS: list[type[Controller]] = [TransactionController, AccountController]
