"""Who is counted when numbers, secrets and PINs are wrong."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from kaquan.cards.outcomes import PIN_LOCKED, PIN_WRONG
from kaquan.doors.http.problems import RefusedError
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.guesses import caller_of
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.parties import Principal

T = TypeVar("T")

CLIENT_HEADER = "kaquan-client"
"""Where a shop's server says for whom it asks, such as the address of the holder's browser: each is counted apart."""

Client = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,64}$(?!\n)",
        description="1 to 64 visible ASCII characters, such as an IP address",
        extra={"zh": " 1 到 64 个可见 ASCII 字符，例如 IP 地址"},
    ),
]


def caller_of_key(principal: Principal) -> UUID:
    """The caller that an API key is."""
    return _caller(principal.key_id, None)


def caller_of_client(principal: Principal, client: str | None) -> UUID:
    """The caller that somebody behind an API key is; without a client the key itself."""
    return _caller(principal.key_id, client)


@lru_cache(maxsize=10_000)  # on the path of every payment by number
def _caller(key_id: UUID, client: str | None) -> UUID:
    return caller_of("key", key_id) if client is None else caller_of("client", key_id, client)


def client_of(request: ApiRequest) -> str | None:
    """For whom a shop's server asks, if it says so. Raises RefusedError."""
    given = request.headers.get(CLIENT_HEADER)
    if given is None:
        return None
    try:
        client: str = msgspec.convert(given, Client)
    except msgspec.ValidationError:
        raise RefusedError(
            INVALID_FIELD.refuse(
                "Kaquan-Client",
                allowed="must be 1 to 64 visible ASCII characters, such as an IP address",
                allowed_zh="应为 1 到 64 个可见 ASCII 字符，例如 IP 地址",
            )
        ) from None
    return client


async def count_guesses(
    request: ApiRequest, pin: str | None, work: Callable[[], Awaitable[T | Refusal]]
) -> T | Refusal:
    """What ``work`` with this PIN gives. A PIN that is not the card's is counted against who asks, as a wrong number
    is: the card's own lock does not see one PIN that is tried on many cards.

    Refused: as ``work``, ``too_many_wrong_answers``.
    """
    if pin is None:
        return await work()
    guesses, caller = app_of(request).guesses, caller_of_client(request.user, client_of(request))
    if (waits := guesses.must_wait(caller)) is not None:
        return waits
    done = await work()
    if isinstance(done, Refusal) and done.outcome in (PIN_WRONG, PIN_LOCKED):
        return await guesses.note_failure(caller) or done
    return done
