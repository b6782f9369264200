"""Who is counted when numbers, secrets and PINs are wrong."""

from functools import lru_cache
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from kaquan.guesses import caller_of
from kaquan.parties import Principal

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
