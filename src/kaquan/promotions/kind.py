"""What a kind of offer is. A kind is one file in ``kinds/`` that defines ``KIND``; it is found by itself, and so is its
suite: ``tests/unit/test_promotion_kinds.py`` runs its worked examples and holds what every kind must hold.

``applies`` says why an offer gives nothing, ``effects`` what it gives; they agree: nothing is given exactly when there
is a reason. Both are pure and take what the offer looks at, never more.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from kaquan.kit.outcomes import Refusal
from kaquan.promotions.types import GrantKind, Line, LoadFacts

P = TypeVar("P", bound=msgspec.Struct)


class Seen(msgspec.Struct, frozen=True):
    """The goods that a purchase offer looks at, and what each line costs by now (or at list, by its base)."""

    lines: Sequence[Line]
    amounts: Sequence[int]
    amount_fen: int


class SeenLoad(NamedTuple):
    """The top-up that an offer looks at. ``draw`` is chance: 64 bits that the transaction and the offer lead to."""

    facts: LoadFacts
    draw: int


class Gift(NamedTuple):
    """Something that is given beside a discount; the fields are those of :class:`Grant`."""

    kind: GrantKind
    amount_fen: int
    template_id: UUID | None = None
    count: int = 1  # type: ignore[assignment]  # as of Grant
    due_on: tuple[date, ...] = ()
    card_id: UUID | None = None


class Effects(msgspec.Struct, frozen=True):
    """What an offer gives. A discount is spread over the goods by what they cost, unless ``by_line`` says otherwise:
    then it is for each line that was seen, in their order, and ``off_fen`` is its sum."""

    off_fen: int = 0
    by_line: Sequence[int] | None = None
    gifts: tuple[Gift, ...] = ()

    @property
    def points(self) -> int:
        """How many points it gives."""
        return sum(gift.amount_fen for gift in self.gifts if gift.kind is GrantKind.POINTS)

    @property
    def worth_fen(self) -> int:
        """What it is worth to the holder: discount, bonus and the face value of vouchers; points are not money."""
        return self.off_fen + sum(gift.amount_fen for gift in self.gifts if gift.kind is not GrantKind.POINTS)


NOTHING = Effects()


class Bounds(NamedTuple):
    """What holds of the effects on any goods. Below ``least_fen`` they are nothing; they are never worth more than
    ``most_bp`` of 10,000 of the goods, nor more than ``most_fen``."""

    least_fen: int
    most_bp: int
    most_fen: int


class Fault(NamedTuple):
    """What is wrong with parameters: the field, and what is allowed in both languages."""

    field: str
    allowed: str
    allowed_zh: str


class PurchaseKind(msgspec.Struct, Generic[P], frozen=True):
    """A kind of offer for purchases. ``bounds`` save asking most offers for their effects."""

    name: str
    en: str
    zh: str
    params: type[P]
    check: Callable[[P], list[Fault]]
    applies: Callable[[P, Seen], Refusal | None]
    effects: Callable[[P, Seen], Effects]
    bounds: Callable[[P], Bounds]
    gives_points: Callable[[P], bool] = lambda _: False
    """Whether it gives points: then it is for cards whose programme does."""


class LoadKind(msgspec.Struct, Generic[P], frozen=True):
    """A kind of offer for top-ups. ``rebate_bp`` is the most that it gives back of a load, whatever the load, rounded
    up: what a ceiling of the house is compared with; None: it gives nothing back for a load."""

    name: str
    en: str
    zh: str
    params: type[P]
    check: Callable[[P], list[Fault]]
    applies: Callable[[P, SeenLoad], Refusal | None]
    effects: Callable[[P, SeenLoad], Effects]
    rebate_bp: Callable[[P], int | None]
    prize_fen: Callable[[P], int | None] = lambda _: None
    """The highest prize, of what is given by chance."""
    gives_points: Callable[[P], bool] = lambda _: False
    """As of :class:`PurchaseKind`."""
    asks_first: bool = False
    """Whether it gives only with a first top-up."""


@cache
def find_kinds() -> Mapping[str, PurchaseKind[Any] | LoadKind[Any]]:
    """Every kind of offer by name: one per file in ``kinds``."""
    kinds = import_module("kaquan.promotions.kinds")
    modules = [import_module(f"{kinds.__name__}.{found.name}") for found in iter_modules(kinds.__path__)]
    return {module.KIND.name: module.KIND for module in modules}
