"""``/v1/programme-ends``"""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta

from kaquan.cards import CardStatus, ending
from kaquan.cards.ending import EndSearch, EndStatus, NewEnd, ProgrammeEnd
from kaquan.cards.ending.outcomes import END_NOT_WITHDRAWABLE, NOTICE_TOO_SHORT, PROGRAMME_ENDS_ALREADY
from kaquan.cards.look_up import get_programme
from kaquan.closing import Payee, PayoutMethod
from kaquan.closing import ending as ends
from kaquan.closing.ending import (
    DeliveryState,
    GivenPayee,
    Liability,
    NewPublication,
    Occasion,
    Publication,
    RefundFile,
    RefundLine,
    RefundSearch,
    RefundState,
    Told,
    ToldSearch,
    Which,
    write_refunds,
)
from kaquan.closing.ending.outcomes import END_WITHDRAWN
from kaquan.closing.outcomes import PAYEE_NOT_HOLDER
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.closing import AccountNumber, Day
from kaquan.doors.http.fields import (
    ApprovalId,
    CardId,
    Cursor,
    CustomerId,
    Name,
    NoticeId,
    PayoutId,
    ProgrammeEndId,
    ProgrammeId,
    Reason,
    uuid_of,
)
from kaquan.doors.http.four_eyes import APPROVED, four_eyes, payload_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, Moment, after_id, in_utc
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.programme_fields import rules_of
from kaquan.doors.http.reading import decode_body, read_body, read_bytes, read_path, read_query, same_fields
from kaquan.doors.http.request import ApiRequest, actor_of, app_of
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import BUSY, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from kaquan.parties import Scope
from kaquan.parties.staff import ApprovalKind
from kaquan.vault import mask_number

MAX_ANNOUNCEMENT = 2_000

Announcement = Annotated[
    str,
    Meta(
        pattern=rf"^[^\x00-\x1f\x7f]{{1,{MAX_ANNOUNCEMENT}}}$(?!\n)",
        description=f"1 to {MAX_ANNOUNCEMENT} characters, no control characters",
        extra={"zh": f"1 到 {MAX_ANNOUNCEMENT} 个字符，不含控制字符"},
    ),
]


class NewProgrammeEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From ``stops_at`` on (a minute ahead or more; absent: as soon as possible) nothing is sold, issued, activated or
    loaded. Cards are taken up to and including ``last_day`` where the issuer is, which leaves the days of public notice
    that the rules ask for. ``announcement`` is the public notice, word for word.

    An operator needs an approval of the kind ``programme_end`` for the programme, with the other fields as payload.
    """

    programme_id: ProgrammeId
    stops_at: Moment | None = None
    last_day: Day
    reason: Reason
    announcement: Announcement
    approval_id: ApprovalId | None = None


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator needs an approval of the kind ``programme_end`` for the end, with the reason as payload."""

    reason: Reason
    approval_id: ApprovalId | None = None


class ProgrammeEndQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    programme_id: ProgrammeId | None = None


class PublicationView(msgspec.Struct, frozen=True):
    """``in_time``: it left the days of notice that bound the end."""

    medium: str
    reference: str
    published_on: date
    in_time: bool
    noted_by: str
    noted_at: datetime


class ProgrammeEndView(msgspec.Struct, frozen=True):
    """``notice_days`` bound the decision by ``notice_rule``; all three are null where nothing asks for any.
    ``publications`` is where it was made public, which is what holders of unregistered cards are told."""

    id: ProgrammeEndId
    programme_id: ProgrammeId
    status: EndStatus
    stops_at: datetime
    last_day: date
    ends_at: datetime
    reason: str
    announcement: str
    notice_days: int | None
    notice_rule: str | None
    notice_source: str | None
    announced_by: str
    approval_id: ApprovalId | None
    announced_at: datetime
    withdrawn_by: str | None
    withdrawal_reason: str | None
    withdrawn_at: datetime | None
    publications: list[PublicationView]


class NewPublicationBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``medium`` is where it was published, ``reference`` what finds it there again: an address, an issue and page."""

    medium: Name
    reference: Name
    published_on: Day


class ToldQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None
    card_id: CardId | None = None
    occasion: Occasion | None = None


class ToldView(msgspec.Struct, frozen=True):
    """``days`` of a reminder: so many before the last day. ``delivery`` console: no endpoint wants such messages."""

    card_id: CardId
    customer_id: CustomerId
    occasion: Occasion
    days: int
    notice_id: NoticeId
    told_at: datetime
    delivery: DeliveryState
    delivered_at: datetime | None


class RefundQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``which`` owed: only cards that are not closed and hold value."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None
    which: Which = Which.ALL


class RefundFileQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``form`` is csv or xlsx."""

    form: RefundFile = RefundFile.CSV
    which: Which = Which.ALL


class RefundLineView(msgspec.Struct, frozen=True):
    """``due_fen`` is what closing the card today would refund, interest with it; null: it cannot be calculated, and
    ``problem`` is the code of why not."""

    card_id: CardId
    number_masked: str
    status: CardStatus
    customer_id: CustomerId | None
    name_masked: str | None
    phone_masked: str | None
    paid_fen: int
    given_fen: int
    due_fen: int | None
    interest_fen: int
    state: RefundState
    problem: str | None
    account_last4: str | None
    payout_id: PayoutId | None


class LiabilityView(msgspec.Struct, frozen=True):
    """What is still on cards and swept from them, paid and given, and what was refunded since the announcement."""

    currency: str
    open_cards: int
    paid_fen: int
    given_fen: int
    closed_cards: int
    refunded_fen: int
    paid_out_fen: int
    payees_known: int
    payees_refused: int


class PayeeOfCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account in the holder's own name; ``holder_name`` is the name on the document that was shown."""

    card_id: CardId
    holder_name: Name
    account_name: Name
    account_number: AccountNumber
    bank_name: Name


class GivenPayees(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All are taken or none; another account takes the place of one before."""

    payees: Annotated[list[PayeeOfCard], Meta(min_length=1, max_length=ends.MAX_PAYEES)]


class GivenPayeesView(msgspec.Struct, frozen=True):
    """How many cards are refunded to an account that was named now."""

    given: int


def show_publication(made: Publication) -> PublicationView:
    return same_fields(made, PublicationView)


def show_end(end: ProgrammeEnd, publications: list[Publication], at: datetime) -> ProgrammeEndView:
    return ProgrammeEndView(
        id=show_id(Prefix.PROGRAMME_END, end.id),
        programme_id=show_id(Prefix.PROGRAMME, end.programme_id),
        status=end.status_at(at),
        stops_at=end.stops_at,
        last_day=end.last_day,
        ends_at=end.ends_at,
        reason=end.reason,
        announcement=end.announcement,
        notice_days=end.notice_days,
        notice_rule=end.notice_rule,
        notice_source=end.notice_source,
        announced_by=end.announced_by,
        approval_id=None if end.approval_id is None else show_id(Prefix.APPROVAL, end.approval_id),
        announced_at=end.announced_at,
        withdrawn_by=end.withdrawn_by,
        withdrawal_reason=end.withdrawal_reason,
        withdrawn_at=end.withdrawn_at,
        publications=[show_publication(made) for made in publications],
    )


def show_told(told: Told) -> ToldView:
    return ToldView(
        card_id=show_id(Prefix.CARD, told.card_id),
        customer_id=show_id(Prefix.CUSTOMER, told.customer_id),
        occasion=told.occasion,
        days=told.days,
        notice_id=show_id(Prefix.NOTICE, told.notice_id),
        told_at=told.told_at,
        delivery=told.delivery,
        delivered_at=told.delivered_at,
    )


def show_line(line: RefundLine) -> RefundLineView:
    return RefundLineView(
        card_id=show_id(Prefix.CARD, line.card_id),
        number_masked=mask_number(line.number_last4),
        status=line.status,
        customer_id=None if line.customer_id is None else show_id(Prefix.CUSTOMER, line.customer_id),
        name_masked=line.name_masked,
        phone_masked=line.phone_masked,
        paid_fen=line.paid_fen,
        given_fen=line.given_fen,
        due_fen=line.due_fen,
        interest_fen=line.interest_fen,
        state=line.state,
        problem=line.problem,
        account_last4=line.account_last4,
        payout_id=None if line.payout_id is None else show_id(Prefix.PAYOUT, line.payout_id),
    )


def show_liability(owed: Liability) -> LiabilityView:
    return same_fields(owed, LiabilityView)


class ProgrammeEndController(Controller):
    path = "/v1/programme-ends"
    tags = ("programme ends",)

    @post(
        **operation(
            Scope.PROGRAMMES_WRITE,
            body=NewProgrammeEnd,
            answer=ProgrammeEndView,
            status=201,
            refusals=[NOT_FOUND, NOTICE_TOO_SHORT, PROGRAMME_ENDS_ALREADY, *APPROVED, BUSY],
        )
    )
    async def end_programme(self, request: ApiRequest) -> Response[bytes]:
        """Announce the end of a programme; the same decision asked twice ends it once."""
        body = await read_bytes(request)
        asked = decode_body(body, NewProgrammeEnd)
        app, book_id = app_of(request), request.user.book_id
        new = NewEnd(
            programme_id=uuid_of(asked.programme_id),
            last_day=asked.last_day,
            reason=asked.reason,
            announcement=asked.announcement,
            stops_at=in_utc(asked.stops_at),
        )
        found = await get_programme(app.pool, book_id=book_id, programme_id=new.programme_id)
        if isinstance(found, Refusal):
            return problem_response(found.outcome.refuse("programme_id", **found.details))
        approve = four_eyes(
            request,
            kind=ApprovalKind.PROGRAMME_END,
            subject=asked.programme_id,
            payload=payload_of(body),
            approval_id=asked.approval_id,
        )
        if isinstance(approve, Refusal):
            return problem_response(approve)
        made = await ending.end_programme(
            app.pool,
            app.clock,
            app.ids,
            book_id=book_id,
            new=new,
            rules=await rules_of(app, book_id, found.issuer_id),
            by=actor_of(request),
            approval_id=None if asked.approval_id is None else uuid_of(asked.approval_id),
            approve=approve,
        )
        return await _shown(request, made, status=201)

    @get(**operation(Scope.PROGRAMMES_READ, query=ProgrammeEndQuery, answer=Page[ProgrammeEndView]))
    async def list_ends(self, request: ApiRequest) -> Response[bytes]:
        """List the ends of programmes, the newest first, withdrawn ones too."""
        query = read_query(request, ProgrammeEndQuery)
        app = app_of(request)
        search = EndSearch(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            programme_id=None if query.programme_id is None else uuid_of(query.programme_id),
        )
        page = await ending.list_ends(app.pool, book_id=request.user.book_id, search=search)
        told = {end.id: await ends.list_publications(app.pool, end) for end in page.data}
        return answer_page(page, lambda end: show_end(end, told[end.id], app.clock.now()))

    @get(
        "/{id:str}",
        **operation(Scope.PROGRAMMES_READ, path={"id": ProgrammeEndId}, answer=ProgrammeEndView, refusals=[NOT_FOUND]),
    )
    async def get_end(self, request: ApiRequest) -> Response[bytes]:
        """Get the end of a programme with its publications."""
        end_id = uuid_of(read_path(request, ProgrammeEndId))
        found = await ending.get_end(app_of(request).pool, book_id=request.user.book_id, end_id=end_id)
        return await _shown(request, found)

    @post(
        "/{id:str}/withdraw",
        **operation(
            Scope.PROGRAMMES_WRITE,
            path={"id": ProgrammeEndId},
            body=Withdrawal,
            answer=ProgrammeEndView,
            refusals=[NOT_FOUND, END_NOT_WITHDRAWABLE, *APPROVED, BUSY],
        ),
    )
    async def withdraw_end(self, request: ApiRequest) -> Response[bytes]:
        """Withdraw an announced end, before it stops the programme; who was told of it is told."""
        subject = read_path(request, ProgrammeEndId)
        body = await read_bytes(request)
        asked = decode_body(body, Withdrawal)
        app = app_of(request)
        approve = four_eyes(
            request,
            kind=ApprovalKind.PROGRAMME_END,
            subject=subject,
            payload=payload_of(body),
            approval_id=asked.approval_id,
        )
        if isinstance(approve, Refusal):
            return problem_response(approve)
        done = await ending.withdraw_end(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            end_id=uuid_of(subject),
            reason=asked.reason,
            by=actor_of(request),
            approve=approve,
        )
        return await _shown(request, done)

    @post(
        "/{id:str}/publications",
        **operation(
            Scope.PROGRAMMES_WRITE,
            path={"id": ProgrammeEndId},
            body=NewPublicationBody,
            answer=Page[PublicationView],
            refusals=[NOT_FOUND],
        ),
    )
    async def note_publication(self, request: ApiRequest) -> Response[bytes]:
        """Note where an end was made public; what is noted already stays as it is."""
        end_id = uuid_of(read_path(request, ProgrammeEndId))
        asked = await read_body(request, NewPublicationBody)
        app = app_of(request)
        noted = await ends.note_publication(
            app.pool,
            app.clock,
            app.ids,
            book_id=request.user.book_id,
            end_id=end_id,
            new=same_fields(asked, NewPublication),
            by=actor_of(request),
        )
        return problem_response(noted) if isinstance(noted, Refusal) else answer_page(Page(noted), show_publication)

    @get(
        "/{id:str}/notices",
        **operation(
            Scope.NOTICES_READ,
            path={"id": ProgrammeEndId},
            query=ToldQuery,
            answer=Page[ToldView],
            refusals=[NOT_FOUND],
        ),
    )
    async def list_told(self, request: ApiRequest) -> Response[bytes]:
        """List who of the holders was told of an end, when, by which notice, and whether it was delivered."""
        end_id = uuid_of(read_path(request, ProgrammeEndId))
        query = read_query(request, ToldQuery)
        app = app_of(request)
        search = ToldSearch(
            limit=query.limit,
            after_id=None if query.cursor is None else read_cursor(query.cursor),
            card_id=None if query.card_id is None else uuid_of(query.card_id),
            occasion=query.occasion,
        )
        page = await ends.list_told(
            app.pool, book_id=request.user.book_id, slots=app.slots, end_id=end_id, search=search
        )
        return problem_response(page) if isinstance(page, Refusal) else answer_page(page, show_told)

    @get(
        "/{id:str}/refunds",
        **operation(
            Scope.PAYOUTS_READ,
            path={"id": ProgrammeEndId},
            query=RefundQuery,
            answer=Page[RefundLineView],
            refusals=[NOT_FOUND],
        ),
    )
    async def list_programme_refunds(self, request: ApiRequest) -> Response[bytes]:
        """List every card of the programme with what it holds, what is due for it today, and how far its refund is."""
        end_id = uuid_of(read_path(request, ProgrammeEndId))
        query = read_query(request, RefundQuery)
        app = app_of(request)
        after = None if query.cursor is None else read_cursor(query.cursor)
        page = await ends.list_refunds(
            app.pool,
            app.keyring,
            app.clock,
            app.policy,
            book_id=request.user.book_id,
            slots=app.slots,
            end_id=end_id,
            search=RefundSearch(limit=query.limit, after_id=after, which=query.which),
        )
        return problem_response(page) if isinstance(page, Refusal) else answer_page(page, show_line)

    @get(
        "/{id:str}/refund-file",
        **operation(
            Scope.PAYOUTS_READ,
            path={"id": ProgrammeEndId},
            query=RefundFileQuery,
            answer=bytes,
            refusals=[NOT_FOUND],
        ),
    )
    async def get_refund_file(self, request: ApiRequest) -> Response[bytes]:
        """Get the whole list of refunds as a file: CSV, or a workbook (.xlsx)."""
        subject = read_path(request, ProgrammeEndId)
        query = read_query(request, RefundFileQuery)
        app = app_of(request)
        end = await ending.get_end(app.pool, book_id=request.user.book_id, end_id=uuid_of(subject))
        if isinstance(end, Refusal):
            return problem_response(end)
        lines = ends.each_refund(app.pool, app.keyring, app.clock, app.policy, end, slots=app.slots, which=query.which)
        return Response(
            await write_refunds(lines, query.form),
            media_type="application/octet-stream",
            headers={"content-disposition": f'attachment; filename="{subject}.refunds.{query.form}"'},
        )

    @get(
        "/{id:str}/liability",
        **operation(Scope.PAYOUTS_READ, path={"id": ProgrammeEndId}, answer=LiabilityView, refusals=[NOT_FOUND]),
    )
    async def get_liability(self, request: ApiRequest) -> Response[bytes]:
        """Get what the programme still owes its holders, and what was refunded since it was announced."""
        end_id = uuid_of(read_path(request, ProgrammeEndId))
        app = app_of(request)
        owed = await ends.get_liability(app.pool, book_id=request.user.book_id, slots=app.slots, end_id=end_id)
        return answer(owed, show_liability)

    @post(
        "/{id:str}/payees",
        **operation(
            Scope.CARDS_CLOSE,
            path={"id": ProgrammeEndId},
            body=GivenPayees,
            answer=GivenPayeesView,
            refusals=[NOT_FOUND, END_WITHDRAWN, PAYEE_NOT_HOLDER],
        ),
    )
    async def give_payees(self, request: ApiRequest) -> Response[bytes]:
        """Name the accounts that cards are refunded to when the programme has ended: a job closes them then."""
        end_id = uuid_of(read_path(request, ProgrammeEndId))
        asked = await read_body(request, GivenPayees)
        app = app_of(request)
        given = await ends.give_payees(
            app.pool,
            app.clock,
            app.ids,
            app.keyring,
            book_id=request.user.book_id,
            slots=app.slots,
            end_id=end_id,
            given=[
                GivenPayee(
                    uuid_of(one.card_id),
                    Payee(
                        method=PayoutMethod.BANK_TRANSFER,
                        holder_name=one.holder_name,
                        account_name=one.account_name,
                        account_number=one.account_number,
                        bank_name=one.bank_name,
                    ),
                )
                for one in asked.payees
            ],
            by=actor_of(request),
        )
        return answer(given, GivenPayeesView)


async def _shown(request: ApiRequest, end: ProgrammeEnd | Refusal, *, status: int = 200) -> Response[bytes]:
    if isinstance(end, Refusal):
        return problem_response(end)
    app = app_of(request)
    publications = await ends.list_publications(app.pool, end)
    return answer(end, lambda shown: show_end(shown, publications, app.clock.now()), status=status)
