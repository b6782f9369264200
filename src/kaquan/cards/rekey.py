"""Move the look-ups of card numbers to another key, with every card found at every moment.

First every card gets a look-up under the new key beside that under the old one (:func:`copy_lookups`), then the old
ones go (:func:`drop_old_lookups`). Both may be stopped at any moment, begun again, and run more than once.
"""

from collections.abc import Callable
from uuid import UUID

from kaquan.cards import store
from kaquan.cards.store import Lookup
from kaquan.kit.db import Pool
from kaquan.ledger import slot_of
from kaquan.vault import Keyring, SealError

CHUNK = 2_000

Done = Callable[[int], None]
"""Told how many more are done."""


async def count_lookups(pool: Pool, *, slots: tuple[int, ...]) -> tuple[int, dict[str, int]]:
    """How many cards there are, and how many look-ups by the key that made them; of every book."""
    return await store.load_card_count(pool, slots), await store.load_lookup_counts(pool, slots)


async def copy_lookups(pool: Pool, keyring: Keyring, *, slots: tuple[int, ...], done: Done, chunk: int = CHUNK) -> int:
    """Give every card a look-up under the current key; how many had none. One commit for each chunk.

    A number that does not open is passed over.
    """
    copied = 0
    for card_slot in slots:
        after_id = UUID(int=0)
        while cards := await store.load_numbers_to_copy(pool, slot=card_slot, after_id=after_id, limit=chunk):
            lookups = []
            for card_id, sealed in cards:
                try:
                    number = keyring.open(sealed, card_id.bytes).decode("ascii")
                except SealError:
                    continue  # told by the job that seals anew
                lookup = keyring.lookup(number)
                lookups.append((card_slot, card_id, Lookup(slot_of(lookup, slots), lookup, keyring.lookup_ids[-1])))
            copied += await store.post_lookups(pool, lookups) if lookups else 0
            after_id = cards[-1][0]
            done(len(cards))
    return copied


async def drop_old_lookups(
    pool: Pool, keyring: Keyring, *, slots: tuple[int, ...], done: Done, chunk: int = CHUNK
) -> int:
    """Remove the look-ups under other keys than the current one; how many there were.

    Call it only when :func:`copy_lookups` has gone through with every process knowing the current key.
    """
    dropped = 0
    for slot in slots:
        while gone := await store.drop_lookups(pool, slot=slot, keep=keyring.lookup_ids[-1], limit=chunk):
            dropped += gone
            done(gone)
    return dropped
