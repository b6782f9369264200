"""Slots: which of an installation's places a thing lives in (``design/core.md``, "Slots")."""

from collections.abc import Sequence
from uuid import UUID


def slot_of(key: UUID, slots: Sequence[int]) -> int:
    """The slot of a thing: by the last bits of its id, which are random, over the installation's fixed list of slots.

    The list has 1, 2, 4 … 64 slots, so at most six bits decide; what belongs to a card has ids with the card's bits
    (:meth:`kaquan.kit.ids.Ids.new_near`) and lives in its slot.
    """
    return slots[key.int % len(slots)]
