"""What an import is made of."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec


class ImportStatus(StrEnum):
    """Where an import is."""

    REFUSED = "refused"
    """Some of its lines are bad: it can only be corrected and sent again, under another name."""
    CHECKED = "checked"
    APPLYING = "applying"
    APPLIED = "applied"
    STOPPED = "stopped"
    """Its programme stopped before all of it was applied; what is left never is."""
    REVERSING = "reversing"
    REVERSED = "reversed"


class LineStatus(StrEnum):
    """What became of a line."""

    WAITING = "waiting"
    TAKEN = "taken"
    """Its number became another card's after the check; nothing was made of it."""
    LEFT_OUT = "left_out"
    """Its programme stopped before; nothing was made of it."""
    APPLIED = "applied"
    USED = "used"
    """The card was used after it was imported, so it was not reversed."""
    REVERSED = "reversed"


class LineProblem(msgspec.Struct, frozen=True):
    """What is wrong in a line. ``value`` is masked; ``column`` is what the file calls it."""

    line: int
    column: str
    value: str
    en: str
    zh: str


class FoundLine(NamedTuple):
    """A line that is good as far as it can be told from itself."""

    line: int
    number: str
    principal_fen: int
    bonus_fen: int
    principal_expires_at: datetime | None
    bonus_expires_at: datetime | None

    def __repr__(self) -> str:
        return f"FoundLine({self.line})"


class Checked(NamedTuple):
    """A file that was checked whole: its good lines, what is wrong in the others, and how many lines it has."""

    kind: str
    lines: list[FoundLine]
    problems: list[LineProblem]
    line_count: int

    @property
    def bad_line_count(self) -> int:
        """How many lines have a problem."""
        return len({problem.line for problem in self.problems})

    def __repr__(self) -> str:
        return f"Checked({self.line_count} lines, {len(self.problems)} problems)"


class NewImport(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be imported. ``columns``: what the file calls each column, by our name."""

    programme_id: UUID
    name: str
    columns: dict[str, str]
    created_by: str


class CardImport(msgspec.Struct, frozen=True):
    """An import as far as it has come. The amounts are the sums of its good lines."""

    id: UUID
    book_id: int
    programme_id: UUID
    name: str
    kind: str
    sha256: str
    status: ImportStatus
    line_count: int
    bad_line_count: int
    principal_fen: int
    bonus_fen: int
    problems: list[LineProblem]
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    lines: dict[LineStatus, int] = {}
    """How many lines are where."""


class ImportLine(NamedTuple):
    """A good line as it is kept: the card that it becomes has its id already."""

    slot: int
    import_id: UUID
    line: int
    book_id: int
    card_id: UUID
    number_sealed: bytes | None
    number_last4: str
    principal_fen: int
    bonus_fen: int
    principal_expires_at: datetime | None
    bonus_expires_at: datetime | None
    transaction_id: UUID | None = None


class UsedCard(msgspec.Struct, frozen=True):
    """A card of an import that was used since."""

    line: int
    card_id: UUID
    number_last4: str
