"""From an error to the one sentence that an operator is told."""

import errno
from typing import Any

import msgspec

from kaquan.audit import UnknownAuditError
from kaquan.doors.cli.demo.furnish import DemoError
from kaquan.doors.cli.demo.year import YearError
from kaquan.doors.http.serve import ServeError
from kaquan.doors.load import AnswerError, LoadError
from kaquan.evidence import WitnessError
from kaquan.kit.db import UnsafeServerError, is_outage, sql_state
from kaquan.kit.embedded import EmbeddedPostgresError
from kaquan.kit.outcomes import Refusal
from kaquan.migrations import SchemaError
from kaquan.settings import SettingsError
from kaquan.vault import KeyringError


class CommandError(Exception):
    """A command cannot do what it was asked; the message says why and what to do.

    ``document`` is the problem document of a refusal, as a client of the API would get it.
    """

    def __init__(self, message: str, document: Any = None) -> None:
        super().__init__(message)
        self.document = document


_PLAIN = (
    CommandError,
    SettingsError,
    EmbeddedPostgresError,
    ServeError,
    KeyringError,
    SchemaError,
    UnsafeServerError,
    UnknownAuditError,
    DemoError,
    YearError,
    LoadError,
    AnswerError,
    WitnessError,
)

_MEANINGS = {
    "53100": "The disk of the database is full: free some space and try again. / 数据库磁盘已满，请清理空间后重试。",
    "42501": "The login of the database lacks a right that this needs ({text}). / 数据库登录名权限不足。",
    "55P03": "Somebody holds a lock that this needs: try again in a quiet moment. / 数据库对象被占用，请稍后重试。",
}
_NO_ANSWER = "The database does not answer: {text} / 数据库连接失败。"


def refused(refusal: Refusal) -> CommandError:
    """A refusal of a room as a command tells it."""
    from kaquan.doors.http.problems import problem_of  # most commands do without the framework that this loads

    document = msgspec.to_builtins(problem_of(refusal))
    return CommandError(f"{refusal.message('en')} / {refusal.message('zh')}", document)


def sentence_of(error: BaseException) -> str | None:
    """What to tell an operator, or None if the error is a bug and its traceback is wanted."""
    if isinstance(error, _PLAIN):
        return str(error).strip()
    for cause in _chain(error):
        text = " ".join(str(cause).split())
        meaning = _MEANINGS.get(sql_state(cause) or "") or (_NO_ANSWER if is_outage(cause) else None)
        if meaning is not None:
            return meaning.format(text=text)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: free some space and try again. / 磁盘已满，请清理空间后重试。"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used ({error.strerror}). / 无法使用该文件。"
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error and what it was raised from: a library may wrap what the driver said."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found
