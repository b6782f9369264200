"""Find the card behind a number."""

from collections.abc import Sequence
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.numbers import is_number
from kaquan.kit.db import Pool
from kaquan.ledger import slot_of
from kaquan.vault import Keyring

MAX_KNOWN = 200_000
"""Cards that a finder remembers, of some 300 bytes each; then the one remembered longest is forgotten."""


class CardFinder:
    """Finds cards by number, of any book: whoever asks checks the book of what is found.

    What was found is remembered, since a number never leaves its card, under its look-up and never in clear.
    What was not found is not remembered: the number may be issued the next moment.
    """

    def __init__(self, pool: Pool, keyring: Keyring, slots: tuple[int, ...], *, max_known: int = MAX_KNOWN) -> None:
        self._pool = pool
        self._keyring = keyring
        self._slots = slots
        self._max_known = max_known
        self._known: dict[UUID, tuple[int, UUID]] = {}

    async def resolve(self, numbers: Sequence[str]) -> list[tuple[int, UUID] | None]:
        """Slot and id of the card behind each number, or None; one query per slot of numbers (and look-up key)."""
        # the oldest key first: what a rotation moves is under the new key before it is gone from under the old one
        lookups = [self._keyring.lookups(number) if is_number(number) else [] for number in numbers]
        found: list[tuple[int, UUID] | None] = [None] * len(lookups)
        for nth in range(max((len(each) for each in lookups), default=0)):
            asked = {n: each[nth][1] for n, each in enumerate(lookups) if found[n] is None and len(each) > nth}
            under_key = await self._find(set(asked.values()))
            for n, lookup in asked.items():
                found[n] = under_key.get(lookup)
        return found

    async def _find(self, lookups: set[UUID]) -> dict[UUID, tuple[int, UUID]]:
        found = {lookup: self._known[lookup] for lookup in lookups if lookup in self._known}
        unknown: dict[int, set[UUID]] = {}
        for lookup in lookups - found.keys():
            unknown.setdefault(slot_of(lookup, self._slots), set()).add(lookup)
        for slot, wanted in unknown.items():
            new = await store.load_numbers(self._pool, slot, list(wanted))
            found.update(new)
            self._remember(new)
        return found

    def _remember(self, new: dict[UUID, tuple[int, UUID]]) -> None:
        self._known.update(new)
        while len(self._known) > self._max_known:
            del self._known[next(iter(self._known))]
