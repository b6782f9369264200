"""Expected refusals are values: an :class:`Outcome` says what happened once, for every door.

Each room lists its refusals in its ``outcomes.py`` through :func:`outcome`. The table drives HTTP problem
documents (RFC 9457), ISO 8583 field 39, the CLI, the OpenAPI document and the reference pages. Codes are stable
across versions: a code is never renamed nor given another meaning.
"""

from typing import Any

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """One way in which a request can be refused.

    ``http_status`` is the status of the answer; ``iso8583`` the response code of field 39; ``retryable`` tells a
    client that the same request may succeed later without being changed. ``en`` and ``zh`` are the messages; a
    message may name details in braces, filled from :class:`Refusal`.
    """

    code: str
    http_status: int
    iso8583: str
    retryable: bool
    en: str
    zh: str

    def refuse(self, field: str | None = None, **details: Any) -> "Refusal":
        """This outcome, about ``field`` of the request, with the details its messages name."""
        return Refusal(self, field, details)


class Refusal(msgspec.Struct, frozen=True):
    """An outcome as it happened to one request."""

    outcome: Outcome
    field: str | None = None
    details: dict[str, Any] = {}

    @property
    def code(self) -> str:
        return self.outcome.code

    @property
    def rule(self) -> str | None:
        """The rule of law, of the house or of the contract that asks for this refusal, where one does."""
        return self.details.get("rule") if "source" in self.details else None

    @property
    def source(self) -> str | None:
        """Where that rule stands."""
        return self.details.get("source")

    def message(self, language: str = "en") -> str:
        """The sentence for a person, in ``en`` or ``zh``.

        A detail that reads differently in Chinese is given twice, the second time as ``<name>_zh``.
        """
        if language != "zh":
            return self.outcome.en.format_map({"field": self.field, **self.details})
        chinese = {name[:-3]: value for name, value in self.details.items() if name.endswith("_zh")}
        return self.outcome.zh.format_map({"field": self.field, **self.details, **chinese})


OUTCOMES: dict[str, Outcome] = {}
"""Every outcome of the product by its code."""


def outcome(code: str, *, http: int, iso: str, en: str, zh: str, retryable: bool = False) -> Outcome:
    """Declare a refusal. Raises ValueError if the code is taken: a code has one meaning."""
    if code in OUTCOMES:
        raise ValueError(f"outcome {code!r} is declared twice")
    OUTCOMES[code] = made = Outcome(code, http, iso, retryable, en, zh)
    return made


INVALID_FIELD = outcome(
    "invalid_field",
    http=400,
    iso="30",
    en="{field}: {allowed}",
    zh="字段 {field} 不符合要求：{allowed}",
)
NOT_FOUND = outcome(
    "not_found", http=404, iso="25", en="There is no such {what} here.", zh="没有这样的记录（{what}）。"
)
ALREADY_EXISTS = outcome(
    "already_exists",
    http=409,
    iso="94",
    en="{field}: {value} is already used by {existing}.",
    zh="{field}：{value} 已被 {existing} 使用。",
)
BUSY = outcome(
    "busy",
    http=503,
    iso="91",
    retryable=True,
    en="The system is busy; nothing was done. Try again with the same key.",
    zh="系统繁忙，未做任何处理，请用同一幂等键重试。",
)
"""The queue is full: refused at once, before anything was read or written."""

UNAVAILABLE = outcome(
    "unavailable",
    http=503,
    iso="91",
    retryable=True,
    en="The database does not answer. It is not known whether this was done: ask again with the same key.",
    zh="数据库暂时没有响应，处理结果未知，请用同一幂等键重试。",
)
INTERNAL_ERROR = outcome(
    "internal_error",
    http=500,
    iso="96",
    en="Something went wrong on our side and has been logged. Ask again with the same key to learn what was done.",
    zh="系统内部错误，已记录。请用同一幂等键重试以确认是否已处理。",
)
