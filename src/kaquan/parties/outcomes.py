"""The refusals of this room, all of them kinds of ``not_found``, ``already_exists``, ``invalid_field``."""

from uuid import UUID

from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, INVALID_FIELD, NOT_FOUND, Refusal


def missing(what: str, field: str = "id") -> Refusal:
    """There is no such ``what`` in this book, whatever other books hold."""
    return NOT_FOUND.refuse(field, what=what)


def taken(field: str, value: str, *, prefix: Prefix, existing: UUID) -> Refusal:
    """``value`` belongs to ``existing`` already."""
    return ALREADY_EXISTS.refuse(field, value=value, existing=show_id(prefix, existing))


def unknown_time_zone() -> Refusal:
    """The time zone is not one of the IANA names."""
    return INVALID_FIELD.refuse(
        "time_zone",
        allowed="must be an IANA time zone such as Asia/Shanghai",
        allowed_zh="应为 IANA 时区名，例如 Asia/Shanghai",
    )
