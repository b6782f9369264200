"""What a kind of delivery is: pure functions that build a message and read its answer. Sockets are the courier's."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol
from uuid import UUID

from kaquan.kit.outcomes import Refusal


class Letter(NamedTuple):
    """What is to be delivered: one notice for one endpoint. ``secrets`` are the newest and, while it is still taken,
    the one before."""

    notice_id: UUID
    body: str
    address: str
    secrets: Sequence[str]

    def __repr__(self) -> str:
        return f"Letter(notice_id={self.notice_id}, address={self.address!r}, secrets=...)"


class Outgoing(NamedTuple):
    """An HTTP POST to make."""

    address: str
    headers: dict[str, str]
    body: bytes


class Failure(StrEnum):
    """What went wrong before there was an answer."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    UNRESOLVED = "unresolved"
    PRIVATE_ADDRESS = "private_address"


class Answered(NamedTuple):
    """What came of a POST: the status of its answer, or what went wrong."""

    http_status: int | None
    failure: Failure | None = None


class Verdict(StrEnum):
    """What an answer means."""

    DELIVERED = "delivered"
    AGAIN = "again"
    NEVER = "never"
    """The endpoint says that it is gone for ever."""


class Kind(Protocol):
    """One way to deliver. ``at_once``: the notice is there when it is written, and nothing goes out."""

    name: str
    at_once: bool

    def check_address(self, address: str, *, allow_private: bool) -> Refusal | None:
        """The refusal of an address that can be none of this kind; ``allow_private`` as the settings say."""
        ...

    def build(self, letter: Letter, *, at: datetime) -> Outgoing:
        """The POST that delivers, the same for the same arguments."""
        ...

    def read(self, answered: Answered) -> Verdict:
        """What an answer means; every answer means something."""
        ...
