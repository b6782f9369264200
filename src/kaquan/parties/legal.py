"""Numbers of legal entities."""

from typing import Any

import msgspec
from stdnum.cn import uscc

from kaquan.kit.outcomes import Refusal
from kaquan.parties.outcomes import invalid_code

_CODES = ("legal_code", "group_code")


def check_codes(fields: dict[str, Any]) -> Refusal | None:
    """None when the unified social credit codes among ``fields`` are real ones. Refused: ``invalid_field``."""
    for name in _CODES:
        code = fields.get(name)
        # the library takes spaces and lower case too, which would make two codes of one
        if code is not None and not (uscc.is_valid(code) and uscc.compact(code) == code):
            return invalid_code(name)
    return None


def given_fields(change: msgspec.Struct) -> dict[str, Any]:
    """What a change sets, by the names of its fields."""
    values = {name: getattr(change, name) for name in change.__struct_fields__}
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}
