"""Read a request into its type, or refuse it with the field that is wrong and what the field allows.

Litestar would coerce ("5" for 5) and ignore unknown query parameters; a payment API must do neither.
"""

import enum
import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar.exceptions import InternalServerException
from msgspec import inspect

from kaquan.doors.http.outcomes import BODY_TOO_LARGE, MALFORMED_JSON
from kaquan.doors.http.problems import RefusedError
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.outcomes import INVALID_FIELD, Refusal

T = TypeVar("T")
Shape = TypeVar("Shape", bound=msgspec.Struct)

MAX_QUERY_FIELDS = 32
MAX_SHOWN_NAME = 128

_PLACE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*?)`(?: - at `\$\.?([^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `([^`]*)`")
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


async def read_file(request: ApiRequest, *, limit: int) -> bytearray:
    """The body as it is, of ``limit`` bytes at the most. Raises RefusedError."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise RefusedError(BODY_TOO_LARGE.refuse(limit=limit))
    except InternalServerException:  # so Litestar calls it when the client breaks off, who hears no answer any more
        raise RefusedError(
            INVALID_FIELD.refuse("request", allowed="must arrive whole", allowed_zh="应完整送达")
        ) from None
    return body


async def read_body(request: ApiRequest, type_: type[T]) -> T:
    """The body as ``type_``. Raises RefusedError."""
    return decode_body(await read_bytes(request), type_)


async def read_bytes(request: ApiRequest) -> bytes:
    """The body as it was sent. Raises RefusedError when it is too large."""
    return bytes(await read_file(request, limit=app_of(request).settings.max_body_bytes))


def decode_body(body: bytes, type_: type[T]) -> T:
    """A body as ``type_``. Raises RefusedError."""
    try:
        decoded: T = _decoder(type_).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(explain(error, type_)) from None
    except RecursionError:
        raise RefusedError(MALFORMED_JSON.refuse(why="nested too deeply")) from None
    return decoded


def read_query(request: ApiRequest, type_: type[T]) -> T:
    """The query parameters as ``type_``, each at most once. Raises RefusedError."""
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_FIELDS,
        )
    except ValueError:  # UnicodeDecodeError among them
        raise RefusedError(
            INVALID_FIELD.refuse(
                "query",
                allowed=f"must be at most {MAX_QUERY_FIELDS} percent-encoded UTF-8 parameters",
                allowed_zh=f"最多 {MAX_QUERY_FIELDS} 个参数，须为百分号编码的 UTF-8",
            )
        ) from None
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in given:
            raise RefusedError(
                INVALID_FIELD.refuse(name[:MAX_SHOWN_NAME], allowed="may be given only once", allowed_zh="只能出现一次")
            )
        is_number = name in _number_names(type_) and value.isascii() and value.isdigit() and len(value) < 19
        given[name] = int(value) if is_number else value
    try:
        return msgspec.convert(given, type_)
    except msgspec.ValidationError as error:
        raise RefusedError(explain(error, type_)) from None


def read_path(request: ApiRequest, type_: Any, name: str = "id") -> str:
    """The path parameter ``name``, checked by its type. Raises RefusedError."""
    try:
        text: str = msgspec.convert(request.path_params[name], type_)
    except msgspec.ValidationError:
        raise RefusedError(_invalid(name, inspect.type_info(type_))) from None
    return text


def same_fields(body: msgspec.Struct, type_: type[Shape]) -> Shape:
    """A struct of a room made of the fields of a body that have the same names."""
    return type_(**{field.name: getattr(body, field.name) for field in msgspec.structs.fields(type_)})


_decoder: Callable[[Any], msgspec.json.Decoder[Any]] = cache(msgspec.json.Decoder)


def _find_number_names(type_: Any) -> frozenset[str]:
    """The query parameters of ``type_`` that are numbers: a query holds only text."""
    info = inspect.type_info(type_)
    assert isinstance(info, inspect.StructType), "query parameters are declared as a struct"
    return frozenset(
        field.encode_name
        for field in info.fields
        if any(isinstance(choice, inspect.IntType) for choice in _choices(field.type))
    )


_number_names: Callable[[Any], frozenset[str]] = cache(_find_number_names)


def explain(error: Exception, type_: Any) -> Refusal:
    """The refusal for a decoding error of msgspec: which field, and what ``type_`` allows there."""
    if not isinstance(error, msgspec.ValidationError):
        why = "broken UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        return MALFORMED_JSON.refuse(why=why)
    text = str(error)
    root = inspect.type_info(type_)
    if unknown := _UNKNOWN.match(text):
        return _unknown(root, path=unknown.group(2) or "", name=unknown.group(1))
    found = _PLACE.search(text)
    path = found.group(1) if found else ""
    info = _walk(root, path)
    if missing := _MISSING.match(text):
        name = missing.group(1)
        return _invalid(_join(path, name), _walk(info, name), missing=True)
    return _invalid(path or "body", info)


def _unknown(root: inspect.Type, *, path: str, name: str) -> Refusal:
    info = _walk(root, path)
    names = ", ".join(
        field.encode_name
        for choice in ([] if info is None else _choices(info))
        if isinstance(choice, inspect.StructType)
        for field in choice.fields
    )
    return INVALID_FIELD.refuse(
        _join(path, name)[:MAX_SHOWN_NAME],  # the client chose it, at any length
        allowed=f"is not a field here; the fields are: {names}",
        allowed_zh=f"没有这个字段，可用字段：{names}",
    )


def _invalid(field: str, info: inspect.Type | None, *, missing: bool = False) -> Refusal:
    en, zh = ("something else", "其他取值") if info is None else describe(info)
    if missing:
        return INVALID_FIELD.refuse(field, allowed=f"is required: {en}", allowed_zh=f"必填：{zh}")
    return INVALID_FIELD.refuse(field, allowed=f"must be {en}", allowed_zh=f"应为{zh}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _walk(info: inspect.Type | None, path: str) -> inspect.Type | None:
    """The type at ``path`` below ``info``; None where it cannot be told."""
    for step in _STEP.findall(path):
        if info is None:
            return None
        inner: inspect.Type | None = None
        for choice in _choices(info):
            if isinstance(choice, inspect.StructType):
                inner = next((f.type for f in choice.fields if f.encode_name == step), None)
            elif isinstance(choice, inspect.ListType | inspect.SetType | inspect.VarTupleType):
                inner = choice.item_type
        info = inner
    return info


def _choices(info: inspect.Type) -> list[inspect.Type]:
    """What ``info`` can be, without its wrappers."""
    if isinstance(info, inspect.Metadata):
        return _choices(info.type)
    if isinstance(info, inspect.UnionType):
        return [choice for part in info.types for choice in _choices(part)]
    return [info]


def describe(info: inspect.Type) -> tuple[str, str]:
    """What a type allows, in English and Chinese."""
    if isinstance(info, inspect.Metadata):
        description = (info.extra_json_schema or {}).get("description")
        if description is not None:
            return description, (info.extra or {}).get("zh", description)
        return describe(info.type)
    if isinstance(info, inspect.UnionType):
        parts = [describe(part) for part in info.types]
        return " or ".join(en for en, _ in parts), "或".join(zh for _, zh in parts)
    if isinstance(info, inspect.IntType):
        low, high = info.ge, info.le
        return f"an integer from {low} to {high}", f"整数，范围 {low} 到 {high}"
    if isinstance(info, inspect.EnumType):
        names = ", ".join(_enum_values(info.cls))
        return f"one of: {names}", f"以下之一：{names}"
    if isinstance(info, inspect.LiteralType):
        names = ", ".join(str(value) for value in info.values)
        return f"one of: {names}", f"以下之一：{names}"
    if isinstance(info, inspect.ListType | inspect.SetType | inspect.VarTupleType):
        en, zh = describe(info.item_type)
        return f"a list, each {en}", f"列表，每一项为{zh}"
    return _SIMPLE.get(type(info), ("something else", "其他类型"))


_SIMPLE: dict[type[inspect.Type], tuple[str, str]] = {
    inspect.StrType: ("a text", "字符串"),
    inspect.BoolType: ("true or false", " true 或 false"),
    inspect.NoneType: ("null", " null"),
    inspect.StructType: ("an object", "对象"),
    inspect.DateType: ("a date, such as 2026-01-31", "日期，例如 2026-01-31"),
    inspect.DateTimeType: (
        "an RFC 3339 time with its offset, such as 2026-01-31T08:00:00Z",
        "带时区的 RFC 3339 时间，例如 2026-01-31T08:00:00Z",
    ),
}


def _enum_values(cls: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in cls]
