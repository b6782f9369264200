"""``/v1/card-imports``"""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta

from kaquan import imports
from kaquan.cards import Press
from kaquan.cards.outcomes import PROGRAMME_STOPPED
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import CardId, Cursor, Name, ProgrammeId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_file, read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.imports import CardImport, ImportStatus, LineProblem, LineStatus, NewImport, UsedCard
from kaquan.imports.outcomes import (
    CARDS_USED_SINCE,
    COLUMN_MISSING,
    FILE_UNREADABLE,
    IMPORT_ALREADY_REVERSED,
    IMPORT_HAS_BAD_LINES,
    IMPORT_NOT_APPLIED,
    IMPORT_STOPPED,
)
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from kaquan.parties import Scope
from kaquan.vault import mask_number

PROBLEMS_SHOWN = 100
"""Problems in an answer; the error file has them all."""

ImportId = Annotated[
    str,
    Meta(
        pattern=rf"^{Prefix.IMPORT}_[0-9a-f]{{32}}$(?!\n)",
        description=f"an id: {Prefix.IMPORT}_ and 32 lower-case hexadecimal digits",
        extra={"zh": f"编号：{Prefix.IMPORT}_ 加 32 位小写十六进制数字"},
    ),
]
ColumnNames = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f]{1,1000}$(?!\n)",
        description="pairs such as number=卡号,principal_yuan=余额",
        extra={"zh": "形如 number=卡号,principal_yuan=余额 的对应关系"},
    ),
]


class NewImportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``columns`` tells what the file calls our columns where it does not use a name that is known."""

    programme_id: ProgrammeId
    name: Name
    columns: ColumnNames | None = None


class ImportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None
    name: Name | None = None


class CardImportView(msgspec.Struct, frozen=True):
    """``problems`` are the first of them, the error file has all; ``lines`` counts lines by what became of them."""

    id: ImportId
    programme_id: ProgrammeId
    name: str
    kind: str
    sha256: str
    status: ImportStatus
    line_count: int
    bad_line_count: int
    principal_fen: int
    bonus_fen: int
    problem_count: int
    problems: list[LineProblem]
    lines: dict[LineStatus, int]
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class UsedCardView(msgspec.Struct, frozen=True):
    """A card of an import that was used since."""

    line: int
    card_id: CardId
    number_masked: str


def show_import(found: CardImport) -> CardImportView:
    return CardImportView(
        id=show_id(Prefix.IMPORT, found.id),
        programme_id=show_id(Prefix.PROGRAMME, found.programme_id),
        name=found.name,
        kind=found.kind,
        sha256=found.sha256,
        status=found.status,
        line_count=found.line_count,
        bad_line_count=found.bad_line_count,
        principal_fen=found.principal_fen,
        bonus_fen=found.bonus_fen,
        problem_count=len(found.problems),
        problems=found.problems[:PROBLEMS_SHOWN],
        lines=found.lines,
        created_by=found.created_by,
        created_at=found.created_at,
        finished_at=found.finished_at,
    )


def show_used(card: UsedCard) -> UsedCardView:
    return UsedCardView(card.line, show_id(Prefix.CARD, card.card_id), mask_number(card.number_last4))


class ImportController(Controller):
    path = "/v1/card-imports"
    tags = ("card imports",)

    @post(
        **operation(
            Scope.CARDS_IMPORT,
            query=NewImportQuery,
            body=bytes,
            answer=CardImportView,
            status=201,
            refusals=[NOT_FOUND, PROGRAMME_STOPPED, ALREADY_EXISTS, FILE_UNREADABLE, COLUMN_MISSING],
        )
    )
    async def create_import(self, request: ApiRequest) -> Response[bytes]:
        """Check a file of foreign cards (CSV or .xlsx) whole: the dry run. Nothing is made before it is applied."""
        query = read_query(request, NewImportQuery)
        columns = imports.read_columns(query.columns or "")
        if isinstance(columns, Refusal):
            return problem_response(columns)
        app = app_of(request)
        content = await read_file(request, limit=app.settings.max_import_bytes)
        made = await imports.create_import(
            app.pool,
            app.finder,
            Press(app.keyring, app.slots, app.ids),
            app.clock,
            book_id=request.user.book_id,
            new=NewImport(
                programme_id=uuid_of(query.programme_id),
                name=query.name,
                columns=columns,
                created_by=show_id(Prefix.KEY, request.user.key_id),
            ),
            content=bytes(content),
        )
        return answer(made, show_import, status=201)

    @get(**operation(Scope.CARDS_READ, query=ImportQuery, answer=Page[CardImportView]))
    async def list_imports(self, request: ApiRequest) -> Response[bytes]:
        """List imports, the newest first, without their problems and lines."""
        query = read_query(request, ImportQuery)
        page = await imports.list_imports(
            app_of(request).pool,
            book_id=request.user.book_id,
            name=query.name,
            after_id=None if query.cursor is None else read_cursor(query.cursor),
            limit=query.limit,
        )
        return answer_page(page, show_import)

    @get(
        "/{id:str}",
        **operation(Scope.CARDS_READ, path={"id": ImportId}, answer=CardImportView, refusals=[NOT_FOUND]),
    )
    async def get_import(self, request: ApiRequest) -> Response[bytes]:
        """Get an import, as far as it has come."""
        app = app_of(request)
        found = await imports.get_import(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            import_id=uuid_of(read_path(request, ImportId)),
        )
        return answer(found, show_import)

    @get(
        "/{id:str}/errors",
        **operation(Scope.CARDS_READ, path={"id": ImportId}, answer=bytes, refusals=[NOT_FOUND]),
    )
    async def get_error_file(self, request: ApiRequest) -> Response[bytes]:
        """Get every line of an import that became no card, as a CSV file: line, column, masked value, why."""
        app = app_of(request)
        import_id = uuid_of(read_path(request, ImportId))
        found = await imports.get_import(app.pool, book_id=request.user.book_id, slots=app.slots, import_id=import_id)
        if isinstance(found, Refusal):
            return problem_response(found)
        name = f"{show_id(Prefix.IMPORT, import_id)}.errors.csv"
        return Response(
            imports.error_file(await imports.list_not_imported(app.pool, slots=app.slots, card_import=found)),
            media_type="application/octet-stream",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    @get(
        "/{id:str}/used-cards",
        **operation(Scope.CARDS_READ, path={"id": ImportId}, answer=Page[UsedCardView], refusals=[NOT_FOUND]),
    )
    async def list_used_cards(self, request: ApiRequest) -> Response[bytes]:
        """List the cards of an import that were used since, for which it is not reversed."""
        app = app_of(request)
        found = await imports.list_used(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            import_id=uuid_of(read_path(request, ImportId)),
        )
        return problem_response(found) if isinstance(found, Refusal) else answer_page(Page(found), show_used)

    @post(
        "/{id:str}/apply",
        **operation(
            Scope.CARDS_IMPORT,
            path={"id": ImportId},
            answer=CardImportView,
            refusals=[NOT_FOUND, IMPORT_HAS_BAD_LINES, IMPORT_STOPPED, IMPORT_ALREADY_REVERSED],
        ),
    )
    async def apply_import(self, request: ApiRequest) -> Response[bytes]:
        """Apply an import: a job makes its cards with their value, each line once; asking again changes nothing."""
        app = app_of(request)
        started = await imports.start_import(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            import_id=uuid_of(read_path(request, ImportId)),
        )
        return answer(started, show_import)

    @post(
        "/{id:str}/reverse",
        **operation(
            Scope.CARDS_IMPORT,
            path={"id": ImportId},
            answer=CardImportView,
            refusals=[NOT_FOUND, IMPORT_NOT_APPLIED, CARDS_USED_SINCE],
        ),
    )
    async def reverse_import(self, request: ApiRequest) -> Response[bytes]:
        """Take an import back: its value returns by linked reversals and its cards are blocked, unless one was used."""
        app = app_of(request)
        started = await imports.start_reversal(
            app.pool,
            book_id=request.user.book_id,
            slots=app.slots,
            import_id=uuid_of(read_path(request, ImportId)),
        )
        return answer(started, show_import)
