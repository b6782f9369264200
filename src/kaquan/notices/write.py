"""Write notices, in the transaction of what they tell of."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from kaquan.kit.db import Connection
from kaquan.notices import store
from kaquan.notices.kinds import find_kinds
from kaquan.notices.types import NewNotice

_encode = msgspec.json.Encoder().encode


async def write_notices(connection: Connection, notices: Sequence[NewNotice], *, at: datetime) -> None:
    """Write notices and a delivery for every endpoint of their book that wants them, in the caller's transaction."""
    if notices:
        bodies = [_encode({"type": new.event.name, "timestamp": at, "data": new.data}).decode() for new in notices]
        at_once = [kind.name for kind in find_kinds().values() if kind.at_once]
        await store.post_notices(connection, notices, bodies, at_once=at_once, at=at)
